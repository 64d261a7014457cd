"""Cut a text into pieces that can be found and quoted: whole paragraphs, under the headings they stand below."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from domain.knowledge import Chunk, chunk_id_of

AIM_CHARS, MOST_CHARS = 700, 1_000
"""How long a piece is to be and may be; the embedded embedding reads about a thousand characters."""

MOST_HEADING = 300
MOST_CHUNKS = 20_000
HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t#]*$")
BLOCK = re.compile(r"\S(?:.*\S)?(?:\n[ \t]*\S.*)*")
SENTENCE = re.compile(r"\S.*?(?:[.!?\u3002\uff01\uff1f]+(?=\s|$)|\n|$)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A part of a text that is better not cut."""

    start: int
    end: int
    heading: str


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
        yield from _cut(text, Block(found.start(), found.end(), path))


def _cut(text: str, block: Block) -> Iterator[Block]:
    """Yield a block, in sentences where it is too long, and in equal parts where a sentence still is."""
    if block.end - block.start <= MOST_CHARS:
        yield block
        return
    for sentence in SENTENCE.finditer(text, block.start, block.end):
        for start in range(sentence.start(), sentence.end(), MOST_CHARS):
            end = min(start + MOST_CHARS, sentence.end())
            if text[start:end].strip():
                yield _trimmed(text, Block(start, end, block.heading))


def _trimmed(text: str, block: Block) -> Block:
    part = text[block.start : block.end]
    lead = len(part) - len(part.lstrip())
    return Block(block.start + lead, block.start + len(part.rstrip()), block.heading)


def _joined(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield short neighbours under one heading as one."""
    open_: Block | None = None
    for block in blocks:
        if open_ and block.heading == open_.heading and block.end - open_.start <= AIM_CHARS:
            open_ = Block(open_.start, block.end, open_.heading)
            continue
        if open_:
            yield open_
        open_ = block
    if open_:
        yield open_
