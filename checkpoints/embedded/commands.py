"""What each of a collection's methods does inside its transaction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from bson import ObjectId
from pymongo.errors import BulkWriteError, DuplicateKeyError

from checkpoints.embedded.body import decoded, encoded
from checkpoints.embedded.catalogue import Index
from checkpoints.embedded.ordering import key
from checkpoints.embedded.paths import MISSING, Document, leaves, split
from checkpoints.embedded.session import Session
from checkpoints.embedded.table import Query, Stored
from checkpoints.embedded.update import seed


class Change(Protocol):
    """An update or a replacement."""

    def change(self, document: Document) -> Document:
        """Return what becomes of a document, which may be changed in place."""
        ...

    def create(self, conditions: Mapping[str, Any]) -> Document:
        """Return what an upsert inserts when nothing met the conditions."""
        ...


class Replacement:
    """A whole document in the place of another; it keeps the other's `_id`."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def change(self, document: Document) -> Document:
        """Return the replacement."""
        return {"_id": document["_id"]} | self._document

    def create(self, conditions: Mapping[str, Any]) -> Document:
        """Return the replacement with the `_id` the conditions fix, if they do."""
        found = seed(conditions)
        return ({"_id": found["_id"]} if "_id" in found else {}) | self._document


class Changed(NamedTuple):
    """What came of a change.

    Args:
        before: The first document that matched, as it was.
        after: The same document as it is now, or the one that was inserted.
    """

    matched: int = 0
    modified: int = 0
    before: Stored | None = None
    after: Stored | None = None

    @property
    def result(self) -> dict[str, Any]:
        """The outcome as MongoDB words it."""
        inserted = {} if self.matched or self.after is None else {"upserted": self.after.document["_id"]}
        return {"n": self.matched, "nModified": self.modified, "ok": 1.0} | inserted


def find(session: Session, name: str, query: Query) -> list[Document]:
    """Return the documents that match."""
    table = session.existing(name)
    return [stored.document for stored in table.find(query)] if table else []


def insert(session: Session, name: str, body: bytes) -> None:
    """Insert a document."""
    session.created(name).insert(body)


def insert_in_order(session: Session, name: str, bodies: Sequence[bytes]) -> BulkWriteError | None:
    """Insert documents up to the first that is refused; what came before it stays, so the error is returned."""
    table = session.created(name)
    for place, body in enumerate(bodies):
        try:
            table.insert(body)
        except DuplicateKeyError as error:
            refused = {**(error.details or {}), "index": place, "op": decoded(body)}
            return BulkWriteError({"nInserted": place, "writeErrors": [refused], "writeConcernErrors": []})
    return None


def change(session: Session, name: str, query: Query, wanted: Change, *, upsert: bool) -> Changed:
    """Change what the query finds, or insert where it finds nothing and `upsert` asks for it."""
    table = session.existing(name)
    found = table.find(query) if table else []
    if table and found:
        after = [table.replace(stored, wanted.change(stored.fresh())) for stored in found]
        modified = sum(new is not old for new, old in zip(after, found, strict=True))
        return Changed(len(found), modified, found[0], after[0])
    if not upsert:
        return Changed()
    document = wanted.create(query.conditions)
    document.setdefault("_id", ObjectId())
    return Changed(after=session.created(name).insert(encoded(document)))


def delete(session: Session, name: str, query: Query) -> list[Stored]:
    """Remove what the query finds and return it."""
    table = session.existing(name)
    found = table.find(query) if table else []
    for stored in found:
        table.delete(stored)  # type: ignore[union-attr]  # found only where there is a table
    return found


def count(session: Session, name: str, query: Query) -> int:
    """Return how many documents match."""
    table = session.existing(name)
    if table is None:
        return 0
    return sum(1 for _ in table.matching(query)) if query.conditions else table.count()


def distinct(session: Session, name: str, query: Query, path: str) -> list[object]:
    """Return the different values a path reaches, array elements one by one."""
    table, parts = session.existing(name), split(path)
    values: dict[bytes, object] = {}
    for stored in table.matching(query) if table else ():
        for leaf in leaves(stored.document, parts):
            values |= {
                key(value): value for value in (leaf if isinstance(leaf, list) else [leaf]) if value is not MISSING
            }
    return [values[place] for place in sorted(values)]


type Run = Callable[..., list[Document]]


def aggregate(session: Session, name: str, query: Query, run: Run) -> list[Document]:
    """Run a pipeline over what its first stage finds."""
    table = session.existing(name)
    return run(stored.document for stored in table.matching(query)) if table else run(())


def create_index(session: Session, name: str, index: Index) -> None:
    """Create an index unless it is there."""
    session.created(name).create_index(index)


def drop(session: Session, name: str) -> None:
    """Remove a collection."""
    table = session.existing(name)
    if table:
        table.drop()


def explain(session: Session, name: str, query: Query) -> list[str]:
    """Return how SQLite would search."""
    table = session.existing(name)
    return table.explain(query) if table else []
