"""Search by words: BM25 in an SQLite file of this process, made again from the records whenever it is gone.

Every scope has a table of its own: what others keep changes neither what is found nor how much a word tells.
"""

import asyncio
import math
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from domain.canonical import digest
from domain.errors import StoreUnavailable
from domain.knowledge import Chunk
from tools.knowledge.terms import Term, terms

FORM = 2
"""Of the tables below; a file of another form is made anew."""

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS scopes (number INTEGER PRIMARY KEY, scope TEXT UNIQUE, pieces INTEGER);
CREATE TABLE IF NOT EXISTS documents (document_id TEXT PRIMARY KEY, version INTEGER, scope TEXT, pieces INTEGER);
CREATE TABLE IF NOT EXISTS chunks (
    place INTEGER PRIMARY KEY, chunk_id TEXT UNIQUE, document_id TEXT REFERENCES documents ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS chunks_of ON chunks (document_id);
PRAGMA user_version = {FORM};
"""
WORDS = """
CREATE VIRTUAL TABLE IF NOT EXISTS {name} USING fts5 (
    title, text, labels, tokenize = "porter unicode61 remove_diacritics 2")
"""

COMMON = 1_000
"""A term in more pieces than these tells nothing: it is not looked for beside rarer ones, which bounds the work."""

MOST_PLACES = 1_500
"""Rarer terms are looked for first; together they may be in so many pieces."""

LEAST_RARITY = 1e-6
"""What FTS5 takes for the rarity of a term that is in half of a table or more."""


@dataclass(frozen=True)
class Found:
    """What words found.

    Args:
        hits: Pieces, best first by BM25 over all that was looked at, each with the share of the question's weight its
            words have.
        exact: Whether an identifier of the question is in one of them.
        missed: Whether the question has identifiers and none of them is anywhere.
    """

    hits: tuple[tuple[str, float], ...] = ()
    exact: bool = False
    missed: bool = False


class Lexicon:
    """The index; made by `open_lexicon`. One writes at a time, and reading does not wait for it."""

    def __init__(self, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self._writer, self._reader = writer, reader
        self._writing, self._reading = asyncio.Lock(), asyncio.Lock()
        self._changes = 0
        self._counted: int | None = None

    async def find(
        self,
        question: str,
        *,
        scopes: Sequence[str],
        most: int,
        metadata: Mapping[str, str] | None = None,
        alone: bool = False,
    ) -> Found:
        """Return what the question's words find in these scopes; raises `StoreUnavailable`.

        Args:
            metadata: What a document's metadata must say.
            alone: Whether nothing else searches: then common words are looked for where there are no rarer ones.
        """
        asked = terms(question)
        if not asked:
            return Found()
        return await self._read(
            lambda reader: _found(reader, asked, scopes, most, metadata=metadata or {}, alone=alone)
        )

    async def put(
        self,
        document_id: str,
        version: int,
        scope: str,
        title: str,
        chunks: Iterable[Chunk],
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Put a document's version in the place of the one before; all of it, or nothing."""
        labels = " ".join(_label(*each) for each in (metadata or {}).items())
        rows = [(chunk.chunk_id, f"{title} {chunk.heading}", chunk.text) for chunk in chunks]

        def change(writer: sqlite3.Connection) -> None:
            _remove(writer, document_id)
            number = _number(writer, scope)
            insert = f"INSERT INTO {_words(number)} (rowid, title, text, labels) VALUES (?, ?, ?, ?)"  # noqa: S608
            writer.execute("INSERT INTO documents VALUES (?, ?, ?, ?)", (document_id, version, scope, len(rows)))
            writer.execute("UPDATE scopes SET pieces = pieces + ? WHERE number = ?", (len(rows), number))
            for chunk_id, above, text in rows:
                place = writer.execute(
                    "INSERT INTO chunks (chunk_id, document_id) VALUES (?, ?)", (chunk_id, document_id)
                ).lastrowid
                writer.execute(insert, (place, above, text, labels))

        await self._write(change)

    async def remove(self, document_id: str) -> None:
        """Take a document out."""
        await self._write(lambda writer: _remove(writer, document_id))

    async def versions(self) -> Mapping[str, tuple[int, str]]:
        """Return the version and the scope of every document here."""
        sql = "SELECT document_id, version, scope FROM documents"
        return await self._read(lambda reader: {row[0]: (row[1], row[2]) for row in reader.execute(sql)})

    async def count(self) -> int:
        """Return how many pieces there are; added up again only after a change, for scopes may be many."""
        if self._counted is not None:
            return self._counted
        changes, counted = self._changes, await self._read(_count)
        if changes == self._changes:
            self._counted = counted
        return counted

    async def _read[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        def at_once(reader: sqlite3.Connection) -> T:
            reader.execute("BEGIN")  # of one moment, whatever is written meanwhile
            try:
                return work(reader)
            finally:
                reader.rollback()

        async with self._reading:
            return await asyncio.to_thread(_guarded, at_once, self._reader)

    async def _write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        def changed(writer: sqlite3.Connection) -> None:
            with writer:
                work(writer)
            self._changes += 1  # here, because the change is made even if nobody waits for it any more
            self._counted = None

        async with self._writing:
            await asyncio.to_thread(_guarded, changed, self._writer)


@asynccontextmanager
async def open_lexicon(file: Path) -> AsyncIterator[Lexicon]:
    """Open the index; a file that cannot be read is made anew, because nothing is in it that is not in the records.

    Raises `StoreUnavailable` where no file can be made.
    """
    try:
        writer = await asyncio.to_thread(_opened, file)
    except sqlite3.DatabaseError:
        for each in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
            await asyncio.to_thread(each.unlink, missing_ok=True)
        writer = await asyncio.to_thread(_guarded, lambda _: _opened(file), None)
    reader = await asyncio.to_thread(_opened, file)
    with closing(writer), closing(reader):
        yield Lexicon(writer, reader)


def _opened(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _check(connection)
        connection.executescript(SCHEMA)
        connection.execute("SELECT count(pieces) FROM scopes").fetchone()
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Raise `sqlite3.DatabaseError` for a file that another version of this program wrote."""
    (form,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and form != FORM:
        raise sqlite3.DatabaseError("The file is of another form.")


def _guarded[C, T](work: Callable[[C], T], connection: C) -> T:
    try:
        return work(connection)
    except sqlite3.Error as error:
        raise StoreUnavailable("The index of words cannot be used.") from error


def _remove(writer: sqlite3.Connection, document_id: str) -> None:
    of_it = "SELECT number, documents.pieces FROM documents JOIN scopes USING (scope) WHERE document_id = ?"
    if (row := writer.execute(of_it, (document_id,)).fetchone()) is None:
        return
    number, pieces = row
    places = "SELECT place FROM chunks WHERE document_id = ?"
    writer.execute(f"DELETE FROM {_words(number)} WHERE rowid IN ({places})", (document_id,))  # noqa: S608  # a number
    writer.execute("DELETE FROM chunks WHERE document_id = ?", (document_id,))
    writer.execute("DELETE FROM documents WHERE document_id = ?", (document_id,))
    writer.execute("UPDATE scopes SET pieces = pieces - ? WHERE number = ?", (pieces, number))


def _number(writer: sqlite3.Connection, scope: str) -> int:
    """Return the number of a scope's table, made if there is none."""
    writer.execute("INSERT OR IGNORE INTO scopes (scope, pieces) VALUES (?, 0)", (scope,))
    number: int = writer.execute("SELECT number FROM scopes WHERE scope = ?", (scope,)).fetchone()[0]
    writer.execute(WORDS.format(name=_words(number)))
    return number


def _words(number: int) -> str:
    return f"words_{number:d}"


def _count(reader: sqlite3.Connection) -> int:
    row = reader.execute("SELECT coalesce(sum(pieces), 0) FROM scopes").fetchone()
    return int(row[0])


def _label(name: str, value: str) -> str:
    """Return the word that stands for a member of a document's metadata: of figures only, for those have no stem."""
    return str(int(digest([name, value])[:24], 16))


@dataclass(frozen=True)
class Looked:
    """The tables that a question is looked for in, as they are at one moment.

    Args:
        pieces: How many rows each table has.
        labels: What a piece's labels have to hold, as FTS5 wants it; empty for no matter what.
    """

    reader: sqlite3.Connection
    pieces: Mapping[str, int]
    labels: str

    def places(self, term: Term) -> frozenset[int]:
        """Return where a term is; of a common one only some places."""
        match = f"{term.match}{self.labels}"
        sql = "SELECT rowid FROM {0} WHERE {0} MATCH ? LIMIT ?"
        return frozenset(
            row[0] for name in self.pieces for row in self.reader.execute(sql.format(name), (match, COMMON + 1))
        )

    def fits(self, term: Term) -> dict[int, float]:
        """Return how well a term fits each place: BM25 without the rarity, of which FTS5 knows one table's alone."""
        fits: dict[int, float] = {}
        sql = "SELECT rowid, bm25({0}, 1, 1, 0) AS told FROM {0} WHERE {0} MATCH ? ORDER BY told LIMIT ?"
        for name, pieces in self.pieces.items():
            rows = self.reader.execute(sql.format(name), (f"{term.match}{self.labels}", COMMON)).fetchall()
            if rows:
                held = len(rows) if not self.labels and len(rows) < COMMON else self._held(name, term)
                rarity = max(math.log((pieces - held + 0.5) / (held + 0.5)), LEAST_RARITY)
                fits |= {place: -told / rarity for place, told in rows}
        return fits

    def chunk_ids(self, places: Sequence[int]) -> list[str]:
        """Return the pieces at some places, in their order."""
        marks = ", ".join("?" * len(places))
        sql = f"SELECT place, chunk_id FROM chunks WHERE place IN ({marks})"  # noqa: S608  # question marks only
        known = dict(self.reader.execute(sql, places))
        return [known[place] for place in places]

    def _held(self, name: str, term: Term) -> int:
        sql = f"SELECT count(*) FROM {name} WHERE {name} MATCH ?"  # noqa: S608  # a name of ours
        held: int = self.reader.execute(sql, (term.match,)).fetchone()[0]
        return held


def _looked(reader: sqlite3.Connection, scopes: Sequence[str], metadata: Mapping[str, str]) -> Looked:
    marks = ", ".join("?" * len(scopes))
    sql = f"SELECT number, pieces FROM scopes WHERE pieces > 0 AND scope IN ({marks})"  # noqa: S608  # question marks
    pieces = {_words(number): held for number, held in reader.execute(sql, scopes)}
    return Looked(reader, pieces, "".join(f' AND labels : "{_label(*each)}"' for each in metadata.items()))


def _found(
    reader: sqlite3.Connection,
    asked: Sequence[Term],
    scopes: Sequence[str],
    most: int,
    *,
    metadata: Mapping[str, str],
    alone: bool,
) -> Found:
    looked = _looked(reader, scopes, metadata)
    places = {term: looked.places(term) for term in asked}
    total = sum(looked.pieces.values())
    weights = {term: _weight(len(held), total) for term, held in places.items()}
    chosen = _rarest([term for term in asked if 0 < len(places[term]) <= COMMON], places)
    if not chosen and alone:
        chosen = [term for term in asked if places[term]]
    identifiers = [term for term in asked if term.exact]
    named = [term for term in identifiers if places[term]]
    missed = bool(identifiers) and not named
    if not chosen:
        return Found(missed=missed)
    points: dict[int, float] = {}
    for term in chosen:
        for place, fit in looked.fits(term).items():
            points[place] = points.get(place, 0.0) + weights[term] * fit
    best = sorted(points, key=lambda place: (-points[place], place))[:most]
    whole = sum(weights.values())
    shares = (sum(weights[term] for term in asked if place in places[term]) / whole for place in best)
    exact = any(place in places[term] for place in best for term in named)
    return Found(tuple(zip(looked.chunk_ids(best), shares, strict=True)), exact=exact, missed=missed)


def _rarest(asked: Sequence[Term], places: Mapping[Term, frozenset[int]]) -> list[Term]:
    """Return the rarest terms, as many as the work allows: ranking costs as much as there are places."""
    chosen: list[Term] = []
    work = 0
    for term in sorted(asked, key=lambda each: len(places[each])):
        work += len(places[term])
        if chosen and work > MOST_PLACES:
            break
        chosen.append(term)
    return chosen


def _weight(held: int, total: int) -> float:
    """Return how much a term tells by its rarity: the inverse document frequency of BM25."""
    return math.log(1 + (total - held + 0.5) / (held + 0.5))
