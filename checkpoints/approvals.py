"""Approvals: every transition is one atomic compare-and-set, which also marks what others have to follow.

The rules are in `domain.deciding`; here their outcome is stored if the record is still the one it was made from, and
made anew from the present one if not. `unaudited` marks a record for `checkpoints.auditor`, `untold` for
`checkpoints.outbox`; both derive what happened from the record itself, so that a mark may stand for several steps.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from checkpoints.bell import Bell
from checkpoints.collections import Collection, Database, Filter
from domain.approvals import NOBODY, OVER, Approval, Step, Verdict
from domain.canonical import canonical, parsed
from domain.deciding import Person, lapsed, superseded, voted
from domain.errors import NotFound
from domain.principals import Principal

type Change = Callable[[Approval], Approval]

UNAUDITED = ("requested", "reminded")
"""What happens to a request without anybody deciding anything."""

LOOK_SECONDS = 1.0
"""How often a decision is looked for that another process may have recorded."""

LAPSE_LIMIT = 100
"""How many records one look at the clock takes up."""


class Approvals:
    """The approval records.

    Args:
        bell: Rung with a request's id whenever it changes here.
        announces: Whether somebody outside is told of what happens.
    """

    def __init__(self, database: Database, *, bell: Bell | None = None, announces: bool = False) -> None:
        self._approvals: Collection = database["approvals"]
        self.bell = bell or Bell()
        self._mark: dict[str, Any] = {"untold": True} if announces else {}

    async def open(self) -> None:
        """Create the indexes."""
        await self._approvals.create_index([("state", 1), ("created_at", 1), ("_id", 1)])
        await self._approvals.create_index([("state", 1), ("expires_at", 1)])
        await self._approvals.create_index([("state", 1), ("execute_by", 1)])
        await self._approvals.create_index([("state", 1), ("remind_at", 1)])
        await self._approvals.create_index([("created_at", 1), ("_id", 1)])
        await self._approvals.create_index("orchestration_id")

    async def ask(self, request: Approval) -> Approval:
        """Record a request unless it is there, and return the record.

        What the same run asked before for an action in the same place is superseded: it was planned anew since.
        """
        if known := await self._approvals.find_one({"_id": request.request_id}):
            return approval_of(known)
        try:
            await self._approvals.insert_one({**_document(request), **self._mark})
        except DuplicateKeyError:
            return await self.get(request.request_id)
        if request.kind == "graph":
            await self._supersede(request)
        self.bell.ring(request.request_id)
        return request

    async def get(self, request_id: str, *, owner: str | None = None) -> Approval:
        """Return a request; raises `NotFound`, also where it belongs to somebody else than `owner`."""
        query = {"_id": request_id} if owner is None else {"_id": request_id, "owner": owner}
        document = await self._approvals.find_one(query)
        if document is None:
            raise NotFound("There is no such approval request.")
        return approval_of(document)

    async def decided(self, request_id: str, *, wait_seconds: float, owner: str | None = None) -> Approval:
        """Return a request as soon as it no longer waits for anybody, or as it is after so long; raises `NotFound`.

        What this process changes wakes it; what another one changes is seen within `LOOK_SECONDS`.
        """
        ends = asyncio.get_running_loop().time() + wait_seconds
        with self.bell.heard(request_id) as rung:
            while True:
                rung.clear()
                record = await self.get(request_id, owner=owner)
                left = ends - asyncio.get_running_loop().time()
                if record.state != "pending" or left <= 0 or self.bell.is_dismissed:
                    return record
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, LOOK_SECONDS)):
                        await rung.wait()

    async def of_run(self, run_id: str) -> list[Approval]:
        """Return every request of a run, in the order asked."""
        found = self._approvals.find(_of_run(run_id)).sort([("created_at", 1), ("_id", 1)])
        return [approval_of(each) for each in await found.to_list()]

    async def pending(self, *, owner: str | None, skip: int, limit: int, **fields: Any) -> tuple[list[Approval], int]:
        """Return a page of what waits for a decision, oldest first, and how many wait in all."""
        return await self.page({"state": "pending", **fields}, owner=owner, skip=skip, limit=limit)

    async def page(
        self, where: Filter, *, owner: str | None, skip: int, limit: int, newest_first: bool = False
    ) -> tuple[list[Approval], int]:
        """Return a page of the requests that meet the conditions, and how many do."""
        query = dict(where) if owner is None else {**where, "owner": owner}
        way = -1 if newest_first else 1
        found = self._approvals.find(query).sort([("created_at", way), ("_id", way)]).skip(skip).limit(limit)
        return [approval_of(each) for each in await found.to_list()], await self._approvals.count_documents(query)

    async def undecided(self) -> set[str]:
        """Return the runs that wait for somebody's decision."""
        return set(
            await self._approvals.distinct("orchestration_id", {"state": "pending", "kind": {"$ne": "external"}})
        )

    async def change(self, request_id: str, change: Change, *, owner: str | None = None) -> Approval:
        """Store what a rule makes of a request, and return the record; raises `NotFound` and what the rule raises.

        Args:
            change: Called with the present record, again with a newer one where somebody else was faster.
        """
        while True:
            before = await self.get(request_id, owner=owner)
            after = change(before)
            if after is before:
                return before
            if changed := await self._swap(before, after):
                return changed

    async def decide(
        self,
        request_id: str,
        verdict: Verdict,
        *,
        owner: str | None,
        by: Principal | None = None,
        seen: str | None = None,
    ) -> Approval:
        """Record one person's verdict; the same one again gives the same record.

        Raises `NotFound`, `NotEligible`, `DigestChanged`, and `AlreadyDecided` when the request was decided otherwise,
        or expired or was cancelled.

        Args:
            by: Whose key the verdict came with, as `decided_by` names it.
            seen: The digest of the action the human saw.
        """
        principal = by or Principal(name=verdict.decided_by, roles=frozenset({"approver"}))
        who = Person(principal=principal, approver_id=verdict.approver_id)
        return await self.change(request_id, partial(voted, verdict=verdict, who=who, seen=seen), owner=owner)

    async def advance(self, request_id: str, *, of: str, to: str) -> bool:
        """Move a request from one state to another and return whether it was in the first."""
        mark = {"unaudited": f"approval.{to}", **self._mark} if to in OVER else {}
        return await self._moved(request_id, of, {"$set": {"state": to, **mark}, "$inc": {"version": 1}})

    async def withdraw(self, request_id: str, *, by: str | None, at: datetime) -> bool:
        """Cancel a claimed request that was not sent, and return whether it was one; see `cancel`."""
        return await self._moved(request_id, "claimed", self._cancelled(by, at))

    async def _moved(self, request_id: str, of: str, update: dict[str, Any]) -> bool:
        result = await self._approvals.update_one({"_id": request_id, "state": of}, update)
        self.bell.ring(request_id)
        return bool(result.matched_count)

    async def claim(self, request_id: str, *, action_digest: str, at: datetime) -> Approval:
        """Claim what was approved so that it can be sent, and return the record: `claimed`, or why it cannot be.

        What was approved and is too late becomes `execution_expired` instead: of the two, one happens. A record that
        is `claimed` may have been so before. Raises `NotFound`.

        Args:
            action_digest: Of the action that is about to be sent; another one than was approved is not claimed.
        """
        in_time: list[dict[str, Any]] = [{"execute_by": None}, {"execute_by": {"$gt": at}}]
        await self._approvals.update_one(
            {"_id": request_id, "state": "approved", "action.digest": action_digest, "$or": in_time},
            {"$set": {"state": "claimed"}, "$inc": {"version": 1}},
        )
        return await self.lapse(request_id, at)

    async def cancel(self, run_id: str, *, by: str | None = None, at: datetime | None = None) -> None:
        """Cancel what a run still waits for, and what it was allowed but has not begun.

        Args:
            by: Who withdrew the run; None where it ended for other reasons.
        """
        open_ones = {**_of_run(run_id), "state": {"$in": ["pending", "approved"]}}
        await self._approvals.update_many(open_ones, self._cancelled(by, at))
        self.bell.ring()

    def _cancelled(self, by: str | None, at: datetime | None) -> dict[str, Any]:
        """Return the update that cancels a request."""
        ended = {"state": "cancelled", "cancelled_by": by, "cancelled_at": at, "remind_at": None}
        steps = [Step(what="cancelled", at=at, by=by or NOBODY).model_dump()] if at else []
        return {
            "$set": {**ended, "unaudited": "approval.cancelled", **self._mark},
            "$push": {"trail": {"$each": steps}},
            "$inc": {"version": 1},
        }

    async def lapse(self, request_id: str, now: datetime) -> Approval:
        """Let the clock have its say on one request, and return the record."""
        return await self.change(request_id, partial(lapsed, now=now))

    async def expire(self, now: datetime) -> list[Approval]:
        """Let the clock have its say on every request, and return those that ended by it."""
        due = [
            {"state": "pending", "expires_at": {"$lte": now}},
            {"state": "pending", "remind_at": {"$lte": now}},
            {"state": "approved", "execute_by": {"$lte": now}},
        ]
        ended: list[Approval] = []
        for query in due:
            found = await self._approvals.find(query).sort("expires_at", 1).limit(LAPSE_LIMIT).to_list()
            for before in map(approval_of, found):
                after = await self._swap(before, lapsed(before, now))
                ended += [after] if after and after.state in ("expired", "execution_expired") else []
        return ended

    async def _supersede(self, request: Approval) -> None:
        for other in await self.of_run(request.orchestration_id):
            same_place = other.action.action_id == request.action.action_id
            if same_place and other.proposed_digest != request.action.digest:
                await self.change(other.request_id, partial(superseded, now=request.created_at))

    async def _swap(self, before: Approval, after: Approval) -> Approval | None:
        """Store a record in the place of another, or return None where that one is no longer there."""
        if after is before:
            return None
        old, new = before.model_dump(), after.model_dump()
        changes = {name: value for name, value in new.items() if value != old[name]}
        happened = {step.what for step in after.trail[len(before.trail) :]}.difference(UNAUDITED)
        audit = {"unaudited": f"approval.{after.trail[-1].what}"} if happened else {}
        version = {"$in": [0, None]} if before.version == 0 else before.version
        document = await self._approvals.find_one_and_update(
            {"_id": before.request_id, "version": version, "state": before.state},
            {"$set": {**changes, **audit, **self._mark, "version": before.version + 1}},
            return_document=ReturnDocument.AFTER,
        )
        if document is None:
            return None
        self.bell.ring(before.request_id)
        return approval_of(document)


def _of_run(run_id: str) -> dict[str, Any]:
    """Return the condition for the graph's own requests: another system may name its work as it likes."""
    return {"orchestration_id": run_id, "kind": {"$ne": "external"}}


def _document(request: Approval) -> dict[str, Any]:
    fields = request.model_dump()
    foreign = {"context": canonical(request.context)}  # as text: another system's names are no business of a store
    return {"_id": fields.pop("request_id"), **fields, **foreign, "user_id": request.user_id}


def approval_of(document: dict[str, Any]) -> Approval:
    """Return the approval of a stored document."""
    fields = {key: value for key, value in document.items() if key in Approval.model_fields}
    context = parsed(fields.pop("context", None) or "{}")
    return Approval(request_id=document["_id"], context=context, **fields)
