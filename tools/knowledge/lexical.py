"""Search by words: BM25 in an SQLite file of this process, made again from the records whenever it is gone."""

import asyncio
import math
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from domain.errors import StoreUnavailable
from domain.knowledge import Chunk
from tools.knowledge.terms import Term, terms

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (document_id TEXT PRIMARY KEY, version INTEGER, scope TEXT, pieces INTEGER);
CREATE TABLE IF NOT EXISTS chunks (
    place INTEGER PRIMARY KEY, chunk_id TEXT UNIQUE, document_id TEXT REFERENCES documents ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS chunks_of ON chunks (document_id);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (title, text, tokenize = "porter unicode61 remove_diacritics 2");
"""

COMMON = 1_000
"""A term in more pieces than these tells nothing: it is not looked for beside rarer ones, which bounds the work."""

MOST_PLACES = 1_500
"""Rarer terms are looked for first; together they may be in so many pieces."""


@dataclass(frozen=True)
class Found:
    """What words found.

    Args:
        hits: Pieces, best first by BM25, each with the share of the question's weight its words have.
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

    async def find(self, question: str, *, scopes: Sequence[str], most: int, alone: bool = False) -> Found:
        """Return what the question's words find in these scopes; raises `StoreUnavailable`.

        Args:
            alone: Whether nothing else searches: then common words are looked for where there are no rarer ones.
        """
        asked = terms(question)
        if not asked:
            return Found()
        total = await self.count()
        return await self._read(lambda reader: _found(reader, asked, scopes, most, total=total, alone=alone))

    async def put(self, document_id: str, version: int, scope: str, title: str, chunks: Iterable[Chunk]) -> None:
        """Put a document's version in the place of the one before; all of it, or nothing."""
        rows = [(chunk.chunk_id, f"{title} {chunk.heading}", chunk.text) for chunk in chunks]

        def change(writer: sqlite3.Connection) -> None:
            _remove(writer, document_id)
            writer.execute("INSERT INTO documents VALUES (?, ?, ?, ?)", (document_id, version, scope, len(rows)))
            for chunk_id, above, text in rows:
                place = writer.execute(
                    "INSERT INTO chunks (chunk_id, document_id) VALUES (?, ?)", (chunk_id, document_id)
                ).lastrowid
                writer.execute("INSERT INTO words (rowid, title, text) VALUES (?, ?, ?)", (place, above, text))

        await self._write(change)

    async def remove(self, document_id: str) -> None:
        """Take a document out."""
        await self._write(lambda writer: _remove(writer, document_id))

    async def versions(self) -> Mapping[str, tuple[int, str]]:
        """Return the version and the scope of every document here."""
        sql = "SELECT document_id, version, scope FROM documents"
        return await self._read(lambda reader: {row[0]: (row[1], row[2]) for row in reader.execute(sql)})

    async def count(self) -> int:
        """Return how many pieces there are; added up again only after a change, for documents may be many."""
        if self._counted is not None:
            return self._counted
        changes, counted = self._changes, await self._read(_count)
        if changes == self._changes:
            self._counted = counted
        return counted

    async def _read[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._reading:
            return await asyncio.to_thread(_guarded, work, self._reader)

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
        connection.executescript(SCHEMA)
        connection.execute("SELECT count(pieces) FROM documents").fetchone()
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _guarded[C, T](work: Callable[[C], T], connection: C) -> T:
    try:
        return work(connection)
    except sqlite3.Error as error:
        raise StoreUnavailable("The index of words cannot be used.") from error


def _remove(writer: sqlite3.Connection, document_id: str) -> None:
    places = "SELECT place FROM chunks WHERE document_id = ?"
    writer.execute(f"DELETE FROM words WHERE rowid IN ({places})", (document_id,))  # noqa: S608  # no value in it
    writer.execute("DELETE FROM chunks WHERE document_id = ?", (document_id,))
    writer.execute("DELETE FROM documents WHERE document_id = ?", (document_id,))


def _count(reader: sqlite3.Connection) -> int:
    # Counting rows reads the whole index; the documents' table is small.
    row = reader.execute("SELECT coalesce(sum(pieces), 0) FROM documents").fetchone()
    return int(row[0])


def _found(
    reader: sqlite3.Connection, asked: Sequence[Term], scopes: Sequence[str], most: int, *, total: int, alone: bool
) -> Found:
    places = {term: _places(reader, term) for term in asked}
    total = max(total, *(len(held) for held in places.values()))  # it was counted before, and may have grown
    weights = {term: _weight(len(held), total) for term, held in places.items()}
    chosen = _rarest([term for term in asked if 0 < len(places[term]) <= COMMON], places)
    if not chosen and alone:
        chosen = [term for term in asked if places[term]]
    identifiers = [term for term in asked if term.exact]
    named = [term for term in identifiers if places[term]]
    missed = bool(identifiers) and not named
    if not chosen:
        return Found(missed=missed)
    rows = _ranked(reader, " OR ".join(term.match for term in chosen), scopes, most)
    whole = sum(weights.values())
    hits = tuple(
        (chunk_id, sum(weights[term] for term in asked if place in places[term]) / whole) for place, chunk_id in rows
    )
    exact = any(place in places[term] for place, _ in rows for term in named)
    return Found(hits, exact=exact, missed=missed)


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


def _places(reader: sqlite3.Connection, term: Term) -> frozenset[int]:
    """Return where a term is; of a common one only some places."""
    sql = "SELECT rowid FROM words WHERE words MATCH ? LIMIT ?"
    return frozenset(row[0] for row in reader.execute(sql, (term.match, COMMON + 1)))


def _weight(held: int, total: int) -> float:
    """Return how much a term tells by its rarity: the inverse document frequency of BM25."""
    return math.log(1 + (total - held + 0.5) / (held + 0.5))


def _ranked(reader: sqlite3.Connection, match: str, scopes: Sequence[str], most: int) -> list[tuple[int, str]]:
    marks = ", ".join("?" * len(scopes))
    sql = f"""
        SELECT chunks.place, chunks.chunk_id FROM words
        JOIN chunks ON chunks.place = words.rowid JOIN documents USING (document_id)
        WHERE words MATCH ? AND documents.scope IN ({marks}) ORDER BY bm25(words), chunks.place LIMIT ?
    """  # noqa: S608  # question marks only
    return list(reader.execute(sql, (match, *scopes, most)))
