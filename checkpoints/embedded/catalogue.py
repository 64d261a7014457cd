"""What the file holds: its collections, their indexes, and the columns documents are found by.

A collection is a table: `seq` (the order of insertion), `id` (the key of `_id`), `body` (the document as BSON), one
column for every indexed path with the sort key found there, and one for every partial index that says whether the
document belongs to it. The writer fills them in, so it reads the catalogue again whenever its version
(`PRAGMA user_version`) has moved: another process may have added an index.
"""

import sqlite3
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from checkpoints.embedded.body import decoded, encoded
from checkpoints.embedded.ordering import NULL, key
from checkpoints.embedded.paths import MISSING, Document, leaves, lookup, meets_array, split
from checkpoints.embedded.query import Matcher, matcher
from checkpoints.embedded.shape import Keys

_TABLES: Final = (
    "CREATE TABLE collections (name TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE indexes (collection TEXT, name TEXT, description BLOB, PRIMARY KEY (collection, name)) WITHOUT ROWID",
    "CREATE TABLE arrays (collection TEXT, path TEXT, PRIMARY KEY (collection, path)) WITHOUT ROWID",
)


def quoted(name: str) -> str:
    """Return a name as SQL wants it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Index:
    """One index of a collection.

    Args:
        partial: The filter documents must match to belong to it; None for all.
        sparse: Whether only documents belong to it that have one of its fields.
    """

    name: str
    keys: Keys
    unique: bool = False
    sparse: bool = False
    partial: Document | None = None

    @property
    def chooses(self) -> bool:
        """Whether some documents do not belong to it."""
        return self.sparse or self.partial is not None

    @property
    def member(self) -> str:
        """The column that says whether a document belongs to it."""
        return quoted(f"in {self.name}")

    @cached_property
    def matches(self) -> Matcher:
        """Tell whether a document belongs to the index."""
        if self.sparse:
            paths = [split(path) for path, _ in self.keys]
            return lambda document: any(leaf is not MISSING for parts in paths for leaf in leaves(document, parts))
        return matcher(self.partial or {})

    def description(self) -> bytes:
        """Return the index as the catalogue keeps it."""
        return encoded(
            {"keys": [list(pair) for pair in self.keys], "unique": self.unique}
            | {"sparse": self.sparse, "partial": self.partial}
        )

    @staticmethod
    def read(name: str, description: bytes) -> "Index":
        """Return an index from the catalogue."""
        held = decoded(description)
        keys = tuple((path, int(direction)) for path, direction in held["keys"])
        return Index(name, keys, unique=held["unique"], sparse=held["sparse"], partial=held["partial"])


@dataclass(frozen=True)
class Layout:
    """How one collection lies in the file.

    Args:
        arrays: The indexed paths where some document had an array: their columns find nothing reliably.
    """

    name: str
    indexes: tuple[Index, ...] = ()
    arrays: frozenset[str] = field(default_factory=frozenset)

    @property
    def table(self) -> str:
        """The collection's table."""
        return quoted(f"documents {self.name}")

    @cached_property
    def columns(self) -> dict[str, str]:
        """The column of every path that has one."""
        paths = {path: quoted(f"key {path}") for index in self.indexes for path, _ in index.keys}
        return paths | {"_id": "id"}

    @cached_property
    def trusted(self) -> dict[str, str]:
        """The columns that may stand in a query: those of paths that never met an array."""
        return {path: column for path, column in self.columns.items() if path not in self.arrays}

    @cached_property
    def _paths(self) -> list[tuple[str, tuple[str, ...], str]]:
        return [(path, split(path), column) for path, column in self.columns.items()]

    def row(self, document: Document) -> dict[str, Any]:
        """Return what stands in the columns of a document, its body aside."""
        row: dict[str, Any] = {column: _key(lookup(document, parts)) for _, parts, column in self._paths}
        for index in self.indexes:
            if index.chooses:
                row[index.member] = 1 if index.matches(document) else None
        return row

    def new_arrays(self, document: Document) -> set[str]:
        """Return the indexed paths at which this document is the first to have an array."""
        return {path for path, parts, _ in self._paths if path not in self.arrays and meets_array(document, parts)}


def _key(value: object) -> bytes:
    return NULL if value is MISSING else key(value)


class Catalogue:
    """The layouts of all collections, as of one version of the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._version: int | None = None
        self._layouts: dict[str, Layout] = {}

    def create(self) -> None:
        """Create the catalogue's own tables."""
        for statement in _TABLES:
            self._execute(statement)

    def refresh(self) -> None:
        """Read again what changed since; to be called at the start of every transaction."""
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version != self._version:
            self._layouts = self._read() if version else {}
            self._version = version

    def forget(self) -> None:
        """Distrust what is remembered: a transaction that may have changed it was rolled back."""
        self._version = None

    def layout(self, name: str) -> Layout | None:
        """Return a collection's layout, or None as long as it does not exist."""
        return self._layouts.get(name)

    def create_collection(self, name: str) -> Layout:
        """Create a collection's table."""
        layout = Layout(name)
        self._execute(f"CREATE TABLE {layout.table} (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, body BLOB NOT NULL)")
        self._execute(f"CREATE UNIQUE INDEX {quoted(f'id of {name}')} ON {layout.table} (id)")
        self._execute("INSERT INTO collections (name) VALUES (?)", name)
        return self._changed(layout)

    def drop_collection(self, layout: Layout) -> None:
        """Remove a collection, its documents and its indexes."""
        self._execute(f"DROP TABLE {layout.table}")
        self._execute("DELETE FROM collections WHERE name = ?", layout.name)
        self._execute("DELETE FROM indexes WHERE collection = ?", layout.name)
        self._execute("DELETE FROM arrays WHERE collection = ?", layout.name)
        self._changed(layout)
        del self._layouts[layout.name]

    def add_index(self, layout: Layout, index: Index) -> Layout:
        """Register an index and add the columns it lacks; its entries are still to be made."""
        grown = replace(layout, indexes=(*layout.indexes, index))
        for path, column in grown.columns.items():
            if path not in layout.columns:
                self._execute(f"ALTER TABLE {layout.table} ADD COLUMN {column} BLOB")
        if index.chooses:
            self._execute(f"ALTER TABLE {layout.table} ADD COLUMN {index.member} INTEGER")
        self._execute("INSERT INTO indexes VALUES (?, ?, ?)", layout.name, index.name, index.description())
        return self._changed(grown)

    def add_arrays(self, layout: Layout, paths: set[str]) -> Layout:
        """Note that there are arrays at these paths from now on."""
        for path in paths:
            self._execute("INSERT OR IGNORE INTO arrays VALUES (?, ?)", layout.name, path)
        return self._changed(replace(layout, arrays=layout.arrays | paths))

    def _execute(self, statement: str, *values: object) -> None:
        self._connection.execute(statement, values)

    def _changed(self, layout: Layout) -> Layout:
        self._layouts[layout.name] = layout
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        self._version = version + 1
        self._execute(f"PRAGMA user_version = {self._version}")
        return layout

    def _read(self) -> dict[str, Layout]:
        indexes: dict[str, list[Index]] = {}
        arrays: dict[str, set[str]] = {}
        for collection, name, description in self._connection.execute("SELECT * FROM indexes"):
            indexes.setdefault(collection, []).append(Index.read(name, description))
        for collection, path in self._connection.execute("SELECT * FROM arrays"):
            arrays.setdefault(collection, set()).add(path)
        return {
            name: Layout(name, tuple(indexes.get(name, ())), frozenset(arrays.get(name, ())))
            for (name,) in self._connection.execute("SELECT name FROM collections")
        }
