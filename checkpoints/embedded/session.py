"""A connection to the document store's file, what it knows of it, and how the file is opened."""

import sqlite3
import time
from pathlib import Path
from typing import Final

from checkpoints.embedded.catalogue import Catalogue
from checkpoints.embedded.table import Table
from checkpoints.embedded.transactions import Connected
from domain.errors import StoreUnavailable

STORE: Final = "document store"
_FORMAT: Final = 0x0A0D0C01  # PRAGMA application_id: a file of ours, in the first format


class Session(Connected):
    """A connection and what it knows of the file; used by one thread at a time."""

    def __init__(self, path: Path, *, busy_seconds: float) -> None:
        super().__init__(path, store=STORE, busy_seconds=busy_seconds)
        self._catalogue = Catalogue(self.connection)

    def existing(self, name: str) -> Table | None:
        """Return a collection, or None as long as nothing was ever written to it."""
        layout = self._catalogue.layout(name)
        return None if layout is None else Table(self.connection, self._catalogue, layout)

    def created(self, name: str) -> Table:
        """Return a collection, creating it where it does not exist."""
        layout = self._catalogue.layout(name) or self._catalogue.create_collection(name)
        return Table(self.connection, self._catalogue, layout)

    def refresh(self) -> None:
        """Learn of collections that others made."""
        self._catalogue.refresh()

    def forget(self) -> None:
        """Forget collections that may not exist."""
        self._catalogue.forget()

    def prepare(self, deadline: float) -> None:
        """Make the file ours, or see that it is; raises `StoreUnavailable` for a file of somebody else.

        Args:
            deadline: Until when to wait for other processes, on the monotonic clock.
        """
        self.enter_wal(deadline)
        with self.transaction("BEGIN IMMEDIATE"):
            (stamp,) = self.connection.execute("PRAGMA application_id").fetchone()
            (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if stamp != _FORMAT and (stamp or tables):
                raise StoreUnavailable("The document store's file belongs to another program or version.")
            if not tables:
                self._catalogue.create()
                self.connection.execute(f"PRAGMA application_id = {_FORMAT}")


def open_sessions(path: Path, *, readers: int, busy_seconds: float) -> list[Session]:
    """Return one session to write and some to read; raises `StoreUnavailable` where the file cannot be used."""
    sessions: list[Session] = []
    try:
        for _ in range(1 + readers):
            session = Session(path, busy_seconds=busy_seconds)
            sessions.append(session)
            if session is sessions[0]:
                session.prepare(time.monotonic() + busy_seconds)
            session.settle()
    except (sqlite3.Error, StoreUnavailable) as error:
        for session in sessions:
            session.connection.close()
        if isinstance(error, StoreUnavailable):
            raise
        raise StoreUnavailable(f"The {STORE} could not be read or written.") from error
    return sessions
