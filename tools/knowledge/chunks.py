"""Cut a text into pieces that can be found and quoted: whole paragraphs, under the headings they stand below."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain.knowledge import Chunk, chunk_id_of

AIM_CHARS, MOST_CHARS = 700, 1_000
"""How long a piece is to be and may be; the embedded embedding reads about a thousand characters."""

SHORT_CHARS = 200
"""What is no longer than this says little alone: it joins its neighbour if the two may be one piece."""

MOST_HEADING = 300
MOST_CHUNKS = 20_000
HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t#]*$")
BLOCK = re.compile(r"\S(?:.*\S)?(?:\n[ \t]*\S.*)*")
SENTENCE = re.compile(r"\S.*?(?:[.!?\u3002\uff01\uff1f]+(?=\s|$)|\n(?=[ \t]*(?:[-*|>#`]|\d+[.)]\s))|$)", re.DOTALL)
LINE = re.compile(r"\S.*")


@dataclass(frozen=True)
class Block:
    """A part of a text that is better not cut.

    Args:
        bare: Whether it is headings and nothing else.
    """

    start: int
    end: int
    heading: str
    bare: bool = False


def chunks(text: str, *, document_id: str, version: int) -> list[Chunk]:
    """Return the pieces of a text in order; each is `text[start:end]`, and nothing but space lies between them."""
    return [
        Chunk(
            chunk_id=chunk_id_of(document_id, version, index),
            document_id=document_id,
            version=version,
            index=index,
            start=block.start,
            end=block.end,
            heading=block.heading[:MOST_HEADING],
            text=text[block.start : block.end],
        )
        for index, block in enumerate(_joined(_blocks(text)))
    ]


def title_of(text: str) -> str:
    """Return the first heading of a text, or its first line."""
    for line in text.splitlines():
        if line.strip():
            found = _heading(line.strip())
            return (found[2] if found else line.strip())[:120]
    return ""


def _heading(block: str) -> re.Match[str] | None:
    line = block[:MOST_HEADING].partition("\n")[0]
    return HEADING.match(line) if len(line) < MOST_HEADING else None


def _blocks(text: str) -> Iterator[Block]:
    above: list[tuple[int, str]] = []
    for found in BLOCK.finditer(text):
        if heading := _heading(found[0]):
            depth = len(heading[1])
            above = [*(one for one in above if one[0] < depth), (depth, heading[2])]
        path = " / ".join(title for _, title in above)
        bare = heading is not None and "\n" not in found[0]
        yield from _cut(text, Block(found.start(), found.end(), path, bare))


def _cut(text: str, block: Block, ways: Sequence[re.Pattern[str]] = (SENTENCE, LINE)) -> Iterator[Block]:
    """Yield a block, in sentences where it is too long, these in lines, and a line in equal parts."""
    if block.end - block.start <= MOST_CHARS:
        yield block
    elif ways:
        for part in ways[0].finditer(text, block.start, block.end):
            yield from _cut(text, _trimmed(text, Block(part.start(), part.end(), block.heading)), ways[1:])
    else:
        for start in range(block.start, block.end, MOST_CHARS):
            end = min(start + MOST_CHARS, block.end)
            if text[start:end].strip():
                yield _trimmed(text, Block(start, end, block.heading))


def _trimmed(text: str, block: Block) -> Block:
    part = text[block.start : block.end]
    lead = len(part) - len(part.lstrip())
    return Block(block.start + lead, block.start + len(part.rstrip()), block.heading)


def _joined(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield short neighbours under one heading as one, and no heading without what stands below it, if that fits."""
    open_: Block | None = None
    for block in blocks:
        if open_ and _belong_together(open_, block):
            open_ = Block(open_.start, block.end, block.heading, open_.bare and block.bare)
            continue
        if open_:
            yield open_
        open_ = block
    if open_:
        yield open_


def _belong_together(one: Block, other: Block) -> bool:
    length = other.end - one.start
    if one.bare:
        return length <= MOST_CHARS and f"{other.heading} / ".startswith(f"{one.heading} / ")
    short = min(one.end - one.start, other.end - other.start) <= SHORT_CHARS
    return other.heading == one.heading and length <= (MOST_CHARS if short else AIM_CHARS)
