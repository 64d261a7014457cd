"""Checkpoints in a plain Redis or Valkey: two keys per thread, one script per step."""

import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from checkpoints.lean.line import Line, Script
from checkpoints.lean.parts import Care, Found, Kept, Place, Written
from checkpoints.lean.resp import Argument
from checkpoints.locks import Lease, lapsed, writing_lease
from checkpoints.redis import reason, tagged, untagged
from domain.errors import StoreUnavailable

PREFIX = "checkpoints:"
NO_CHECKPOINT = ("", "", "", "", "0", "", "0", "0", "0")
REFUSED, VALUES_GONE = 0, 2
LENGTH = struct.Struct(">I")
FOUND_AT_ONCE = 500


@cache
def script(name: str) -> Script:
    """Return a script with what all of them share."""
    here = Path(__file__).parent
    return Script((here / "shelf.lua").read_text() + (here / f"{name}.lua").read_text())


class RedisShelf:
    """A `Shelf` in Redis."""

    def __init__(self, line: Line, care: Care) -> None:
        self._line = line
        self._care = care
        self._life: tuple[Argument, Argument] = ("" if care.ttl_ms is None else care.ttl_ms, "1"[: care.ends_waiting])

    async def store(self, place: Place, lease: Lease | None, kept: Kept | None, written: Sequence[Written]) -> None:
        """See `Shelf`."""
        most = "" if self._care.kept is None else self._care.kept
        texts: list[bytes | str] = []
        if kept:
            texts += (kept.place.id, kept.parent, "1"[: kept.begins], kept.root, str(kept.depth), kept.record)
            texts += (str(len(kept.references)), *kept.references, str(kept.needed), str(len(kept.values)))
            for pair in kept.values:
                texts += pair
        else:
            texts += NO_CHECKPOINT
        for each in written:
            texts += (place.id, each.task, "1"[: each.asks], each.frames)
        done = await self._fenced("put", place.thread, lease, [*self._life, most, place.ns, _joined(texts)])
        if done == VALUES_GONE and kept:
            await self.store(place, lease, kept.whole(), written)

    async def one(self, place: Place) -> Found | None:
        """See `Shelf`."""
        found = await self._read(place.thread, "one", place.ns, place.id, 1)
        return found[0] if found else None

    async def page(self, thread: str, ns: str | None, *, before: str, most: int) -> list[Found]:
        """See `Shelf`."""
        how = "pages" if ns is None else "page"
        return await self._read(thread, how, ns or "", before, most)

    async def threads(self) -> list[str]:
        """See `Shelf`."""
        return sorted([thread async for thread in self._scanned()])

    async def drop(self, thread: str, places: Sequence[Place] | None = None) -> None:
        """See `Shelf`."""
        what = ["all"] if places is None else ["these", *(part for place in places for part in (place.ns, place.id))]
        await self._fenced("drop", thread, writing_lease(), [*self._life, *what])

    async def retain(self, thread: str, kept: int) -> None:
        """See `Shelf`."""
        await self._fenced("drop", thread, writing_lease(), [*self._life, "retain", kept])

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()

    async def _fenced(self, name: str, thread: str, lease: Lease | None, arguments: Sequence[Argument]) -> Any:
        """Run a script that writes, and return its answer."""
        keys = _keys(thread)
        value = ""
        if lease and lease.key:
            keys, value = [*keys, lease.key], lease.value
        with answering(lease):
            done = await self._line.run(script(name), keys, [value, *arguments])
        if done == REFUSED and lease:
            lease.lose()
            raise lapsed()
        return done

    async def _read(self, thread: str, *what: Argument) -> list[Found]:
        with answering(None):
            rows, references, values = await self._line.run(script("read"), _keys(thread), [*self._life, *what])
        known = {
            reference.decode(): value for reference, value in zip(references, values, strict=True) if value is not None
        }
        return [_found(thread, row, known) for row in rows]

    async def _scanned(self) -> AsyncIterator[str]:
        at = b"0"
        seen = set[bytes]()
        with answering(None):
            while True:
                at, keys = await self._line.ask("SCAN", at, "MATCH", f"{PREFIX}{{*}}", "COUNT", FOUND_AT_ONCE)
                for key in keys:
                    if key not in seen:
                        seen.add(key)
                        yield untagged(key.decode().removeprefix(PREFIX))
                if at == b"0":
                    return


@contextmanager
def answering(lease: Lease | None) -> Iterator[None]:
    """Turn what the driver raises into `StoreUnavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        if lease and not lease.is_held():
            raise lapsed() from error
        raise StoreUnavailable(f"The checkpoints' Redis {reason(error)}.") from error


def _joined(texts: Sequence[bytes | str]) -> bytes:
    """Return texts as one, each behind its length: put.lua takes it apart."""
    parts: list[bytes] = []
    for text in texts:
        each = text if isinstance(text, bytes) else text.encode()
        parts += (LENGTH.pack(len(each)), each)
    return b"".join(parts)


def _keys(thread: str) -> list[Argument]:
    """Return a thread's keys; the braces keep them, and the thread's lease, together in a cluster."""
    key = PREFIX + tagged(thread)
    return [key, f"{key}:order"]


def _found(thread: str, row: list[Any], values: dict[str, bytes]) -> Found:
    ns, id_, parent, record, references, tasks, frames = row
    return Found(
        place=Place(thread, ns.decode(), id_.decode()),
        parent=parent.decode(),
        record=record,
        references=[each.decode() for each in references],
        written=[(task.decode(), text) for task, text in zip(tasks, frames, strict=True)],
        values=values,
    )
