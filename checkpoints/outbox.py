"""The outbox: what others are to be told, kept until they have taken it or never will.

A transition of an approval marks its record `untold` in the same atomic write. The outbox finds the mark, writes one
delivery for every happening and receiver under an id made of both, and removes the mark if the record is still as it
was read. Killed anywhere in between, it does the same again and finds what is there.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from checkpoints.approvals import approval_of
from checkpoints.collections import Collection, Database, Document
from domain.canonical import digest
from domain.webhooks import Delivery, Event, events_of

_MARKED: Final[dict[str, Any]] = {"untold": {"$exists": True}}

LIMIT = 50
"""How many records one look takes up."""

CLAIM = timedelta(seconds=60)
"""How long a delivery is nobody else's once somebody has set out to send it; longer than any attempt may take."""


class Outbox:
    """Deliveries, and the records they are made from.

    Args:
        urls: The receivers.
    """

    def __init__(self, database: Database, urls: tuple[str, ...]) -> None:
        self._approvals: Collection = database["approvals"]
        self._deliveries: Collection = database["outbox"]
        self._urls = urls

    async def open(self) -> None:
        """Create the indexes."""
        await self._approvals.create_index("untold", partialFilterExpression=_MARKED)
        await self._deliveries.create_index([("url", 1), ("state", 1), ("next_at", 1)])
        await self._deliveries.create_index([("at", 1), ("_id", 1)])

    async def collect(self, now: datetime) -> int:
        """Write a delivery for everything that happened to some records, and return to how many."""
        marked = await self._approvals.find(_MARKED).limit(LIMIT).to_list()
        for document in marked:
            events = list(events_of(approval_of(document)))
            for event in events[document.get("told", 0) :]:
                for url in self._urls:
                    await self._add(event, url, now)
            seen = {"_id": document["_id"], "version": document.get("version")}
            await self._approvals.update_one(seen, {"$unset": {"untold": ""}, "$set": {"told": len(events)}})
        return len(marked)

    async def claim(self, url: str, now: datetime) -> Delivery | None:
        """Return a delivery that is due, which is nobody else's for a while."""
        document = await self._deliveries.find_one_and_update(
            {"url": url, "state": "pending", "next_at": {"$lte": now}},
            {"$set": {"next_at": now + CLAIM}, "$inc": {"attempts": 1}},
            sort=[("next_at", 1)],
            return_document=ReturnDocument.AFTER,
        )
        return _delivery(document) if document else None

    async def delivered(self, delivery: Delivery, status: int, *, at: datetime) -> None:
        """Write that the receiver has taken it."""
        await self._end(delivery, {"state": "delivered", "last_status": status, "last_error": None, "ended_at": at})

    async def failed(self, delivery: Delivery, why: str, status: int | None, *, again_at: datetime | None) -> None:
        """Write that an attempt failed.

        Args:
            again_at: When the next one is due; None gives it up.
        """
        wanted: dict[str, Any] = {"state": "pending", "next_at": again_at} if again_at else {"state": "dead"}
        await self._end(delivery, {**wanted, "last_status": status, "last_error": why})

    async def page(self, *, skip: int, limit: int, **fields: str) -> tuple[list[Delivery], int]:
        """Return a page of deliveries, newest first, and how many there are."""
        found = self._deliveries.find(fields).sort([("at", -1), ("_id", -1)]).skip(skip).limit(limit)
        return [_delivery(each) for each in await found.to_list()], await self._deliveries.count_documents(fields)

    async def forget(self, before: datetime) -> None:
        """Remove what was delivered before that."""
        await self._deliveries.delete_many({"state": "delivered", "ended_at": {"$lt": before}})

    async def _add(self, event: Event, url: str, now: datetime) -> None:
        delivery = Delivery(
            delivery_id=f"{event.event_id}-{digest(url)[:8]}", url=url, next_at=now, **event.model_dump()
        )
        fields = delivery.model_dump()
        try:
            await self._deliveries.insert_one({"_id": fields.pop("delivery_id"), **fields})
        except DuplicateKeyError:
            return  # it was written before, and the mark was not removed

    async def _end(self, delivery: Delivery, changes: dict[str, Any]) -> None:
        ours = {"_id": delivery.delivery_id, "state": "pending", "attempts": delivery.attempts}
        await self._deliveries.update_one(ours, {"$set": changes})


def _delivery(document: Document) -> Delivery:
    fields = {key: value for key, value in document.items() if key in Delivery.model_fields}
    return Delivery(delivery_id=document["_id"], **fields)
