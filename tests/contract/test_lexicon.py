"""Search by words: plain words only, in one's own scopes, with identifiers found exactly."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tools.knowledge.chunks import chunks
from tools.knowledge.lexical import Lexicon, open_lexicon


@pytest.fixture
async def lexicon(tmp_path: Path) -> AsyncIterator[Lexicon]:
    async with open_lexicon(tmp_path / "words.sqlite") as opened:
        yield opened


async def put(lexicon: Lexicon, name: str, text: str, *, scope: str = "shared", version: int = 1) -> None:
    await lexicon.put(name, version, scope, name, chunks(text, document_id=name, version=version))


async def found(lexicon: Lexicon, question: str, *scopes: str) -> list[str]:
    result = await lexicon.find(question, scopes=scopes or ("shared",), most=10, alone=True)
    return [chunk_id for chunk_id, _ in result.hits]


async def test_an_identifier_is_found_and_its_neighbour_is_not(lexicon: Lexicon) -> None:
    await put(lexicon, "a", "E-4102 appears when a volume is held.")
    await put(lexicon, "b", "E-4120 appears without capacity.")
    assert await found(lexicon, "E-4120") == ["b.1.0"]
    result = await lexicon.find("what is E-4102?", scopes=("shared",), most=5)
    assert (result.exact, result.missed) == (True, False)
    assert (await lexicon.find("E-9999", scopes=("shared",), most=5)).missed


@pytest.mark.parametrize(
    "question",
    [
        "not and or",
        '"',
        "a* NEAR(b c)",
        "title: x",
        "x AND NOT y",
        "(",
        "'; DROP TABLE words; --",
        "\0",
        "^x",
        "- -",
        "",
    ],
)
async def test_no_question_is_a_query_language(lexicon: Lexicon, question: str) -> None:
    await put(lexicon, "a", "x and y, not z")
    await found(lexicon, question)
    assert await lexicon.count() == 1


async def test_only_asked_scopes_are_searched(lexicon: Lexicon) -> None:
    await put(lexicon, "a", "returns within thirty days", scope="own-ann")
    await put(lexicon, "b", "returns never", scope="own-bob")
    assert await found(lexicon, "returns", "shared", "own-ann") == ["a.1.0"]
    assert await found(lexicon, "returns") == []


async def test_a_new_version_takes_the_place_of_the_old(lexicon: Lexicon) -> None:
    await put(lexicon, "a", "apples")
    await put(lexicon, "a", "pears", version=2)
    assert (await found(lexicon, "apples"), await found(lexicon, "pears")) == ([], ["a.2.0"])
    assert await lexicon.versions() == {"a": (2, "shared")}
    await lexicon.remove("a")
    assert await lexicon.count() == 0


async def test_pieces_are_counted_as_they_are_after_every_change(lexicon: Lexicon) -> None:
    counts = [await lexicon.count()]
    for change in (put(lexicon, "a", "apples"), put(lexicon, "b", "pears"), lexicon.remove("a")):
        await change
        counts += [await lexicon.count(), await lexicon.count()]
    assert counts == [0, 1, 1, 2, 2, 1, 1]


async def test_what_is_searched_while_it_grows_has_a_score(lexicon: Lexicon) -> None:
    asking = [lexicon.find("apples", scopes=("shared",), most=10, alone=True) for _ in range(20)]
    adding = [put(lexicon, f"d{number}", "apples") for number in range(20)]
    results = await asyncio.gather(*(each for pair in zip(asking, adding, strict=True) for each in pair))
    assert all(share > 0 for result in results if result for _, share in result.hits)


async def test_inflected_words_are_found(lexicon: Lexicon) -> None:
    await put(lexicon, "a", "A cancelled reservation costs half.")
    assert await found(lexicon, "cancelling reservations") == ["a.1.0"]


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to be looked at" * 99])
async def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "words.sqlite"
    async with open_lexicon(file) as opened:
        await put(opened, "a", "apples")
    file.write_bytes(damage)
    async with open_lexicon(file) as opened:
        assert await opened.count() == 0
        await put(opened, "a", "apples")
        assert await found(opened, "apples") == ["a.1.0"]
