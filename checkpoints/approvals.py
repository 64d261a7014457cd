"""Approvals: every transition is one atomic compare-and-set, which also marks what `checkpoints.auditor` has to log."""

from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database
from domain.approvals import Approval, Verdict
from domain.errors import AlreadyDecided, NotFound


class Approvals:
    """The approval records."""

    def __init__(self, database: Database) -> None:
        self._approvals: Collection = database["approvals"]

    async def open(self) -> None:
        """Create the indexes."""
        await self._approvals.create_index([("state", 1), ("created_at", 1), ("_id", 1)])
        await self._approvals.create_index([("state", 1), ("expires_at", 1)])
        await self._approvals.create_index("orchestration_id")

    async def ask(self, request: Approval) -> Approval:
        """Record a request unless it is there, and return the record."""
        if known := await self._approvals.find_one({"_id": request.request_id}):
            return _approval(known)
        try:
            await self._approvals.insert_one(_document(request))
        except DuplicateKeyError:
            return await self.get(request.request_id)
        return request

    async def get(self, request_id: str, *, owner: str | None = None) -> Approval:
        """Return a request; raises `NotFound`, also where it belongs to somebody else than `owner`."""
        query = {"_id": request_id} if owner is None else {"_id": request_id, "owner": owner}
        document = await self._approvals.find_one(query)
        if document is None:
            raise NotFound("There is no such approval request.")
        return _approval(document)

    async def of_run(self, run_id: str) -> list[Approval]:
        """Return every request of a run, in the order asked."""
        found = self._approvals.find({"orchestration_id": run_id}).sort([("created_at", 1), ("_id", 1)])
        return [_approval(each) for each in await found.to_list()]

    async def pending(self, *, owner: str | None, skip: int, limit: int, **fields: str) -> tuple[list[Approval], int]:
        """Return a page of what waits for a decision, oldest first, and how many wait in all."""
        query: dict[str, Any] = {"state": "pending", **fields}
        if owner is not None:
            query["owner"] = owner
        found = self._approvals.find(query).sort([("created_at", 1), ("_id", 1)]).skip(skip).limit(limit)
        return [_approval(each) for each in await found.to_list()], await self._approvals.count_documents(query)

    async def undecided(self) -> set[str]:
        """Return the runs that wait for somebody's decision."""
        return set(await self._approvals.distinct("orchestration_id", {"state": "pending"}))

    async def settle(self, request_id: str, verdict: Verdict) -> Approval:
        """Record a verdict unless there is one or it came too late, and return the record."""
        document = await self._approvals.find_one_and_update(
            {"_id": request_id, "state": "pending", "expires_at": {"$gt": verdict.decided_at}},
            {
                "$set": {
                    "state": "approved" if verdict.approved else "rejected",
                    "verdict": verdict.model_dump(),
                    "unaudited": "approval.decided",
                },
                "$inc": {"version": 1},
            },
            return_document=ReturnDocument.AFTER,
        )
        return _approval(document) if document else await self.get(request_id)

    async def decide(self, request_id: str, verdict: Verdict, *, owner: str | None) -> Approval:
        """Record a verdict; the same one again gives the same record.

        Raises `NotFound`, and `AlreadyDecided` when the request was decided otherwise, or expired or was cancelled.
        """
        await self.get(request_id, owner=owner)
        record = await self.settle(request_id, verdict)
        if record.verdict is None or not record.verdict.agrees_with(verdict):
            state = "expired" if record.state == "pending" else record.state
            raise AlreadyDecided(f"The request is {state} already.", extra={"approval": record.shown()})
        return record

    async def advance(self, request_id: str, *, of: str, to: str) -> bool:
        """Move a request from one state to another and return whether it was in the first."""
        mark = {"unaudited": "approval.expired"} if to == "expired" else {}
        result = await self._approvals.update_one(
            {"_id": request_id, "state": of}, {"$set": {"state": to, **mark}, "$inc": {"version": 1}}
        )
        return bool(result.matched_count)

    async def claim(self, request_id: str, *, action_digest: str, at: datetime) -> Approval:
        """Claim what was approved so that it can be sent, and return the record: `claimed`, or why it cannot be.

        What was approved and is too late becomes `execution_expired` instead: of the two, one happens. A record that
        is `claimed` may have been so before. Raises `NotFound`.

        Args:
            action_digest: Of the action that is about to be sent; another one than was approved is not claimed.
        """
        wanted = {"_id": request_id, "state": "approved"}
        in_time: list[dict[str, Any]] = [{"execute_by": None}, {"execute_by": {"$gt": at}}]
        if await self._approvals.find_one_and_update(
            {**wanted, "action.digest": action_digest, "$or": in_time},
            {"$set": {"state": "claimed"}, "$inc": {"version": 1}},
        ):
            return await self.get(request_id)
        await self._approvals.update_one(
            {**wanted, "execute_by": {"$lte": at}},
            {"$set": {"state": "execution_expired", "unaudited": "approval.execution_expired"}, "$inc": {"version": 1}},
        )
        return await self.get(request_id)

    async def cancel(self, run_id: str, *, by: str | None = None, at: datetime | None = None) -> None:
        """Cancel what a run still waits for, and what it was allowed but has not begun.

        Args:
            by: Who withdrew the run; None where it ended for other reasons.
        """
        mark = {"unaudited": "approval.cancelled", "cancelled_by": by, "cancelled_at": at}
        await self._approvals.update_many(
            {"orchestration_id": run_id, "state": {"$in": ["pending", "approved"]}},
            {"$set": {"state": "cancelled", **mark}, "$inc": {"version": 1}},
        )

    async def expire(self, now: datetime) -> list[Approval]:
        """Expire what nobody decided in time, and return it."""
        due = self._approvals.find({"state": "pending", "expires_at": {"$lte": now}}).sort("expires_at", 1).limit(100)
        records = [_approval(each) for each in await due.to_list()]
        return [each for each in records if await self.advance(each.request_id, of="pending", to="expired")]


def _document(request: Approval) -> dict[str, Any]:
    fields = request.model_dump()
    return {"_id": fields.pop("request_id"), **fields}


def _approval(document: dict[str, Any]) -> Approval:
    fields = {key: value for key, value in document.items() if key in Approval.model_fields}
    return Approval(request_id=document["_id"], **fields)
