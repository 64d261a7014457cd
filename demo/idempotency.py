"""Answers a repeated request from the record of the first one, as the IETF draft `Idempotency-Key` asks.

The record is written in the transaction that makes the effect, so that there is never one without the other. Records
do not expire: a demo's key stays good for as long as its database.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Header, HTTPException, Response
from pydantic import BaseModel
from pydantic.json_schema import SkipJsonSchema

from demo.database import Transaction, single
from demo.web import Storable

Key = Annotated[
    Storable | SkipJsonSchema[None],
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Repeat a request with the same key and it is carried out only once.",
    ),
]

SCHEMA = """
CREATE TABLE IF NOT EXISTS idempotency_keys (
    idempotency_key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, body TEXT
);
"""


@dataclass(frozen=True)
class Once:
    """A request that is carried out once per key, or every time without one.

    Args:
        target: Operation and path, such as `refundOrder 1001`; with `body` it makes two requests the same.
        body: What was asked for, defaults filled in.
        key: The caller's `Idempotency-Key`.
        status: The HTTP status of a success.
    """

    target: str
    body: BaseModel
    key: str | None
    status: int

    async def answer(self, transaction: Transaction, effect: Callable[[], Awaitable[BaseModel]]) -> Response:
        """Return the answer of `effect`, run now or, under the same key, before.

        Raises `HTTPException` 422 for a key that stands for another request, and whatever `effect` raises: a refused
        request leaves no record, so that it may be repeated once the reason is gone.
        """
        if self.key is None:
            return self._response(_text(await effect()), replayed="false")
        if not await self._claim(transaction):
            return self._response(await self._recorded(transaction), replayed="true")
        body = _text(await effect())
        sql = "UPDATE idempotency_keys SET body = ? WHERE idempotency_key = ?"
        await transaction.rows(sql, body, self.key)
        return self._response(body, replayed="false")

    async def _claim(self, transaction: Transaction) -> bool:
        """Return whether the key is new; PostgreSQL waits here for a transaction that claims the same key."""
        sql = (
            "INSERT INTO idempotency_keys (idempotency_key, fingerprint) VALUES (?, ?) "
            "ON CONFLICT DO NOTHING RETURNING idempotency_key"
        )
        return await single(transaction, sql, self.key, self._fingerprint()) is not None

    async def _recorded(self, transaction: Transaction) -> str:
        sql = "SELECT body FROM idempotency_keys WHERE idempotency_key = ? AND fingerprint = ?"
        record = await single(transaction, sql, self.key, self._fingerprint())
        if record is None:
            raise HTTPException(422, "This Idempotency-Key was used for another request.")
        return str(record["body"])

    def _fingerprint(self) -> str:
        wanted = json.dumps([self.target, self.body.model_dump(mode="json")], sort_keys=True)
        return hashlib.sha256(wanted.encode()).hexdigest()

    def _response(self, body: str, *, replayed: str) -> Response:
        headers = {"Idempotency-Replayed": replayed}
        return Response(body, self.status, media_type="application/json", headers=headers)


def _text(model: BaseModel) -> str:
    return model.model_dump_json(exclude_none=True, by_alias=True)
