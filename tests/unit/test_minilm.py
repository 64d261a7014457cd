"""The embedded embedding: the published weights or none, and vectors that mean something."""

import asyncio
import math
import shutil
from pathlib import Path

import pytest

from domain.errors import ModelUnavailable
from tools.knowledge.minilm import FINGERPRINT, open_minilm, weights_folder


def alike(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_the_same_meaning_is_nearer_than_another_one() -> None:
    model = await open_minilm()
    asked = await model.of_query("How long do I have to send it back?")
    near, far = await model.of_documents(["Returns are possible for 30 days.", "The oven heats to 480 degrees."])
    assert alike(asked, near) > 0.3 > alike(asked, far)
    assert {len(vector) for vector in (asked, near, far)} == {FINGERPRINT.dimension}
    assert all(math.isclose(alike(vector, vector), 1.0, rel_tol=1e-5) for vector in (asked, near, far))


async def test_a_text_has_the_same_vector_whatever_stands_beside_it() -> None:
    model = await open_minilm()
    texts = ["Short.", "A sentence of middling length about cars.", "word " * 400, "", "日本語 and émojis 😀"]
    together = await model.of_documents(texts)
    alone = [(await model.of_documents([text]))[0] for text in texts]
    assert all(alike(one, other) > 0.99999 for one, other in zip(together, alone, strict=True))


PUBLISHED = {
    "Returns are possible for 30 days.": (-0.069695, -0.015202, 0.00376, 0.042147),
    "word " * 400: (-0.008124, -0.095586, -0.038673, 0.049662),
    "日本語 and émojis 😀": (-0.030247, -0.019704, 0.123076, -0.063215),
}
"""The beginnings of vectors, the same as those of sentence-transformers: stored vectors must stay comparable."""


async def test_vectors_are_those_of_the_published_model() -> None:
    made = await (await open_minilm()).of_documents(list(PUBLISHED))
    for vector, expected in zip(made, PUBLISHED.values(), strict=True):
        assert vector[:4] == pytest.approx(expected, abs=2e-6)


async def test_many_may_ask_at_once() -> None:
    model = await open_minilm()
    asking = [model.of_query(f"question {number}") for number in range(20)]
    assert len({tuple(vector) for vector in await asyncio.gather(*asking)}) == 20


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
async def test_weights_that_are_not_the_published_ones_are_not_used(tmp_path: Path, name: str) -> None:
    for file in ("model.safetensors", "tokenizer.json"):
        shutil.copy(weights_folder() / file, tmp_path / file)
    with (tmp_path / name).open("r+b") as opened:
        opened.seek(1_000)
        opened.write(b"\x00\x01")
    with pytest.raises(ModelUnavailable, match="not the published one"):
        await open_minilm(tmp_path)


async def test_weights_that_are_missing_are_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        await open_minilm(tmp_path)
