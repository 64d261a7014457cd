"""Checkpoints in tables of a SQLite file: what every transaction does. The same rules as put.lua's.

A value goes when none of the namespace's checkpoints refers to it any more.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Final

import ormsgpack

from checkpoints.lean.frames import merged
from checkpoints.lean.parts import Found, Kept, Place, Written

TABLES: Final = (
    """CREATE TABLE checkpoint (thread TEXT, ns TEXT, id TEXT, parent TEXT, milestone INTEGER DEFAULT 0, root TEXT,
    depth INTEGER, seed TEXT, refs BLOB, record BLOB, PRIMARY KEY (thread, ns, id))""",
    "CREATE TABLE value (thread TEXT, ref TEXT, value BLOB, PRIMARY KEY (thread, ref))",
    "CREATE TABLE written (thread TEXT, ns TEXT, id TEXT, task TEXT, frames BLOB, PRIMARY KEY (thread, ns, id, task))",
)
AT: Final = "thread = ? AND ns = ? AND id = ?"
ALL: Final = -1


class Table:
    """The tables, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._run_many = connection.executemany

    def write(self, place: Place, written: Written) -> None:
        """Store what a task wrote, unless its checkpoint was dropped meanwhile."""
        if self._newest(place) > place.id and not self._has(place):
            return
        row = self._run(f"SELECT frames FROM written WHERE {AT} AND task = ?", (*place, written.task)).fetchone()  # noqa: S608  # a constant
        frames = merged(row[0], written.frames) if row else written.frames
        self._run("INSERT OR REPLACE INTO written VALUES (?, ?, ?, ?, ?)", (*place, written.task, frames))
        if written.asks:
            self._promote(place)

    def put(self, kept: Kept, *, most: int | None) -> None:
        """Store a checkpoint, and values that went meanwhile, and let so many stay beside the newest; None: all."""
        place, refs = kept.place, ormsgpack.packb(kept.references)
        if not self._holds(place.thread, kept.references[: kept.needed]):
            kept = kept.whole()
        if kept.begins and kept.parent:
            self._promote(place._replace(id=kept.parent))
        self._run_many(
            "INSERT OR REPLACE INTO value VALUES (?, ?, ?)", [(place.thread, ref, text) for ref, text in kept.values]
        )
        self._run(
            """INSERT INTO checkpoint (thread, ns, id, parent, root, depth, seed, refs, record)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET parent = excluded.parent, root = excluded.root,
            depth = excluded.depth, seed = excluded.seed, refs = excluded.refs, record = excluded.record""",
            (*place, kept.parent, kept.root, kept.depth, self._seed(kept), refs, kept.record),
        )
        if most is not None:
            self.retain(place.thread, place.ns, most, whole=True)

    def one(self, place: Place) -> Found | None:
        """Return one checkpoint."""
        found = self._found(place.thread, f"{AT}", (*place[:2], place.id or self._newest(place)))
        return found[0] if found else None

    def page(self, thread: str, ns: str | None, *, before: str, most: int) -> list[Found]:
        """Return so many checkpoints, newest first."""
        wanted = "thread = ? AND (ns = ? OR ? IS NULL) AND (id < ? OR ? = '') ORDER BY id DESC, ns LIMIT ?"
        return self._found(thread, wanted, (thread, ns, ns, before, before, most))

    def threads(self) -> list[str]:
        """Return every thread."""
        return [thread for (thread,) in self._run("SELECT DISTINCT thread FROM checkpoint ORDER BY thread")]

    def namespaces(self, thread: str) -> list[str]:
        """Return every namespace of a thread."""
        return [ns for (ns,) in self._run("SELECT DISTINCT ns FROM checkpoint WHERE thread = ?", (thread,))]

    def drop_all(self, thread: str) -> None:
        """Remove everything of a thread."""
        for table in ("checkpoint", "value", "written"):
            self._run(f"DELETE FROM {table} WHERE thread = ?", (thread,))  # noqa: S608  # our own names

    def drop(self, place: Place, *, whole: bool) -> None:
        """Remove a checkpoint.

        Args:
            whole: With what the sub-graphs of its tasks stored.
        """
        row = self._run(f"SELECT refs FROM checkpoint WHERE {AT}", place).fetchone()  # noqa: S608  # a constant
        self._run(f"DELETE FROM checkpoint WHERE {AT}", place)  # noqa: S608  # a constant
        self._run(f"DELETE FROM written WHERE {AT}", place)  # noqa: S608  # a constant
        if row:
            self._release(place, ormsgpack.unpackb(row[0]))
        if whole and not place.ns:
            below = "SELECT thread, ns, id FROM checkpoint WHERE thread = ? AND root = ?"
            for each in self._run(below, (place.thread, place.id)).fetchall():
                self.drop(Place(*each), whole=False)

    def retain(self, thread: str, ns: str, most: int, *, whole: bool) -> None:
        """Let so many checkpoints stay beside the newest.

        Milestones rather than steps, new ones rather than old ones; where channels keep their changes only, the newest
        ones with every ancestor they are rebuilt from.
        """
        rows = self._run(
            "SELECT id, milestone, seed FROM checkpoint WHERE thread = ? AND ns = ? ORDER BY id DESC", (thread, ns)
        ).fetchall()
        for id_ in _surplus(rows, most):
            self.drop(Place(thread, ns, id_), whole=whole)

    def _found(self, thread: str, wanted: str, given: Iterable[str | int | None]) -> list[Found]:
        rows = self._run(f"SELECT ns, id, parent, record, refs FROM checkpoint WHERE {wanted}", tuple(given)).fetchall()  # noqa: S608  # constants
        refs = [ormsgpack.unpackb(row[4]) for row in rows]
        values = self._values(thread, {ref for each in refs for ref in each})
        return [
            Found(Place(thread, ns, id_), parent, record, each, self._written(Place(thread, ns, id_)), values)
            for (ns, id_, parent, record, _), each in zip(rows, refs, strict=True)
        ]

    def _values(self, thread: str, refs: Iterable[str]) -> dict[str, bytes]:
        found = {}
        for ref in refs:
            row = self._run("SELECT value FROM value WHERE thread = ? AND ref = ?", (thread, ref)).fetchone()
            if row:
                found[ref] = row[0]
        return found

    def _holds(self, thread: str, refs: Sequence[str]) -> bool:
        """Return whether all of these values are there; asked at every step, and so with few queries."""
        for some in batched(refs, 500):
            marks = ", ".join("?" * len(some))
            look = f"SELECT count(*) FROM value WHERE thread = ? AND ref IN ({marks})"  # noqa: S608  # marks alone
            if self._run(look, (thread, *some)).fetchone() != (len(some),):
                return False
        return True

    def _written(self, place: Place) -> list[tuple[str, bytes]]:
        return self._run(f"SELECT task, frames FROM written WHERE {AT}", place).fetchall()  # noqa: S608  # a constant

    def _has(self, place: Place) -> bool:
        return self._run(f"SELECT 1 FROM checkpoint WHERE {AT}", place).fetchone() is not None  # noqa: S608  # a constant

    def _newest(self, place: Place) -> str:
        (found,) = self._run("SELECT max(id) FROM checkpoint WHERE thread = ? AND ns = ?", place[:2]).fetchone()
        return found or ""

    def _promote(self, place: Place) -> None:
        self._run(f"UPDATE checkpoint SET milestone = 1 WHERE {AT}", place)  # noqa: S608  # a constant

    def _seed(self, kept: Kept) -> str:
        """Return the farthest ancestor that a checkpoint's channels are rebuilt from; empty where none is needed."""
        if not kept.depth:
            return ""
        look = f"SELECT id, parent, depth, seed FROM checkpoint WHERE {AT}"  # noqa: S608  # a constant
        above = self._run(look, kept.place._replace(id=kept.parent)).fetchone()
        if above and above[2] and above[2] + 1 == kept.depth:
            return str(above[3])
        seed = kept.place.id
        for _ in range(kept.depth):
            if above is None:
                break
            seed = above[0]
            above = self._run(look, kept.place._replace(id=above[1])).fetchone()
        return seed

    def _release(self, place: Place, refs: Sequence[str]) -> None:
        """Remove the values that no checkpoint of the namespace refers to."""
        left = set(refs)
        rows = self._run("SELECT refs FROM checkpoint WHERE thread = ? AND ns = ? ORDER BY id DESC", place[:2])
        for (each,) in rows:
            left.difference_update(ormsgpack.unpackb(each))
            if not left:
                return
        self._run_many("DELETE FROM value WHERE thread = ? AND ref = ?", [(place.thread, ref) for ref in left])


def _surplus(rows: Sequence[tuple[str, int, str]], most: int) -> list[str]:
    """Return the ids that go, of rows of id, milestone and seed, newest first."""
    if any(seed for _, _, seed in rows):
        stay = rows[: most + 1]
        floor = min(seed or id_ for id_, _, seed in stay)
        return [id_ for id_, _, _ in rows[most + 1 :] if id_ < floor]
    oldest = rows[:0:-1]  # but the newest
    by_worth = [row for row in oldest if not row[1]] + [row for row in oldest if row[1]]
    return [id_ for id_, _, _ in by_worth[: max(len(rows) - most - 1, 0)]]
