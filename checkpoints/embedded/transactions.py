"""A connection to a SQLite file and its transactions."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from domain.errors import StoreUnavailable

_RETRY_SECONDS: Final = 0.01
_SETTINGS: Final = ("PRAGMA synchronous = FULL", "PRAGMA cache_size = -2000")  # kibibytes


class Connected:
    """A connection; used by one thread at a time.

    Args:
        store: What the file is, for people.
        busy_seconds: How long to wait for other processes.
    """

    def __init__(self, path: Path, *, store: str, busy_seconds: float) -> None:
        self.store = store
        self.connection = sqlite3.connect(
            path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=512
        )

    def refresh(self) -> None:
        """Learn what may have changed in the file since the last transaction."""

    def forget(self) -> None:
        """Forget what was learnt in a transaction that is undone."""

    @contextmanager
    def transaction(self, begin: str) -> Iterator[None]:
        """Commit what happens inside, or undo it when it raises; raises `StoreUnavailable` when SQLite fails."""
        try:
            self.connection.execute(begin)
            self.refresh()
            yield
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise self.unavailable() from error
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
            raise self.unavailable() from error
        except BaseException:
            self._go_back()
            raise
        self.connection.execute("RELEASE command")

    @property
    def is_open(self) -> bool:
        """Whether a transaction is under way; a full disk, for one, ends it without asking."""
        return self.connection.in_transaction

    def enter_wal(self, deadline: float) -> None:
        """Let the file have a write-ahead log; raises `StoreUnavailable` where it cannot.

        Args:
            deadline: Until when to wait for other processes, on the monotonic clock.
        """
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
            raise StoreUnavailable(f"The {self.store}'s file system does not allow a write-ahead log.")

    def settle(self) -> None:
        """Let every commit be synced, and the cache be small."""
        for setting in _SETTINGS:
            self.connection.execute(setting)

    def unavailable(self) -> StoreUnavailable:
        """Return what callers are told when SQLite fails."""
        return StoreUnavailable(f"The {self.store} could not be read or written.")

    def _roll_back(self) -> None:
        self.forget()
        with suppress(sqlite3.Error):  # the first error is the one to tell
            self.connection.rollback()

    def _go_back(self) -> None:
        self.forget()
        if self.is_open:
            self.connection.execute("ROLLBACK TO command")
            self.connection.execute("RELEASE command")
            self.refresh()
