"""What a task wrote, as one text of frames: each write behind its length and its place. put.lua joins them, too."""

import struct
from collections.abc import Iterator

from langgraph.checkpoint.serde.types import INTERRUPT

FRAME = struct.Struct(">Ii")
"""How long a frame is without this, and the write's place: below 0 the special ones (LangGraph's `WRITES_IDX_MAP`)."""

LENGTHS = struct.Struct(">II")


def frame(index: int, task_path: str, channel: str, value: bytes) -> bytes:
    """Return a write as a frame."""
    path, name = task_path.encode(), channel.encode()
    body = LENGTHS.pack(len(path), len(name)) + path + name + value
    return FRAME.pack(len(body), index) + body


def frames_in(text: bytes) -> Iterator[tuple[int, str, str, bytes]]:
    """Yield index, path, channel and value of every write."""
    at = 0
    while at < len(text):
        size, index = FRAME.unpack_from(text, at)
        at += FRAME.size
        path, name = LENGTHS.unpack_from(text, at)
        begin = at + LENGTHS.size
        yield (
            index,
            text[begin : begin + path].decode(),
            text[begin + path : begin + path + name].decode(),
            text[begin + path + name : at + size],
        )
        at += size


def merged(old: bytes, new: bytes) -> bytes:
    """Join what a task wrote: what came first stays, place by place; a special place (below 0) has the last."""
    frames: dict[int, bytes] = {}
    for text in (old, new):
        at = 0
        while at < len(text):
            size, index = FRAME.unpack_from(text, at)
            end = at + FRAME.size + size
            if index not in frames or index < 0:
                frames[index] = text[at:end]
            at = end
    return b"".join(frames.values())


def asks(text: bytes) -> bool:
    """Whether a human is asked."""
    return any(channel == INTERRUPT for _, _, channel, _ in frames_in(text))
