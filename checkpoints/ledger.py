"""The ledger: the intent before the send, the outcome after it; both marked for `checkpoints.auditor` to log.

Whoever sends holds the entry by a token of its own, and only that token writes the outcome. Who takes a run over takes
its entries over: a process that was stopped longer than its lease finds its token gone, and changes nothing. Every
change is one compare-and-set, and says so where a driver repeated it and was told that it came too late.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database
from checkpoints.entries import as_said, entry_of, hold_of, mark, new_entry, not_sent, outcome_of, sent_again
from checkpoints.locks import lapsed, writing_lease
from domain.actions import Result
from domain.errors import AlreadyReconciled, NotFound
from domain.ledger import Entry, EntryState, Evidence, Hold, Order, Reconciliation

HIDDEN = "The run ended while this was being sent; whether it arrived is not known."
LATE = "The service's answer arrived when the action had been given up."

AFTERWARDS: Mapping[str, EntryState] = {"happened": "executed", "did_not_happen": "failed", "retry": "waiting"}
"""What a reconciliation makes of an entry whose outcome was unknown."""


class Ledger:
    """What was really sent: one entry for every action that changes something."""

    def __init__(self, database: Database) -> None:
        self._entries: Collection = database["ledger"]

    async def open(self) -> None:
        """Create the indexes."""
        await self._entries.create_index("run_id")
        await self._entries.create_index("action.action_id")
        await self._entries.create_index([("state", 1), ("begun_at", 1)])
        await self._entries.create_index([("begun_at", -1), ("_id", -1)])
        await self._entries.create_index("untold", partialFilterExpression={"untold": {"$exists": True}})

    async def begin(self, order: Order, *, at: datetime) -> Hold:
        """Write the intent, or take over the one that is there, and return the hold on it.

        Raises `StoreUnavailable` where the run's lease is over: whoever holds it now sends the action.
        """
        writing_lease()
        holder = str(ObjectId())
        entry = {**new_entry(order, holder, at), "state": "intent", "sent": [at]}
        try:
            await self._entries.insert_one(entry)
        except DuplicateKeyError:
            return await self._taken_over(order, holder, at)
        return hold_of(entry)

    async def refuse(self, order: Order, result: Result, *, at: datetime) -> Hold:
        """Write that the action may not be sent, unless it may have been; then take it over, to learn what happened.

        The hold's result is what stands; without one, somebody may have sent the action.
        """
        writing_lease()
        holder = str(ObjectId())
        refused = outcome_of(result, "none", at)
        try:
            await self._entries.insert_one({**new_entry(order, holder, at), **refused})
        except DuplicateKeyError:
            waiting = {"_id": order.entry_id, "state": "waiting", "in_doubt": False}
            await self._entries.update_one(waiting, {"$set": {**refused, "holder": holder}})
            return await self._taken_over(order, holder, at)
        return hold_of({**new_entry(order, holder, at), **refused})

    def still_ours(self) -> None:
        """Raise `StoreUnavailable` where the run's lease is over; asked right before anything is sent."""
        writing_lease()

    async def put_off(self, hold: Hold, reason: str, *, in_doubt: bool = False, by_breaker: bool = False) -> None:
        """Write that an action waits for its service: nothing was sent under a hold, or, in doubt, it may have been.

        Args:
            by_breaker: Whether an open breaker kept it back; that is remembered, whatever comes of the action.
        """
        ours = {"_id": hold.entry_id, "state": "intent", "holder": hold.holder}
        waits: dict[str, Any] = {"state": "waiting", "reason": reason, "in_doubt": in_doubt or hold.in_doubt}
        waits |= {"kept_back": True} if by_breaker else {}
        if in_doubt:
            changes: dict[str, Any] = {"$set": {**waits, "unaudited": "action.sent"}}
        else:
            changes = {"$set": waits, **not_sent(hold)}
        await self._entries.update_one(ours, changes)

    async def kept_back(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Return how many actions of each run an open breaker kept back for a while; runs without any are left out."""
        found = self._entries.find({"run_id": {"$in": list(run_ids)}, "kept_back": True}, ["run_id"])
        return dict(Counter([each["run_id"] for each in await found.to_list()]))

    async def finish(
        self, hold: Hold, result: Result, *, evidence: Evidence = "answer", unsent: bool = False, at: datetime
    ) -> Result:
        """Write what came of it, and return the outcome that stands: an earlier one stays.

        Raises `StoreUnavailable` where somebody else has taken the action over and will tell.

        Args:
            unsent: Whether it is certain that nothing was sent under the hold.
        """
        ours = {"_id": hold.entry_id, "state": "intent", "holder": hold.holder}
        outcome = {"$set": outcome_of(result, evidence, at, hold.round)}
        done = await self._entries.update_one(ours, {**outcome, **not_sent(hold)} if unsent else outcome)
        if done.matched_count:
            return result
        entry = await self._entries.find_one({"_id": hold.entry_id})
        if entry is None or entry["result"] is None or entry["state"] in ("waiting", "intent"):
            raise lapsed()
        if entry["state"] == "unknown" and result.outcome == "executed":
            return await self._answered_after_all(entry_of(entry), result, at)
        return Result(**entry["result"])

    async def settle(self, run_id: str, *, at: datetime) -> dict[str, Result]:
        """Return what came of every action that a run which has ended sent, by action id.

        What was begun and never finished becomes `unknown`: nobody is at it any more who could tell. What only waited
        to be sent is cancelled.
        """
        of_run = {"run_id": run_id}
        for entry in await self._entries.find({**of_run, "state": {"$in": ["intent", "waiting"]}}).to_list():
            if entry.get("reconciliations"):
                continue
            seen = {"_id": entry["_id"], "state": entry["state"], "holder": entry.get("holder")}
            if entry["state"] == "waiting" and not entry["in_doubt"]:
                ended = {"state": "cancelled", "finished_at": at, "unaudited": "action.finished"}
                await self._entries.update_one(seen, {"$set": ended})
                continue
            hidden = Result(action_id=entry["action"]["action_id"], outcome="unknown", body=HIDDEN)
            changes = {**outcome_of(hidden, "none", at), "holder": "", "untold": at}
            await self._entries.update_one(seen, {"$set": changes})
        found = await self._entries.find({**of_run, "result": {"$ne": None}}).sort([("begun_at", 1)]).to_list()
        return {entry["action"]["action_id"]: Result(**entry["result"]) for entry in found}

    async def get(self, action_id: str, *, owner: str | None = None) -> Entry:
        """Return an action's entry: the one whose outcome is open, else the last; raises `NotFound`."""
        query = {"action.action_id": action_id, **_owned(owner)}
        found = await self._entries.find(query).sort([("begun_at", -1), ("_id", -1)]).to_list()
        if not found:
            raise NotFound("There is no such action in the ledger.")
        return entry_of(next((each for each in found if each["state"] in ("unknown", "waiting", "intent")), found[0]))

    async def find(self, entry_id: str) -> Entry:
        """Return an entry as it stands; raises `NotFound`."""
        if document := await self._entries.find_one({"_id": entry_id}):
            return entry_of(document)
        raise NotFound("There is no such action in the ledger.")

    async def of_run(self, run_id: str) -> list[Entry]:
        """Return every entry of a run, oldest first."""
        found = self._entries.find({"run_id": run_id}).sort([("begun_at", 1), ("_id", 1)])
        return [entry_of(each) for each in await found.to_list()]

    async def waits(self, run_id: str) -> bool:
        """Return whether an action of a run waits for its service."""
        return await self._entries.find_one({"run_id": run_id, "state": "waiting"}, ["state"]) is not None

    async def page(
        self, *, owner: str | None, skip: int = 0, limit: int = 20, since: datetime | None = None, **fields: str
    ) -> tuple[list[Entry], int]:
        """Return a page of entries, newest first, whose fields are these, and how many there are in all.

        Args:
            since: Entries begun then or later.
            fields: `state`, `run_id`, `service` and `operation`.
        """
        query: dict[str, Any] = {**_owned(owner), **{_PATHS.get(name, name): value for name, value in fields.items()}}
        if since:
            query["begun_at"] = {"$gte": since}
        found = self._entries.find(query).sort([("begun_at", -1), ("_id", -1)]).skip(skip).limit(limit)
        return [entry_of(each) for each in await found.to_list()], await self._entries.count_documents(query)

    async def reconcile(
        self,
        entry: Entry,
        said: Reconciliation,
        *,
        known: int | None = None,
        found: Result | None = None,
        evidence: Evidence = "human",
    ) -> Entry:
        """Record what somebody says about an unknown outcome, and return the entry; the same again changes nothing.

        Raises `AlreadyReconciled` where it is not unknown, or not any more, and somebody said otherwise.

        Args:
            known: How many reconciliations whoever says it knew of: a word said again after those is another one.
            found: What the service itself told of it, where it did.
        """
        if any(each.agrees_with(said) for each in entry.reconciliations[known or 0 :]):
            return entry
        if known is not None and known != len(entry.reconciliations):
            raise AlreadyReconciled(f"The action is {entry.state}.", extra={"action": entry.shown()})
        became = AFTERWARDS[said.verdict]
        result = entry.result if became == "waiting" else found or as_said(entry, said)
        changes = {
            "state": became,
            "result": result.model_dump() if result else None,
            "in_doubt": True,
            "holder": "",
            "untold": said.decided_at,
            "unaudited": mark("action.reconciled", len(entry.reconciliations)),
            "evidence": "none" if became == "waiting" else evidence,
            **({} if became == "waiting" else {"finished_at": said.decided_at}),
        }
        before = {
            "result": entry.result.model_dump() if entry.result else None,
            "at": entry.finished_at,
            "evidence": entry.evidence,
        }
        pushed = {"reconciliations": said.model_dump(), "outcomes": before}
        seen = {"_id": entry.entry_id, "state": "unknown", "finished_at": entry.finished_at}
        document = await self._entries.find_one_and_update(
            seen, {"$set": changes, "$push": pushed}, return_document=ReturnDocument.AFTER
        )
        now = entry_of(document) if document else await self.get(entry.action.action_id)
        if document or (now.reconciliations and now.reconciliations[-1].agrees_with(said)):
            return now
        raise AlreadyReconciled(f"The action is {now.state}.", extra={"action": now.shown()})

    async def untold(self) -> list[Entry]:
        """Return the entries whose approval, run and thread have not heard yet what became of them, oldest first."""
        found = self._entries.find({"untold": {"$exists": True}}).sort([("untold", 1)]).limit(100)
        return [entry_of(each) for each in await found.to_list()]

    async def told(self, entry: Entry) -> None:
        """Note that everybody has heard of an entry as it stands here."""
        seen = {"_id": entry.entry_id, "state": entry.state, "finished_at": entry.finished_at}
        await self._entries.update_one(seen, {"$unset": {"untold": ""}})

    async def _answered_after_all(self, entry: Entry, result: Result, at: datetime) -> Result:
        """Let an answer count that arrived when the action had been given up: nothing tells more than it."""
        said = Reconciliation(verdict="happened", by=None, note=LATE, decided_by="server", decided_at=at)
        with suppress(AlreadyReconciled):
            return (await self.reconcile(entry, said, found=result, evidence="answer")).result or result
        return (await self.get(entry.action.action_id)).result or result

    async def _taken_over(self, order: Order, holder: str, at: datetime) -> Hold:
        """Take over an entry that is there; it is ours where the driver repeated an insert whose answer was lost."""
        while True:
            entry = await self._entries.find_one({"_id": order.entry_id}) or {}
            if entry.get("holder") == holder or entry["state"] not in ("intent", "waiting"):
                return hold_of(entry)
            writing_lease()
            in_doubt = entry["in_doubt"] or entry["state"] == "intent"
            before = {"sent_before": len(entry.get("sent", ())) if in_doubt else 0}
            mine: dict[str, Any] = {"holder": holder, "state": "intent", "may_send": entry["state"] == "waiting"}
            if mine["may_send"]:
                mine |= sent_again(entry, at)
            seen = {"_id": order.entry_id, "state": entry["state"], "holder": entry.get("holder")}
            if (await self._entries.update_one(seen, {"$set": mine})).matched_count:
                return hold_of({**entry, **mine, **before})


_PATHS = {"service": "action.service", "operation": "action.operation"}


def _owned(owner: str | None) -> dict[str, str]:
    return {} if owner is None else {"owner": owner}
