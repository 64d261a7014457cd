"""The small piece of SQL the demo services need, the same on SQLite and PostgreSQL."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import aiosqlite

type Value = int | str | None
type Row = dict[str, Value]

LOCK_WAIT_SECONDS = 5.0


class DatabaseUnavailable(Exception):
    """The database does not answer or cannot be written; nothing of the transaction was kept, as far as is known."""


class Transaction(Protocol):
    """A transaction under way: all of it is kept, or nothing."""

    async def rows(self, sql: str, *values: Value) -> list[Row]:
        """Run one statement with `?` for its values and return the rows it gives."""
        ...


class Database(Protocol):
    """Where a service keeps its data; usable between `async with` and its end."""

    async def __aenter__(self) -> Self:
        """Connect; raises `DatabaseUnavailable`."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Return a transaction that is kept unless its block raises; raises `DatabaseUnavailable`."""
        ...


async def single(transaction: Transaction, sql: str, *values: Value) -> Row | None:
    """Return the first row of a statement, or None when it gives no row."""
    rows = await transaction.rows(sql, *values)
    return rows[0] if rows else None


async def prepare(transaction: Transaction, schema: str) -> None:
    """Create the tables that are missing; statements end with a semicolon."""
    for statement in filter(None, map(str.strip, schema.split(";"))):
        await transaction.rows(statement)


class SqliteTransaction:
    """A transaction on the one connection of a file."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str, *values: Value) -> list[Row]:
        """Run one statement and return the rows it gives."""
        async with self._connection.execute(sql, values) as cursor:
            return [dict(row) for row in await cursor.fetchall()]


class SqliteDatabase:
    """A database in one file; transactions of this process take turns, other processes are waited for.

    Args:
        file: Created with its folder when it is missing.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._turn = asyncio.Lock()
        self._connection: aiosqlite.Connection

    async def __aenter__(self) -> Self:
        """Open the file; raises `DatabaseUnavailable`."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = await aiosqlite.connect(self._file, isolation_level=None, timeout=LOCK_WAIT_SECONDS)
        except (OSError, sqlite3.Error) as error:
            raise DatabaseUnavailable(f"{self._file} cannot be opened.") from error
        try:
            await self._connection.execute("PRAGMA journal_mode = WAL")
            await self._connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            await self._connection.close()
            raise DatabaseUnavailable(f"{self._file} is no usable database.") from error
        self._connection.row_factory = aiosqlite.Row
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        await self._connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Return a transaction that is kept unless its block raises; raises `DatabaseUnavailable`."""
        async with self._turn:
            try:
                await self._connection.execute("BEGIN IMMEDIATE")
                yield SqliteTransaction(self._connection)
                await self._connection.commit()
            except sqlite3.OperationalError as error:
                raise DatabaseUnavailable(f"{self._file} cannot be used now.") from error
            finally:
                # Does nothing after a commit; a cancelled block leaves no half transaction to the next one.
                await self._connection.rollback()
