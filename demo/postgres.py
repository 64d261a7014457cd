"""The demo services' database on a PostgreSQL server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from demo.database import DatabaseUnavailable, Row, Transaction, Value

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg.rows import DictRow

CONNECT_SECONDS = 5
CONNECTIONS = 4


class PostgresTransaction:
    """A transaction on one connection."""

    def __init__(self, connection: "AsyncConnection[DictRow]") -> None:
        self._connection = connection

    async def rows(self, sql: str, *values: Value) -> list[Row]:
        """Run one statement and return the rows it gives."""
        cursor = await self._connection.execute(sql.replace("?", "%s").encode(), values)
        return await cursor.fetchall() if cursor.description else []


class PostgresDatabase:
    """A schema of its own on a server, reached over a few connections that are opened when needed.

    Args:
        url: A libpq connection string or URL.
        schema: Created when it is missing; a plain lower-case word.
    """

    def __init__(self, url: str, *, schema: str) -> None:
        self._url = url
        self._schema = schema
        self._idle: asyncio.LifoQueue[AsyncConnection[DictRow] | None] = asyncio.LifoQueue()

    async def __aenter__(self) -> Self:
        """Create the schema; raises `DatabaseUnavailable`."""
        for _ in range(CONNECTIONS):
            self._idle.put_nowait(None)
        async with self.transaction() as transaction:
            # Two processes that create one schema at the same moment would fail without taking turns.
            await transaction.rows("SELECT pg_advisory_xact_lock(hashtext(?))", self._schema)
            await transaction.rows(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        async with AsyncExitStack() as closing:
            while not self._idle.empty():
                if connection := self._idle.get_nowait():
                    closing.push_async_callback(connection.close)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Return a transaction that is kept unless its block raises; raises `DatabaseUnavailable`."""
        import psycopg  # costs 0.2 s, and most demos run on SQLite

        try:
            async with self._connection() as connection, connection.transaction():
                yield PostgresTransaction(connection)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable("PostgreSQL does not answer.") from error

    @asynccontextmanager
    async def _connection(self) -> "AsyncIterator[AsyncConnection[DictRow]]":
        connection = await self._idle.get()
        try:
            if connection is None or not await _alive(connection):
                connection = await self._connect()
            yield connection
        finally:
            self._idle.put_nowait(connection)

    async def _connect(self) -> "AsyncConnection[DictRow]":
        from psycopg import AsyncConnection
        from psycopg.rows import dict_row

        return await AsyncConnection.connect(
            self._url,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=CONNECT_SECONDS,
            options=f"-c search_path={self._schema} -c statement_timeout=10s -c lock_timeout=5s",
        )


async def _alive(connection: "AsyncConnection[DictRow]") -> bool:
    """Return whether an idle connection outlived the server's last restart; closes it otherwise."""
    from psycopg import OperationalError

    try:
        await connection.execute("")
    except OperationalError:
        await connection.close()
        return False
    return True
