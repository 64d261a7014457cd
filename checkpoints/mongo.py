"""The document store's networked form: pymongo's client, with its connection errors made ours in one place."""
# ruff: noqa: A002, N803  -- the parameters' names are pymongo's

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self

from pymongo import AsyncMongoClient, timeout
from pymongo import errors as driver
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.results import DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from checkpoints.collections import Changes, Document, Filter, Order, Projection, Results
from checkpoints.mongo_link import AUTHENTICATION_FAILED, Link
from domain.errors import ConfigurationError, StoreUnavailable

OPEN_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 4.0
PING_SECONDS: Final = 0.9
INDEX_SECONDS: Final = 600.0
"""How long an index may take: built on what a long life has stored, while the server serves."""


@asynccontextmanager
async def open_mongo(
    url: str,
    *,
    database: str,
    max_pool_size: int,
    open_seconds: float = OPEN_SECONDS,
    answer_seconds: float = ANSWER_SECONDS,
) -> AsyncIterator["MongoDatabase"]:
    """Open the document store on a MongoDB server and close its connections again.

    A write is acknowledged when a majority of the servers has it in its journal. Raises `ConfigurationError` for a URL,
    a name or a password that cannot be used, `StoreUnavailable` where no server answers.

    Args:
        max_pool_size: Connections to each server; who finds none free waits.
        open_seconds: How long a server that takes writes is looked for at the start, and how long connecting may take.
        answer_seconds: For one command: looking for the server, waiting for a connection, and the driver's retries.
    """
    link = Link(pool_max=max_pool_size)
    with _usable():
        client = _client(url, link, max_pool_size, open_seconds, answer_seconds)
    try:
        with _usable():
            opened = MongoDatabase(client[database], link)
            await opened.ping(seconds=open_seconds)
        yield opened
    finally:
        await client.close()


class MongoDatabase:
    """Collections by name."""

    def __init__(self, database: AsyncDatabase[Document], link: Link) -> None:
        self._database = database
        self._link = link

    def __getitem__(self, name: str) -> "MongoCollection":
        """Return a collection; raises pymongo's `InvalidName`."""
        return MongoCollection(self._database[name], self._link)

    @property
    def form(self) -> str:
        """What serves it, for people: servers and database, without name and password."""
        known = self._database.client.topology_description.server_descriptions()
        return f"MongoDB {','.join(f'{host}:{port}' for host, port in known)}/{self._database.name}"

    async def ping(self, *, seconds: float = PING_SECONDS) -> None:
        """Ask the server whether it is there, and wait so long at most; raises `StoreUnavailable`."""
        with timeout(seconds):
            await self._link.answer(self._database.command("ping"))

    def stats(self) -> dict[str, int]:
        """Return the connection pools' figures; see `Link.stats`."""
        return self._link.stats()


class MongoCollection:
    """A named set of documents; see `checkpoints.collections.Collection`."""

    def __init__(self, collection: AsyncCollection[Document], link: Link) -> None:
        self._collection = collection
        self._link = link

    async def insert_one(self, document: Document) -> InsertOneResult:
        """Insert a document; it gets an `_id` where it has none."""
        return await self._link.answer(self._collection.insert_one(document))

    async def insert_many(self, documents: Sequence[Document]) -> InsertManyResult:
        """Insert documents in order up to the first that is refused; then raises `BulkWriteError`."""
        return await self._link.answer(self._collection.insert_many(documents))

    async def find_one(
        self, filter: Filter | None = None, projection: Projection | None = None, *, sort: Order | None = None
    ) -> Document | None:
        """Return the first document that matches."""
        return await self._link.answer(self._collection.find_one(filter, projection, sort=sort))

    def find(self, filter: Filter | None = None, projection: Projection | None = None) -> "MongoCursor":
        """Return the documents that match."""
        return MongoCursor(self._collection.find(filter, projection), self._link)

    async def find_one_and_update(
        self,
        filter: Filter,
        update: Changes,
        projection: Projection | None = None,
        sort: Order | None = None,
        upsert: bool = False,
        return_document: bool = False,
    ) -> Document | None:
        """Change the first document that matches, in one atomic step, and return it as it was before or is after."""
        return await self._link.answer(
            self._collection.find_one_and_update(filter, update, projection, sort, upsert, return_document)
        )

    async def find_one_and_delete(
        self, filter: Filter, projection: Projection | None = None, sort: Order | None = None
    ) -> Document | None:
        """Remove the first document that matches and return it."""
        return await self._link.answer(self._collection.find_one_and_delete(filter, projection, sort))

    async def update_one(self, filter: Filter, update: Changes, upsert: bool = False) -> UpdateResult:
        """Change the first document that matches."""
        return await self._link.answer(self._collection.update_one(filter, update, upsert))

    async def update_many(self, filter: Filter, update: Changes, upsert: bool = False) -> UpdateResult:
        """Change every document that matches."""
        return await self._link.answer(self._collection.update_many(filter, update, upsert))

    async def replace_one(self, filter: Filter, replacement: Document, upsert: bool = False) -> UpdateResult:
        """Put another document in the place of the first that matches."""
        return await self._link.answer(self._collection.replace_one(filter, replacement, upsert))

    async def delete_one(self, filter: Filter) -> DeleteResult:
        """Remove the first document that matches."""
        return await self._link.answer(self._collection.delete_one(filter))

    async def delete_many(self, filter: Filter) -> DeleteResult:
        """Remove every document that matches."""
        return await self._link.answer(self._collection.delete_many(filter))

    async def count_documents(self, filter: Filter) -> int:
        """Return how many documents match."""
        return await self._link.answer(self._collection.count_documents(filter))

    async def distinct(self, key: str, filter: Filter | None = None) -> list[Any]:
        """Return the different values of a field, array elements one by one."""
        return await self._link.answer(self._collection.distinct(key, filter))

    async def aggregate(self, pipeline: Sequence[Mapping[str, Any]]) -> Results:
        """Run a pipeline."""
        return MongoResults(await self._link.answer(self._collection.aggregate(pipeline)), self._link)

    async def create_index(
        self,
        keys: str | Order,
        *,
        name: str | None = None,
        unique: bool = False,
        sparse: bool = False,
        partialFilterExpression: Filter | None = None,
    ) -> str:
        """Create an index unless it is there, and return its name; several processes may do it at once."""
        given: dict[str, Any] = {
            "name": name,
            "unique": unique,
            "sparse": sparse,
            "partialFilterExpression": partialFilterExpression,
        }
        options = {option: value for option, value in given.items() if value}
        with timeout(INDEX_SECONDS):
            return await self._link.answer(self._collection.create_index(keys, **options))

    async def drop(self) -> None:
        """Remove the collection, its documents and its indexes."""
        await self._link.answer(self._collection.drop())


class MongoResults:
    """Documents to be read, once."""

    def __init__(self, cursor: Any, link: Link) -> None:
        self._cursor = cursor
        self._link = link

    async def __aiter__(self) -> AsyncIterator[Document]:
        """Read them one by one."""
        while found := await self.to_list(1):
            yield found[0]

    async def to_list(self, length: int | None = None) -> list[Document]:
        """Read all that are left, or at most so many."""
        found: list[Document] = await self._link.answer(self._cursor.to_list(length))
        return found


class MongoCursor(MongoResults):
    """A query that is sent when its first document is read."""

    def sort(self, key_or_list: str | Order, direction: int | None = None) -> Self:
        """Order by a field, or by several: 1 for ascending, -1 for descending."""
        self._cursor.sort(key_or_list, direction)
        return self

    def skip(self, skip: int) -> Self:
        """Leave out the first so many."""
        self._cursor.skip(skip)
        return self

    def limit(self, limit: int) -> Self:
        """Find at most so many; 0 means all."""
        self._cursor.limit(limit)
        return self


def _client(
    url: str, link: Link, max_pool_size: int, open_seconds: float, answer_seconds: float
) -> AsyncMongoClient[Document]:
    """Return a client that has not connected yet; what is said here wins over the URL."""
    return AsyncMongoClient(
        url,
        appname="orchestrator",
        tz_aware=True,
        w="majority",
        journal=True,
        readConcernLevel="majority",
        readPreference="primary",
        retryWrites=True,
        retryReads=True,
        maxPoolSize=max_pool_size,
        serverSelectionTimeoutMS=round(open_seconds * 1000),
        connectTimeoutMS=round(open_seconds * 1000),
        timeoutMS=round(answer_seconds * 1000),
        event_listeners=[link],
    )


@contextmanager
def _usable() -> Iterator[None]:
    """Turn what pymongo says of settings into `ConfigurationError`; its words may hold a password and stay inside."""
    try:
        yield
    except driver.InvalidName as error:
        raise ConfigurationError("MONGODB_DATABASE cannot name a database.") from error
    except (driver.ConfigurationError, ValueError, TypeError) as error:
        raise ConfigurationError("MONGODB_URL cannot be used; it reads mongodb://user:password@host:27017/.") from error
    except StoreUnavailable as error:
        if isinstance(error.__cause__, driver.OperationFailure) and error.__cause__.code == AUTHENTICATION_FAILED:
            raise ConfigurationError("MONGODB_URL: the server does not take this user and password.") from error
        raise
