"""JSON documents with whole numbers for names, for the services that need no more than that."""

import json

from pydantic import BaseModel

from demo.database import Row, Transaction, prepare, single

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, id BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
);
CREATE TABLE IF NOT EXISTS counters (kind TEXT PRIMARY KEY, last BIGINT NOT NULL);
"""


class Documents[M: BaseModel]:
    """All documents of one kind.

    Args:
        kind: Its name in the table.
        model: What a document holds.
    """

    def __init__(self, kind: str, model: type[M]) -> None:
        self.kind = kind
        self._model = model

    async def get(self, transaction: Transaction, number: int) -> M | None:
        """Return one document, or None when there is none of that number."""
        sql = "SELECT body FROM documents WHERE kind = ? AND id = ?"
        row = await single(transaction, sql, self.kind, number)
        return self._read(row) if row else None

    async def all(self, transaction: Transaction) -> list[M]:
        """Return every document, in the order of their numbers."""
        sql = "SELECT body FROM documents WHERE kind = ? ORDER BY id"
        return [self._read(row) for row in await transaction.rows(sql, self.kind)]

    async def add(self, transaction: Transaction, number: int, document: M) -> bool:
        """Write a new document and return whether its number was free."""
        sql = "INSERT INTO documents (kind, id, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"
        added = await single(transaction, sql, self.kind, number, _text(document))
        sql = "UPDATE counters SET last = ? WHERE kind = ? AND last < ?"
        await transaction.rows(sql, number, self.kind, number)
        return added is not None

    async def replace(self, transaction: Transaction, number: int, document: M) -> bool:
        """Overwrite a document and return whether there was one."""
        sql = "UPDATE documents SET body = ? WHERE kind = ? AND id = ? RETURNING id"
        return await single(transaction, sql, _text(document), self.kind, number) is not None

    async def remove(self, transaction: Transaction, number: int) -> bool:
        """Delete a document and return whether there was one."""
        sql = "DELETE FROM documents WHERE kind = ? AND id = ? RETURNING id"
        return await single(transaction, sql, self.kind, number) is not None

    async def next_number(self, transaction: Transaction) -> int:
        """Return a number that no document has, nor ever had."""
        row = await single(transaction, "UPDATE counters SET last = last + 1 WHERE kind = ? RETURNING last", self.kind)
        return int((row or {})["last"] or 0)

    async def seed(self, transaction: Transaction, documents: dict[int, M]) -> None:
        """Write the first documents, unless this kind was seeded before."""
        await prepare(transaction, SCHEMA)
        sql = "INSERT INTO counters (kind, last) VALUES (?, 0) ON CONFLICT DO NOTHING RETURNING kind"
        if await single(transaction, sql, self.kind):
            for number, document in documents.items():
                await self.add(transaction, number, document)

    def _read(self, row: Row) -> M:
        return self._model.model_validate_json(str(row["body"]))


def _text(document: BaseModel) -> str:
    """Return the stored form; money and dates are texts in it."""
    return json.dumps(document.model_dump(exclude_none=True, by_alias=True), default=str)
