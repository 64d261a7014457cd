"""Search by words: plain words only, in one's own scopes, with identifiers found exactly."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tools.knowledge.chunks import chunks
from tools.knowledge.lexical import COMMON, Lexicon, open_lexicon


@pytest.fixture
async def lexicon(tmp_path: Path) -> AsyncIterator[Lexicon]:
    async with open_lexicon(tmp_path / "words.sqlite") as opened:
        yield opened


async def put(lexicon: Lexicon, name: str, text: str, *, scope: str = "shared", version: int = 1, **said: str) -> None:
    await lexicon.put(name, version, scope, name, chunks(text, document_id=name, version=version), metadata=said)


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


async def test_what_others_keep_changes_nothing(lexicon: Lexicon) -> None:
    for number in range(40):
        await put(lexicon, f"a{number}", f"Spare part SP-{7000 + number}: ships on pallets.", scope="own-ann")
    await put(lexicon, "all", "Spare parts are ordered by phone.")
    scopes = ("shared", "own-ann")
    questions = ("SP-7013", "ordered spare parts", "pallets by phone for SP-7013")
    before = [await lexicon.find(each, scopes=scopes, most=10) for each in questions]
    others = "\n\n".join(f"# P{number}\n\nSP-7013 pallets by phone {number}." for number in range(COMMON + 200))
    await put(lexicon, "b", others, scope="own-bob")
    assert [await lexicon.find(each, scopes=scopes, most=10) for each in questions] == before
    assert before[0].hits[0][0] == "a13.1.0"


async def test_one_document_of_ones_own_is_ranked_with_all_that_is_shared(lexicon: Lexicon) -> None:
    for number in range(30):
        await put(lexicon, f"s{number}", f"Opening hours of shop {number} on holidays and other days of the week.")
    await put(lexicon, "mine", "Opening hours of the moonpool.", scope="own-ann")
    assert (await found(lexicon, "moonpool opening hours", "shared", "own-ann"))[0] == "mine.1.0"


async def test_what_is_filtered_out_takes_no_places(lexicon: Lexicon) -> None:
    for number in range(30):
        await put(lexicon, f"n{number}", "Gizmo ZX-500. Gizmo ZX-500.", category="noise", tag="a")
    await put(lexicon, "w", "In the end the Gizmo ZX-500 is blue.", category="wanted", tag="a")
    wanted = {"category": "wanted", "tag": "a"}
    result = await lexicon.find("Gizmo ZX-500", scopes=("shared",), most=5, metadata=wanted)
    assert [chunk_id for chunk_id, _ in result.hits] == ["w.1.0"]
    nobody = await lexicon.find("Gizmo", scopes=("shared",), most=5, metadata={"category": "a"})
    assert nobody.hits == ()


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


async def test_an_index_of_an_older_form_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "words.sqlite"
    with closing(sqlite3.connect(file)) as older, older:
        older.execute("CREATE TABLE documents (document_id TEXT PRIMARY KEY, version INTEGER, scope TEXT)")
        older.execute("INSERT INTO documents VALUES ('a', 1, 'shared')")
    async with open_lexicon(file) as opened:
        assert await opened.versions() == {}
        await put(opened, "a", "apples")
    async with open_lexicon(file) as opened:
        assert await found(opened, "apples") == ["a.1.0"]
