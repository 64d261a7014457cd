"""The document store's embedded form: pymongo's asynchronous interface on one SQLite file.

What is written is on disk before the caller is answered (fsync, shared by all who write at the moment), and several
processes may use one file. A caller that is cancelled while it waits for a write may find that it was made all the
same. Operators, stages and options outside the common subset raise `UnsupportedQuery`; SQLite's errors become
`StoreUnavailable`; `DuplicateKeyError`, `WriteError` and the like stay pymongo's. A command is all or nothing, also
where MongoDB would stop half-way (`update_many`); only `insert_many` keeps what came before a refused document.
"""
# ruff: noqa: A002, N803  -- the parameters' names are pymongo's

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo.errors import InvalidName
from pymongo.results import DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from checkpoints.collections import Changes, Document, Filter, Order, Projection
from checkpoints.embedded import commands
from checkpoints.embedded.body import copied, encoded
from checkpoints.embedded.catalogue import Index
from checkpoints.embedded.cursor import EmbeddedCursor, EmbeddedResults, query_of
from checkpoints.embedded.engine import READERS, Engine
from checkpoints.embedded.pipeline import leading_match, pipeline_of
from checkpoints.embedded.session import Session, open_sessions
from checkpoints.embedded.shape import Shape, keys_of
from checkpoints.embedded.table import Query, Stored
from checkpoints.embedded.update import Update
from domain.errors import UnsupportedQuery


@asynccontextmanager
async def open_documents(path: Path, *, busy_seconds: float = 5.0) -> AsyncIterator["EmbeddedDatabase"]:
    """Open the document store in a file, which is created where it does not exist.

    Raises `StoreUnavailable` where the file cannot be used.

    Args:
        busy_seconds: How long a write waits for other processes before it raises `StoreUnavailable`.
    """
    engine = await Engine.opened(partial(open_sessions, path, readers=READERS, busy_seconds=busy_seconds))
    try:
        yield EmbeddedDatabase(engine)
    finally:
        await engine.close()


class EmbeddedDatabase:
    """Collections by name."""

    def __init__(self, engine: Engine[Session]) -> None:
        self._engine = engine

    def __getitem__(self, name: str) -> "EmbeddedCollection":
        """Return a collection; raises pymongo's `InvalidName`."""
        if not name or "$" in name or "\0" in name or ".." in name or name[0] == "." or name[-1] == ".":
            raise InvalidName(f"{name!r} cannot name a collection.")
        return EmbeddedCollection(self._engine, name)


class EmbeddedCollection:
    """A named set of documents; see `checkpoints.collections.Collection`."""

    def __init__(self, engine: Engine[Session], name: str) -> None:
        self._engine = engine
        self.name = name

    async def insert_one(self, document: Document) -> InsertOneResult:
        """Insert a document; like pymongo, gives it an `_id` where it has none."""
        document.setdefault("_id", ObjectId())
        await self._engine.write(partial(commands.insert, name=self.name, body=encoded(document)))
        return InsertOneResult(document["_id"], acknowledged=True)

    async def insert_many(self, documents: Sequence[Document]) -> InsertManyResult:
        """Insert documents in order up to the first that is refused; then raises `BulkWriteError`."""
        if not documents:
            raise TypeError("documents must be a non-empty list")
        for document in documents:
            document.setdefault("_id", ObjectId())
        bodies = [encoded(document) for document in documents]
        refused = await self._engine.write(partial(commands.insert_in_order, name=self.name, bodies=bodies))
        if refused:
            raise refused
        return InsertManyResult([document["_id"] for document in documents], acknowledged=True)

    async def find_one(
        self, filter: Filter | None = None, projection: Projection | None = None, *, sort: Order | None = None
    ) -> Document | None:
        """Return the first document that matches."""
        query, shape = query_of(filter, sort, limit=1), Shape(projection)
        found = await self._engine.read(partial(commands.find, name=self.name, query=query))
        return shape.of(found[0]) if found else None

    def find(self, filter: Filter | None = None, projection: Projection | None = None) -> EmbeddedCursor:
        """Return the documents that match."""
        return EmbeddedCursor(self._engine, self.name, query_of(filter), Shape(projection))

    async def find_one_and_update(
        self,
        filter: Filter,
        update: Changes,
        projection: Projection | None = None,
        sort: Order | None = None,
        upsert: bool = False,
        return_document: bool = False,
    ) -> Document | None:
        """Change the first document that matches and return it as it was before or is after."""
        shape = Shape(projection)
        changed = await self._change(query_of(filter, sort, limit=1), Update(copied(update)), upsert=upsert)
        stored = changed.after if return_document else changed.before
        return None if stored is None else shape.of(stored.fresh())

    async def find_one_and_delete(
        self, filter: Filter, projection: Projection | None = None, sort: Order | None = None
    ) -> Document | None:
        """Remove the first document that matches and return it."""
        shape = Shape(projection)
        removed = await self._delete(query_of(filter, sort, limit=1))
        return shape.of(removed[0].document) if removed else None

    async def update_one(self, filter: Filter, update: Changes, upsert: bool = False) -> UpdateResult:
        """Change the first document that matches."""
        changed = await self._change(query_of(filter, limit=1), Update(copied(update)), upsert=upsert)
        return UpdateResult(changed.result, acknowledged=True)

    async def update_many(self, filter: Filter, update: Changes, upsert: bool = False) -> UpdateResult:
        """Change every document that matches."""
        changed = await self._change(query_of(filter), Update(copied(update)), upsert=upsert)
        return UpdateResult(changed.result, acknowledged=True)

    async def replace_one(self, filter: Filter, replacement: Document, upsert: bool = False) -> UpdateResult:
        """Put another document in the place of the first that matches."""
        if any(name.startswith("$") for name in replacement):
            raise UnsupportedQuery("A replacement has no operators.")
        wanted = commands.Replacement(copied(replacement))
        changed = await self._change(query_of(filter, limit=1), wanted, upsert=upsert)
        return UpdateResult(changed.result, acknowledged=True)

    async def delete_one(self, filter: Filter) -> DeleteResult:
        """Remove the first document that matches."""
        return DeleteResult({"n": len(await self._delete(query_of(filter, limit=1)))}, acknowledged=True)

    async def delete_many(self, filter: Filter) -> DeleteResult:
        """Remove every document that matches."""
        return DeleteResult({"n": len(await self._delete(query_of(filter)))}, acknowledged=True)

    async def count_documents(self, filter: Filter) -> int:
        """Return how many documents match."""
        return await self._engine.read(partial(commands.count, name=self.name, query=query_of(filter)))

    async def distinct(self, key: str, filter: Filter | None = None) -> list[Any]:
        """Return the different values of a field, array elements one by one."""
        return await self._engine.read(partial(commands.distinct, name=self.name, query=query_of(filter), path=key))

    async def aggregate(self, pipeline: Sequence[Filter]) -> EmbeddedResults:
        """Run a pipeline: `$match $group $sort $skip $limit $project $count`."""
        conditions, stages = leading_match(copied({"stages": pipeline})["stages"])
        work = partial(commands.aggregate, name=self.name, query=query_of(conditions), run=pipeline_of(stages))
        return EmbeddedResults(await self._engine.read(work))

    async def create_index(
        self,
        keys: str | Order,
        *,
        name: str | None = None,
        unique: bool = False,
        sparse: bool = False,
        partialFilterExpression: Filter | None = None,
    ) -> str:
        """Create an index unless it is there, and return its name; raises `OperationFailure` for a name taken.

        An index on paths where documents have arrays does not speed up queries, and a unique one refuses arrays.
        """
        pairs = keys_of(keys)
        filed = None if partialFilterExpression is None else copied(partialFilterExpression)
        named = name or "_".join(f"{path}_{direction}" for path, direction in pairs)
        index = Index(named, pairs, unique=unique, sparse=sparse, partial=filed)
        await self._engine.write(partial(commands.create_index, name=self.name, index=index))
        return named

    async def drop(self) -> None:
        """Remove the collection, its documents and its indexes."""
        await self._engine.write(partial(commands.drop, name=self.name))

    async def _change(self, query: Query, wanted: commands.Change, *, upsert: bool) -> commands.Changed:
        work = partial(commands.change, name=self.name, query=query, wanted=wanted, upsert=upsert)
        return await self._engine.write(work)

    async def _delete(self, query: Query) -> list[Stored]:
        return await self._engine.write(partial(commands.delete, name=self.name, query=query))
