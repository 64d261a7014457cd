"""Checkpoints in a SQLite file: who writes at the same moment shares a commit, and every commit is synced."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from checkpoints.embedded.engine import READERS, Engine
from checkpoints.embedded.transactions import Connected
from checkpoints.lean.parts import Care, Found, Kept, Place, Written
from checkpoints.lean.table import TABLES, Table
from checkpoints.locks import Lease, lapsed, writing_lease
from domain.errors import StoreUnavailable

BUSY_SECONDS: Final = 5.0
_FORMAT: Final = 0x0A0D0C03  # PRAGMA application_id: a file of ours, in the second format


class Opened(Connected):
    """A connection to the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, store=f"checkpoints' file {path.name}", busy_seconds=BUSY_SECONDS)
        self.table = Table(self.connection)

    def prepare(self) -> None:
        """Make the file ours, or see that it is; raises `StoreUnavailable` for a file of somebody else."""
        self.enter_wal(time.monotonic() + BUSY_SECONDS)
        with self.transaction("BEGIN IMMEDIATE"):
            (stamp,) = self.connection.execute("PRAGMA application_id").fetchone()
            names = {name for (name,) in self.connection.execute("SELECT name FROM sqlite_master")}
            if stamp == _FORMAT:
                return
            if "checkpoints" in names:
                raise StoreUnavailable(
                    f"The {self.store} was written by langgraph-checkpoint-sqlite: move it away. `python -m"
                    " boot.checkpoints copy` takes its threads over."
                )
            if stamp or names:
                raise StoreUnavailable(f"The {self.store} belongs to another program or version.")
            for statement in TABLES:
                self.connection.execute(statement)
            self.connection.execute(f"PRAGMA application_id = {_FORMAT}")


class SqliteShelf:
    """A `Shelf` in a file; `opened` makes it."""

    def __init__(self, engine: Engine[Opened], care: Care) -> None:
        self._engine = engine
        self._care = care

    @classmethod
    async def opened(cls, path: Path, care: Care) -> "SqliteShelf":
        """Open the file; raises `StoreUnavailable` where it cannot be used."""
        return cls(await Engine.opened(partial(_connections, path)), care)

    async def store(self, place: Place, lease: Lease | None, kept: Kept | None, written: Sequence[Written]) -> None:
        """See `Shelf`. A file belongs to one process, so whether its lease is over is asked of the lease alone."""
        most = self._care.kept

        def work(opened: Opened) -> None:
            if lease and not lease.is_held():
                raise lapsed()
            for each in written:
                opened.table.write(place, each)
            if kept:
                opened.table.put(kept, most=most)

        await self._engine.write(work)

    async def one(self, place: Place) -> Found | None:
        """See `Shelf`."""
        return await self._engine.read(lambda opened: opened.table.one(place))

    async def page(self, thread: str, ns: str | None, *, before: str, most: int) -> list[Found]:
        """See `Shelf`."""
        return await self._engine.read(lambda opened: opened.table.page(thread, ns, before=before, most=most))

    async def threads(self) -> list[str]:
        """See `Shelf`."""
        return await self._engine.read(lambda opened: opened.table.threads())

    async def drop(self, thread: str, places: Sequence[Place] | None = None) -> None:
        """See `Shelf`."""

        def work(opened: Opened) -> None:
            if places is None:
                opened.table.drop_all(thread)
            for place in places or ():
                opened.table.drop(place, whole=False)

        await self._removed(work)

    async def retain(self, thread: str, kept: int) -> None:
        """See `Shelf`."""

        def work(opened: Opened) -> None:
            for ns in opened.table.namespaces(thread):
                opened.table.retain(thread, ns, kept, whole=False)

        await self._removed(work)

    async def close(self) -> None:
        """Finish what was asked for and close the file."""
        await self._engine.close()

    async def _removed(self, work: Callable[[Opened], None]) -> None:
        writing_lease()
        await self._engine.write(work)


def _connections(path: Path) -> list[Opened]:
    opened: list[Opened] = []
    try:
        for _ in range(1 + READERS):
            opened.append(Opened(path))
            if len(opened) == 1:
                opened[0].prepare()
            opened[-1].settle()
    except (sqlite3.Error, StoreUnavailable) as error:
        for each in opened:
            each.connection.close()
        if isinstance(error, StoreUnavailable):
            raise
        raise StoreUnavailable(f"The checkpoint file {path.name} cannot be used.") from error
    return opened
