"""A connection to the file, its transactions, and how the file is opened."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from checkpoints.embedded.catalogue import Catalogue
from checkpoints.embedded.table import Table
from domain.errors import StoreUnavailable

_FORMAT: Final = 0x0A0D0C01  # PRAGMA application_id: a file of ours, in the first format
_RETRY_SECONDS: Final = 0.01
_SETTINGS: Final = ("PRAGMA synchronous = FULL", "PRAGMA cache_size = -2000")  # kibibytes


class Session:
    """A connection and what it knows of the file; used by one thread at a time."""

    def __init__(self, path: Path, *, busy_seconds: float) -> None:
        self.connection = sqlite3.connect(
            path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        self._catalogue = Catalogue(self.connection)

    def existing(self, name: str) -> Table | None:
        """Return a collection, or None as long as nothing was ever written to it."""
        layout = self._catalogue.layout(name)
        return None if layout is None else Table(self.connection, self._catalogue, layout)

    def created(self, name: str) -> Table:
        """Return a collection, creating it where it does not exist."""
        layout = self._catalogue.layout(name) or self._catalogue.create_collection(name)
        return Table(self.connection, self._catalogue, layout)

    @contextmanager
    def transaction(self, begin: str) -> Iterator[None]:
        """Commit what happens inside, or undo it when it raises; raises `StoreUnavailable` when SQLite fails."""
        try:
            self.connection.execute(begin)
            self._catalogue.refresh()
            yield
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise _unavailable() from error
        except BaseException:
            self._roll_back()
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens inside, and only that, when it raises; raises `StoreUnavailable` when SQLite fails."""
        self.connection.execute("SAVEPOINT command")
        try:
            yield
        except sqlite3.Error as error:
            self._go_back()
            raise _unavailable() from error
        except BaseException:
            self._go_back()
            raise
        self.connection.execute("RELEASE command")

    def _roll_back(self) -> None:
        self._catalogue.forget()
        with suppress(sqlite3.Error):  # the first error is the one to tell
            self.connection.rollback()

    def _go_back(self) -> None:
        self._catalogue.forget()
        if self.is_open:
            self.connection.execute("ROLLBACK TO command")
            self.connection.execute("RELEASE command")
            self._catalogue.refresh()

    @property
    def is_open(self) -> bool:
        """Whether a transaction is under way; a full disk, for one, ends it without asking."""
        return self.connection.in_transaction

    def prepare(self, deadline: float) -> None:
        """Make the file ours, or see that it is; raises `StoreUnavailable` for a file of somebody else.

        Args:
            deadline: Until when to wait for other processes, on the monotonic clock.
        """
        self._enter_wal(deadline)
        with self.transaction("BEGIN IMMEDIATE"):
            (stamp,) = self.connection.execute("PRAGMA application_id").fetchone()
            (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if stamp != _FORMAT and (stamp or tables):
                raise StoreUnavailable("The document store's file belongs to another program or version.")
            if not tables:
                self._catalogue.create()
                self.connection.execute(f"PRAGMA application_id = {_FORMAT}")

    def _enter_wal(self, deadline: float) -> None:
        # Processes that enter WAL at once collide, and here SQLite does not wait by itself.
        while True:
            try:
                (mode,) = self.connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                break
        if mode != "wal":
            raise StoreUnavailable("The document store's file system does not allow a write-ahead log.")


def open_sessions(path: Path, *, readers: int, busy_seconds: float) -> list[Session]:
    """Return one session to write and some to read; raises `StoreUnavailable` where the file cannot be used."""
    sessions: list[Session] = []
    try:
        for _ in range(1 + readers):
            session = Session(path, busy_seconds=busy_seconds)
            sessions.append(session)
            if session is sessions[0]:
                session.prepare(time.monotonic() + busy_seconds)
            for setting in _SETTINGS:
                session.connection.execute(setting)
    except (sqlite3.Error, StoreUnavailable) as error:
        for session in sessions:
            session.connection.close()
        if isinstance(error, StoreUnavailable):
            raise
        raise _unavailable() from error
    return sessions


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("The document store could not be read or written.")
