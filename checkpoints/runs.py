"""Runs, and with them the transcript: a turn of a thread is a run's message and its reply."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database
from domain.errors import Duplicate, NotFound
from domain.runs import ACTIVE, Run, RunStatus

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Runs:
    """The run records. At most one run of a thread is active: a unique index says so, whatever the processes do.

    A driver may repeat a write whose answer was lost, and be told that it comes too late: every write that only one can
    win looks whether it was its own that won.
    """

    def __init__(self, database: Database) -> None:
        self._runs: Collection = database["runs"]

    async def open(self) -> None:
        """Create the indexes."""
        await self._runs.create_index("active", unique=True, partialFilterExpression={"active": {"$exists": True}})
        await self._runs.create_index([("thread_id", 1), ("_id", -1)])
        await self._runs.create_index([("owner", 1), ("_id", -1)])
        await self._runs.create_index([("status", 1), ("_id", -1)])

    async def add(self, run: Run) -> None:
        """Record a new run; raises `Duplicate` while another one of its thread is active."""
        try:
            await self._runs.insert_one(_document(run))
        except DuplicateKeyError as error:
            if not await self._runs.find_one({"_id": run.run_id, "attempt": run.attempt}):
                raise Duplicate("The thread has an active run.") from error

    async def get(self, run_id: str, *, owner: str | None = None) -> Run:
        """Return a run; raises `NotFound`, also where it belongs to somebody else than `owner`."""
        document = await self._runs.find_one({"_id": run_id, **_owned(owner)})
        if document is None:
            raise NotFound("There is no such orchestration.")
        return _run(document)

    async def active(self, thread_id: str) -> Run | None:
        """Return the thread's active run."""
        document = await self._runs.find_one({"active": thread_id})
        return _run(document) if document else None

    async def page(
        self, *, owner: str | None, before: str | None = None, limit: int = 20, **fields: str | int
    ) -> list[Run]:
        """Return runs, newest first, older than the run `before`; `fields` must be equal."""
        query: dict[str, Any] = {**_owned(owner), **fields}
        if before:
            query["_id"] = {"$lt": before}
        return [_run(each) for each in await self._runs.find(query).sort("_id", -1).limit(limit).to_list()]

    async def unfinished(self, status: RunStatus) -> list[Run]:
        """Return every run in this status, oldest first."""
        found = self._runs.find({"status": status}).sort("_id", 1)
        return [_run(each) for each in await found.to_list()]

    async def take(self, run: Run, *, at: datetime) -> Run | None:
        """Set out for another attempt, or return None when somebody else has: the attempt decides."""
        taken_by = ObjectId()
        document = await self._runs.find_one_and_update(
            {"_id": run.run_id, "attempt": run.attempt, "status": {"$in": list(ACTIVE)}},
            {"$set": {"status": "running", "updated_at": at, "taken_by": taken_by}, "$inc": {"attempt": 1}},
            return_document=ReturnDocument.AFTER,
        ) or await self._runs.find_one({"_id": run.run_id, "taken_by": taken_by})
        return _run(document) if document else None

    async def ask_cancel(self, run: Run) -> None:
        """Ask whoever executes the run to stop it; who picks it up otherwise ends it too."""
        await self._runs.update_one({"_id": run.run_id, "status": "running"}, {"$set": {"cancel_requested": True}})

    async def leave(
        self,
        run: Run,
        status: RunStatus,
        *,
        at: datetime,
        reply: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        measured: Mapping[str, Any] = NOTHING,
    ) -> Run | None:
        """Leave an attempt in a new status, or return None when the attempt is no longer ours.

        Args:
            measured: What the record keeps for `checkpoints.measuring`, its mark among it.
        """
        changes = {"status": status, "updated_at": at, "reply": reply, "error": error, **measured}
        update: dict[str, Any] = {"$set": changes}
        if status not in ACTIVE:
            update["$unset"] = {"active": ""}
        ours = {"_id": run.run_id, "attempt": run.attempt}
        result = await self._runs.update_one({**ours, "status": {"$in": list(ACTIVE)}}, update)
        if not (result.matched_count or await self._runs.find_one({**ours, "status": status, "updated_at": at})):
            return None
        return run.model_copy(update={"status": status, "updated_at": at, "reply": reply, "error": error})

    async def amend(self, run: Run, reply: dict[str, Any]) -> None:
        """Put another reply in the place of the one that a run which has ended left."""
        await self._runs.update_one({"_id": run.run_id, "status": run.status}, {"$set": {"reply": reply}})


def _owned(owner: str | None) -> dict[str, str]:
    return {} if owner is None else {"owner": owner}


def _document(run: Run) -> dict[str, Any]:
    fields = run.model_dump()
    return {"_id": fields.pop("run_id"), "active": run.thread_id, **fields}


def _run(document: dict[str, Any]) -> Run:
    fields = {key: value for key, value in document.items() if key in Run.model_fields}
    return Run(run_id=document["_id"], **fields)
