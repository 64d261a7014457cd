"""The part of pymongo's asynchronous interface that repositories use; both forms of the document store have it.

Signatures, results and errors are pymongo's. Repositories are typed against these protocols: `AsyncDatabase` satisfies
them, and so does what `checkpoints.documents.open_documents` gives.
"""
# ruff: noqa: A002, N803  -- the parameters' names are pymongo's

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol, Self

from pymongo.results import DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

type Document = dict[str, Any]  # BSON knows no narrower type; repositories build domain objects from it
type Filter = Mapping[str, Any]
type Changes = Mapping[str, Any]
type Order = Sequence[tuple[str, int]]
type Projection = Mapping[str, Any] | Sequence[str]


class Results(Protocol):
    """Documents to be read, once."""

    def __aiter__(self) -> AsyncIterator[Document]:
        """Read them one by one."""
        ...

    async def to_list(self, length: int | None = None) -> list[Document]:
        """Read all that are left, or at most so many."""
        ...


class Cursor(Results, Protocol):
    """A query that is sent when its first document is read."""

    def sort(self, key_or_list: str | Order, direction: int | None = None) -> Self:
        """Order by a field, or by several: 1 for ascending, -1 for descending."""
        ...

    def skip(self, skip: int) -> Self:
        """Leave out the first so many."""
        ...

    def limit(self, limit: int) -> Self:
        """Find at most so many; 0 means all."""
        ...


class Collection(Protocol):
    """A named set of documents; every write raises `DuplicateKeyError` where a unique index refuses it."""

    async def insert_one(self, document: Document) -> InsertOneResult:
        """Insert a document; it gets an `_id` where it has none."""
        ...

    async def insert_many(self, documents: Sequence[Document]) -> InsertManyResult:
        """Insert documents in order up to the first that is refused; then raises `BulkWriteError`."""
        ...

    async def find_one(
        self, filter: Filter | None = None, projection: Projection | None = None, *, sort: Order | None = None
    ) -> Document | None:
        """Return the first document that matches."""
        ...

    def find(self, filter: Filter | None = None, projection: Projection | None = None) -> Cursor:
        """Return the documents that match."""
        ...

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
        ...

    async def find_one_and_delete(
        self, filter: Filter, projection: Projection | None = None, sort: Order | None = None
    ) -> Document | None:
        """Remove the first document that matches and return it."""
        ...

    async def update_one(self, filter: Filter, update: Changes, upsert: bool = False) -> UpdateResult:
        """Change the first document that matches."""
        ...

    async def update_many(self, filter: Filter, update: Changes, upsert: bool = False) -> UpdateResult:
        """Change every document that matches."""
        ...

    async def replace_one(self, filter: Filter, replacement: Document, upsert: bool = False) -> UpdateResult:
        """Put another document in the place of the first that matches."""
        ...

    async def delete_one(self, filter: Filter) -> DeleteResult:
        """Remove the first document that matches."""
        ...

    async def delete_many(self, filter: Filter) -> DeleteResult:
        """Remove every document that matches."""
        ...

    async def count_documents(self, filter: Filter) -> int:
        """Return how many documents match."""
        ...

    async def distinct(self, key: str, filter: Filter | None = None) -> list[Any]:
        """Return the different values of a field, array elements one by one."""
        ...

    async def aggregate(self, pipeline: Sequence[Mapping[str, Any]]) -> Results:
        """Run a pipeline."""
        ...

    async def create_index(
        self,
        keys: str | Order,
        *,
        name: str = ...,
        unique: bool = ...,
        sparse: bool = ...,
        partialFilterExpression: Filter = ...,
    ) -> str:
        """Create an index unless it is there, and return its name."""
        ...

    async def drop(self) -> None:
        """Remove the collection, its documents and its indexes."""
        ...


class Database(Protocol):
    """Collections by name; they exist from the first write."""

    def __getitem__(self, name: str) -> Collection:
        """Return a collection."""
        ...
