"""Steps as one text, which put.lua unpacks: MessagePack, https://github.com/msgpack/msgpack/blob/master/spec.md.

Redis's own unpacker knows no `bin`, which packers make of bytes: here bytes and texts are both `str 32`.
"""

from collections.abc import Iterable, Sequence
from struct import Struct

from checkpoints.lean.parts import Kept, Place, Step, Written

_HEAD = Struct(">BI").pack
_STR, _ARRAY, _UINT = 0xDB, 0xDD, 0xCE
_FLAGS = (b"\xc2", b"\xc3")


def packed(steps: Sequence[Step]) -> bytes:
    """Return steps as put.lua takes them."""
    return _list(len(steps), map(_step, steps))


def _step(step: Step) -> bytes:
    tasks = _list(len(step.written), map(_task, step.written))
    return _list(11, (*(_checkpoint(step.kept) if step.kept else NO_CHECKPOINT), _text(step.place.id), tasks))


def _checkpoint(kept: Kept) -> tuple[bytes, ...]:
    return (
        _text(kept.place.id),
        _text(kept.parent),
        _FLAGS[kept.begins],
        _text(kept.root),
        _number(kept.depth),
        _raw(kept.record),
        _list(len(kept.references), map(_text, kept.references)),
        _number(kept.needed),
        _list(2 * len(kept.values), (_text(reference) + _raw(value) for reference, value in kept.values)),
    )


def _task(written: Written) -> bytes:
    return _list(3, (_text(written.task), _FLAGS[written.asks], _raw(written.frames)))


def _list(size: int, items: Iterable[bytes]) -> bytes:
    return _HEAD(_ARRAY, size) + b"".join(items)


def _text(value: str) -> bytes:
    return _HEAD(_STR, len(text := value.encode())) + text


def _raw(value: bytes) -> bytes:
    return _HEAD(_STR, len(value)) + value


def _number(value: int) -> bytes:
    return _HEAD(_UINT, value)


NOTHING = Kept(
    Place("", ""), "", begins=False, root="", depth=0, references=[], needed=0, record=b"", values=[], others=list
)
NO_CHECKPOINT = _checkpoint(NOTHING)
