"""Queries as callers build them, and the documents they get back."""

from collections import deque
from functools import partial
from typing import Any, Self

from pymongo.errors import InvalidOperation

from checkpoints.embedded import commands
from checkpoints.embedded.body import copied
from checkpoints.embedded.engine import Engine
from checkpoints.embedded.paths import Document
from checkpoints.embedded.query import matcher
from checkpoints.embedded.session import Session
from checkpoints.embedded.shape import Shape, keys_of
from checkpoints.embedded.table import Query
from domain.errors import UnsupportedQuery


def query_of(conditions: object, order: object = None, *, limit: int = 0) -> Query:
    """Return a checked query; raises `UnsupportedQuery` for what lies outside the common subset."""
    copy = {} if conditions is None else copied(conditions)
    return Query(copy, matcher(copy), () if order is None else keys_of(order), limit=limit)


class EmbeddedResults:
    """Documents to be read once.

    Args:
        found: The documents; None for those that `_found` is to fetch when the first is asked for.
    """

    def __init__(self, found: list[Document] | None = None) -> None:
        self._fetched = None if found is None else deque(found)

    async def to_list(self, length: int | None = None) -> list[Document]:
        """Return all that are left, or at most so many."""
        if length is not None and length < 1:
            raise ValueError("to_list() length must be greater than 0")
        waiting = await self._waiting()
        count = len(waiting) if length is None else min(length, len(waiting))
        return [waiting.popleft() for _ in range(count)]

    def __aiter__(self) -> Self:
        """Read them one by one."""
        return self

    async def __anext__(self) -> Document:
        """Return the next one."""
        waiting = await self._waiting()
        if not waiting:
            raise StopAsyncIteration
        return waiting.popleft()

    async def _waiting(self) -> deque[Document]:
        if self._fetched is None:
            self._fetched = deque(await self._found())
        return self._fetched

    async def _found(self) -> list[Document]:
        return []


class EmbeddedCursor(EmbeddedResults):
    """A query that is run when its first document is asked for."""

    def __init__(self, engine: Engine[Session], name: str, query: Query, shape: Shape) -> None:
        super().__init__()
        self._engine = engine
        self._name = name
        self._query = query
        self._shape = shape

    def sort(self, key_or_list: object, direction: int | None = None) -> Self:
        """Order by a field, or by several: 1 for ascending, -1 for descending."""
        return self._with(order=keys_of(key_or_list, direction))

    def skip(self, skip: int) -> Self:
        """Leave out the first so many."""
        return self._with(skip=_count(skip))

    def limit(self, limit: int) -> Self:
        """Find at most so many; 0 means all."""
        return self._with(limit=_count(limit))

    async def explain(self) -> Document:
        """Return SQLite's query plan, line by line."""
        return {"plan": await self._engine.read(partial(commands.explain, name=self._name, query=self._query))}

    def _with(self, **changed: Any) -> Self:
        if self._fetched is not None:
            raise InvalidOperation("cannot set options after executing query")
        self._query = self._query._replace(**changed)
        return self

    async def _found(self) -> list[Document]:
        found = await self._engine.read(partial(commands.find, name=self._name, query=self._query))
        return [self._shape.of(document) for document in found]


def _count(number: int) -> int:
    if number < 0:
        raise UnsupportedQuery("skip and limit take a number from 0.")
    return number
