"""The ledger: the intent before the send, the outcome after it; both marked for `checkpoints.auditor` to log."""

from datetime import datetime

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database
from checkpoints.locks import writing_lease
from domain.actions import Action, Result

HIDDEN = "The run ended while this was being sent; whether it arrived is not known."


class Ledger:
    """What was really sent: one entry for every action that changes something."""

    def __init__(self, database: Database) -> None:
        self._entries: Collection = database["ledger"]

    async def open(self) -> None:
        """Create the indexes."""
        await self._entries.create_index("run_id")
        await self._entries.create_index([("state", 1), ("begun_at", 1)])

    async def begin(self, action: Action, *, run_id: str, key: str, at: datetime) -> tuple[bool, Result | None]:
        """Write the intent; return whether this is the first time, and the result if there is one already.

        Raises `StoreUnavailable` where the run's lease is over: whoever holds it now sends the action.

        Args:
            key: The `Idempotency-Key` the action travels under.
        """
        writing_lease()
        begun_by = ObjectId()
        entry = {
            "_id": _id(action),
            "run_id": run_id,
            "key": key,
            "action": action.model_dump(),
            "state": "intent",
            "begun_at": at,
            "begun_by": begun_by,
            "result": None,
            "unaudited": "action.sent",
        }
        try:
            await self._entries.insert_one(entry)
        except DuplicateKeyError:
            return await self._begun_before(_id(action), begun_by)
        return True, None

    async def finish(self, action: Action, result: Result, *, at: datetime) -> None:
        """Write what came of it; an outcome that is there already stays."""
        await self._entries.update_one(
            {"_id": _id(action), "state": "intent"},
            {
                "$set": {
                    "state": result.outcome,
                    "result": result.model_dump(),
                    "finished_at": at,
                    "unaudited": "action.finished",
                }
            },
        )

    async def settle(self, run_id: str, *, at: datetime) -> dict[str, Result]:
        """Return what came of every action that a run which has ended sent, by action id.

        What was begun and never finished becomes `unknown`: nobody is at it any more who could tell.
        """
        found = await self._entries.find({"run_id": run_id}).to_list()
        actions = [Action(**entry["action"]) for entry in found if entry["state"] == "intent"]
        for action in actions:
            await self.finish(action, Result(action_id=action.action_id, outcome="unknown", body=HIDDEN), at=at)
        if actions:
            found = await self._entries.find({"run_id": run_id}).to_list()
        return {entry["action"]["action_id"]: Result(**entry["result"]) for entry in found}

    async def _begun_before(self, entry_id: str, begun_by: ObjectId) -> tuple[bool, Result | None]:
        """Answer for an entry that is there; it is ours where the driver repeated an insert whose answer was lost."""
        entry = await self._entries.find_one({"_id": entry_id}) or {}
        result = entry.get("result")
        return entry.get("begun_by") == begun_by, Result(**result) if result else None


def _id(action: Action) -> str:
    """Return an entry's id: another action at the same place of a run, planned anew after a loss, has its own."""
    return f"{action.action_id}-{action.digest[:32]}"
