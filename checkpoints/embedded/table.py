"""One collection inside a transaction: reads and changes documents in the table that holds them."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any, Final, NamedTuple

from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError

from checkpoints.embedded.body import decoded, encoded
from checkpoints.embedded.catalogue import Catalogue, Index, Layout, quoted
from checkpoints.embedded.ordering import key
from checkpoints.embedded.paths import MISSING, Document, lookup, split
from checkpoints.embedded.plan import Plan, planned
from checkpoints.embedded.query import Matcher
from checkpoints.embedded.shape import Keys, ordered
from domain.errors import UnsupportedQuery

_IMMUTABLE: Final = 66
_INVALID_ID: Final = 53
_DUPLICATE: Final = 11000
_INDEX_CONFLICT: Final = 86
_ID_INDEX: Final = Index("_id_", (("_id", 1),), unique=True)


class Query(NamedTuple):
    """Which documents, in which order; `matches` is the truth, the conditions narrow the search.

    Args:
        limit: At most so many; 0 for all.
    """

    conditions: Mapping[str, Any]
    matches: Matcher
    order: Keys = ()
    skip: int = 0
    limit: int = 0


class Stored(NamedTuple):
    """A document and where it lies; nobody changes the document, a change is made to a copy."""

    seq: int
    body: bytes
    document: Document

    def fresh(self) -> Document:
        """Return a copy of the document."""
        return decoded(self.body)


class Table:
    """A collection within the transaction under way."""

    def __init__(self, connection: sqlite3.Connection, catalogue: Catalogue, layout: Layout) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._layout = layout

    def find(self, query: Query) -> list[Stored]:
        """Return what matches, in order; reads no further than it must."""
        end = query.skip + query.limit if query.limit else None
        return list(islice(self.matching(query), query.skip, end))

    def matching(self, query: Query) -> Iterator[Stored]:
        """Yield all that matches, in order."""
        plan = planned(self._layout, query.conditions, query.order)
        found = self._matching(plan, query.matches)
        return found if plan.ordered else iter(ordered(found, query.order, lambda stored: stored.document))

    def _matching(self, plan: Plan, matches: Matcher) -> Iterator[Stored]:
        with closing(self._connection.execute(plan.statement, plan.values)) as rows:
            for seq, body in rows:
                document = decoded(body)
                if matches(document):
                    yield Stored(seq, body, document)

    def count(self) -> int:
        """Return how many documents there are."""
        (documents,) = self._connection.execute(f"SELECT count(*) FROM {self._layout.table}").fetchone()  # noqa: S608
        return int(documents)

    def explain(self, query: Query) -> list[str]:
        """Return SQLite's own words on how it would search."""
        plan = planned(self._layout, query.conditions, query.order)
        rows = self._connection.execute(f"EXPLAIN QUERY PLAN {plan.statement}", plan.values)
        return [detail for _, _, _, detail in rows]

    def insert(self, body: bytes) -> Stored:
        """Insert a document that has an `_id`; raises `DuplicateKeyError` where a unique index refuses it."""
        document = decoded(body)
        if isinstance(document["_id"], list):
            raise WriteError("The '_id' value cannot be of type array", _INVALID_ID)
        row = self._row(document) | {"body": body}
        marks = ", ".join("?" * len(row))
        statement = f"INSERT INTO {self._layout.table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608  # quoted names
        try:
            cursor = self._connection.execute(statement, tuple(row.values()))
        except sqlite3.IntegrityError as error:
            raise self._duplicate(document, row, seq=None) from error
        return Stored(cursor.lastrowid or 0, body, document)

    def replace(self, stored: Stored, document: Document) -> Stored:
        """Put a document in the place of another with the same `_id`; what did not change is not written.

        Raises `WriteError` for another `_id`, `DuplicateKeyError` where a unique index refuses.
        """
        if key(document.get("_id")) != key(stored.document["_id"]):
            raise WriteError(
                "Performing an update on the path '_id' would modify the immutable field '_id'", _IMMUTABLE
            )
        body = encoded(document)
        if body == stored.body:
            return stored
        document = decoded(body)
        row, old = self._row(document), self._layout.row(stored.document)
        changed = {column: value for column, value in row.items() if value != old[column]} | {"body": body}
        columns = ", ".join(f"{column} = ?" for column in changed)
        statement = f"UPDATE {self._layout.table} SET {columns} WHERE seq = ?"  # noqa: S608  # quoted names
        try:
            self._connection.execute(statement, (*changed.values(), stored.seq))
        except sqlite3.IntegrityError as error:
            raise self._duplicate(document, row, seq=stored.seq) from error
        return Stored(stored.seq, body, document)

    def delete(self, stored: Stored) -> None:
        """Remove a document."""
        self._connection.execute(f"DELETE FROM {self._layout.table} WHERE seq = ?", (stored.seq,))  # noqa: S608

    def drop(self) -> None:
        """Remove the collection."""
        self._catalogue.drop_collection(self._layout)

    def create_index(self, index: Index) -> None:
        """Create an index, or see that it is there; raises `DuplicateKeyError` where documents break it already.

        Raises `OperationFailure` where another index has its name.
        """
        same_name = [known for known in self._layout.indexes if known.name == index.name]
        if same_name == [index]:
            return
        if same_name:
            raise OperationFailure(f"An index named {index.name} exists with other options", _INDEX_CONFLICT)
        self._layout = self._catalogue.add_index(self._layout, index)
        self._fill()
        columns = ", ".join(f"{self._layout.columns[path]} {'DESC' if way < 0 else 'ASC'}" for path, way in index.keys)
        kind = "UNIQUE INDEX" if index.unique else "INDEX"
        members = f" WHERE {index.member} = 1" if index.chooses else ""
        name = quoted(f"{self._layout.name} {index.name}")
        try:
            self._connection.execute(f"CREATE {kind} {name} ON {self._layout.table} ({columns}){members}")
        except sqlite3.IntegrityError as error:
            raise _duplicate_key(index, self._layout.name, {}) from error

    def _fill(self) -> None:
        """Write the columns of documents that were there before their index."""
        everything = f"SELECT seq, body FROM {self._layout.table}"  # noqa: S608  # quoted name
        for seq, body in self._connection.execute(everything).fetchall():
            row = self._row(decoded(body))
            columns = ", ".join(f"{column} = ?" for column in row)
            statement = f"UPDATE {self._layout.table} SET {columns} WHERE seq = ?"  # noqa: S608  # quoted names
            self._connection.execute(statement, (*row.values(), seq))

    def _row(self, document: Document) -> dict[str, Any]:
        arrays = self._layout.new_arrays(document)
        if arrays:
            self._refuse_unique(arrays)
            self._layout = self._catalogue.add_arrays(self._layout, arrays)
        return self._layout.row(document)

    def _refuse_unique(self, arrays: set[str]) -> None:
        for index in self._layout.indexes:
            if index.unique and arrays & dict(index.keys).keys():
                raise UnsupportedQuery(f"The unique index {index.name} does not take arrays.")

    def _duplicate(self, document: Document, row: Mapping[str, Any], *, seq: int | None) -> DuplicateKeyError:
        """Find out which index refused: SQLite names columns, and two indexes may share them."""
        broken = (index for index in (_ID_INDEX, *self._layout.indexes) if self._is_taken(index, row, seq))
        return _duplicate_key(next(broken, _ID_INDEX), self._layout.name, document)

    def _is_taken(self, index: Index, row: Mapping[str, Any], seq: int | None) -> bool:
        if not index.unique or (index.chooses and row[index.member] is None):
            return False
        columns = [self._layout.columns[path] for path, _ in index.keys]
        same = " AND ".join(
            [f"{column} = ?" for column in columns] + ([f"{index.member} = 1"] if index.chooses else [])
        )
        statement = f"SELECT 1 FROM {self._layout.table} WHERE {same} AND seq IS NOT ?"  # noqa: S608  # quoted names
        values = (*(row[column] for column in columns), seq)
        return self._connection.execute(statement, values).fetchone() is not None


def _duplicate_key(index: Index, collection: str, document: Document) -> DuplicateKeyError:
    found = {path: lookup(document, split(path)) for path, _ in index.keys} if document else {}
    values = {path: None if value is MISSING else value for path, value in found.items()}
    message = f"E11000 duplicate key error collection: {collection} index: {index.name} dup key: {values}"
    details = {"index": 0, "code": _DUPLICATE, "errmsg": message, "keyPattern": dict(index.keys), "keyValue": values}
    return DuplicateKeyError(message, _DUPLICATE, details)
