"""The audit log as it is stored: entry n is the document whose `_id` is n, so that no two entries take one place.

An append writes behind the last entry it knows of and trusts two unique indexes: where somebody else took the place, it
looks again and tries the next one; where the fact is in the log already, it stays there once.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database
from domain.audit import START, Anchor, Entry, Fact, entry_of, link
from domain.errors import InvalidInput, StoreError, StoreUnavailable

MOST_TRIES: Final = 1_000
BACKOFF_SECONDS: Final = 0.002
"""Longest pause after the first place lost; it grows to the tenfold."""

PAGE: Final = 500


class Audit:
    """The log. Nothing here changes or removes an entry.

    Args:
        jitter: Gives numbers from 0 to 1, by which writers that met keep out of each other's way.
    """

    def __init__(self, database: Database, *, jitter: Callable[[], float] = random.random) -> None:
        self._entries: Collection = database["audit"]
        self._jitter = jitter
        self._last: Anchor | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Create the indexes."""
        await self._entries.create_index("event_id", unique=True)
        for field in ("orchestration_id", "request_id", "action_id", "event"):
            await self._entries.create_index([(field, 1), ("_id", 1)])

    async def append(self, fact: Fact) -> Entry:
        """Put a fact at the end and return its entry; a fact that is there already keeps its place.

        Raises `StoreUnavailable`; the fact may be in the log all the same, and can be told again.
        """
        async with self._turn:  # writers of one process need not race
            for tried in range(MOST_TRIES):
                entry = link(self._last or await self.last(), fact)
                try:
                    await self._entries.insert_one(_document(entry))
                except DuplicateKeyError:
                    if known := await self._entries.find_one({"event_id": fact.event_id}):
                        return _entry(known)
                    self._last = await self.last()
                    await asyncio.sleep(self._jitter() * BACKOFF_SECONDS * min(tried + 1, 10))
                else:
                    self._last = entry.anchor
                    return entry
        raise StoreUnavailable("The audit log's end is never free.")

    async def last(self) -> Anchor:
        """Return how far the log reaches; raises `StoreError` where nothing can continue what stands there."""
        found = await self._entries.find_one(_NUMBERED, ["hash"], sort=[("_id", -1)])
        if found is None:
            return START
        try:
            return Anchor.parse(f"{found['_id']}:{found.get('hash')}")
        except InvalidInput as error:
            raise StoreError("The last entry of the audit log is damaged: see `python -m boot.audit`.") from error

    async def page(self, *, after: int, limit: int, **fields: str) -> list[Entry]:
        """Return entries behind a number, oldest first, whose fields are these.

        Raises `StoreError` where one of them is damaged.
        """
        found = self._entries.find({"_id": {"$gt": after}, **fields}).sort("_id", 1).limit(limit)
        try:
            return [_entry(each) for each in await found.to_list()]
        except InvalidInput as error:
            raise StoreError("An entry of the audit log is damaged: see `python -m boot.audit`.") from error

    async def entries(self) -> AsyncIterator[Entry]:
        """Yield every entry, oldest first; raises `InvalidInput` at one that is damaged."""
        query: dict[str, Any] = _NUMBERED
        while page := await self._entries.find(query).sort("_id", 1).limit(PAGE).to_list():
            for each in page:
                yield _entry(each)
            query = {"_id": {"$gt": page[-1]["_id"]}}

    async def known(self, event_ids: Sequence[str]) -> set[str]:
        """Return which of these facts are in the log."""
        found = self._entries.find({"event_id": {"$in": list(event_ids)}}, ["event_id"])
        return {each["event_id"] for each in await found.to_list()}


_NUMBERED: Final[dict[str, Any]] = {"_id": {"$gt": -(2**53)}}
"""Whatever stands under a number: what is below the first entry is an insertion that must not stay unseen."""


def _document(entry: Entry) -> dict[str, Any]:
    fields = entry.model_dump()
    return {"_id": fields.pop("seq"), **fields}


def _entry(document: dict[str, Any]) -> Entry:
    fields = {key: value for key, value in document.items() if key != "_id"}
    return entry_of({**fields, "seq": document["_id"]})
