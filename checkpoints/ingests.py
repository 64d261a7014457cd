"""Work on the knowledge base that must survive a restart: jobs, what they were given, and which vectors count."""

from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database
from domain.errors import NotFound
from domain.knowledge import Family, Given, Job, JobState

OPEN: tuple[JobState, ...] = ("queued", "running")
ACTIVE = "active"


class Ingests:
    """Jobs, each with what it was given until it has ended, and the family of vectors that is searched."""

    def __init__(self, database: Database) -> None:
        self._jobs: Collection = database["knowledge_jobs"]
        self._uploads: Collection = database["knowledge_uploads"]
        self._index: Collection = database["knowledge_index"]

    async def open(self) -> None:
        """Create the indexes."""
        await self._jobs.create_index([("state", 1), ("updated_at", 1)])
        await self._jobs.create_index([("state", 1), ("_id", 1)])
        await self._jobs.create_index([("document_id", 1), ("_id", -1)])

    async def add(self, job: Job, given: Given | None = None) -> Job:
        """Record a job, after what it was given: a job that is known can be done."""
        if given is not None:
            await self._uploads.insert_one({"_id": job.job_id, **given.model_dump()})
        fields = job.model_dump()
        await self._jobs.insert_one({"_id": fields.pop("job_id"), **fields})
        return job

    async def given(self, job_id: str) -> Given | None:
        """Return what a job was given."""
        entry = await self._uploads.find_one({"_id": job_id})
        return Given(**{name: value for name, value in entry.items() if name != "_id"}) if entry else None

    async def get(self, job_id: str, *, owner: str | None = None) -> Job:
        """Return a job; raises `NotFound`, also where it belongs to somebody else than `owner`."""
        query = {"_id": job_id} if owner is None else {"_id": job_id, "owner": owner}
        entry = await self._jobs.find_one(query)
        if entry is None:
            raise NotFound("There is no such job.")
        return _job(entry)

    async def unfinished(self, *, limit: int = 100) -> list[Job]:
        """Return jobs that have not ended, in the order they were given: an attempt does not move one back."""
        found = self._jobs.find({"state": {"$in": list(OPEN)}}).sort("_id", 1).limit(limit)
        return [_job(entry) for entry in await found.to_list()]

    async def is_under_way(self, document_id: str) -> bool:
        """Return whether a job of a document has not ended."""
        query = {"document_id": document_id, "state": {"$in": list(OPEN)}}
        return await self._jobs.find_one(query) is not None

    async def count_unfinished(self) -> int:
        """Return how many jobs have not ended."""
        return await self._jobs.count_documents({"state": {"$in": list(OPEN)}})

    async def last_done(self) -> Job | None:
        """Return the job that was done last."""
        entry = await self._jobs.find_one({"state": "done", "kind": "ingest"}, sort=[("updated_at", -1), ("_id", -1)])
        return _job(entry) if entry else None

    async def take(self, job: Job, *, at: datetime) -> Job | None:
        """Set out to do a job, or return None where somebody else has: the attempt decides."""
        taken_by = ObjectId()
        entry = await self._jobs.find_one_and_update(
            {"_id": job.job_id, "attempt": job.attempt, "state": {"$in": list(OPEN)}},
            {"$set": {"state": "running", "updated_at": at, "taken_by": taken_by}, "$inc": {"attempt": 1}},
            return_document=ReturnDocument.AFTER,
        ) or await self._jobs.find_one({"_id": job.job_id, "taken_by": taken_by})
        return _job(entry) if entry else None

    async def progress(self, job: Job, step: str, *, done: int, total: int, at: datetime) -> bool:
        """Say how far an attempt is, and return whether it is still wanted."""
        told = await self._jobs.update_one(
            {"_id": job.job_id, "attempt": job.attempt, "state": "running"},
            {"$set": {"step": step, "done": done, "total": total, "updated_at": at}},
        )
        return bool(told.matched_count)

    async def give_up(self, document_id: str, *, before: str, at: datetime, error: str) -> None:
        """Let the jobs of a document be over that were given before another one would have been."""
        query = {"document_id": document_id, "_id": {"$lt": before}, "state": {"$in": list(OPEN)}}
        ids = [entry["_id"] for entry in await self._jobs.find(query).to_list()]
        await self._jobs.update_many(query, {"$set": {"state": "failed", "updated_at": at, "error": error}})
        await self._uploads.delete_many({"_id": {"$in": ids}})

    async def leave(self, job: Job, state: JobState, *, at: datetime, **fields: Any) -> None:
        """Leave an attempt in a new state; what the job was given is not needed once it has ended."""
        left = await self._jobs.update_one(
            {"_id": job.job_id, "attempt": job.attempt, "state": {"$in": list(OPEN)}},
            {"$set": {"state": state, "updated_at": at, **fields}},
        )
        if state not in OPEN and left.matched_count:
            await self._uploads.delete_one({"_id": job.job_id})

    async def active(self) -> Family | None:
        """Return the family that is searched."""
        entry = await self._index.find_one({"_id": ACTIVE})
        return _family(entry) if entry else None

    async def found(self, family: Family) -> Family:
        """Let a family be the one that is searched unless there is one, and return that."""
        try:
            await self._index.insert_one({"_id": ACTIVE, **family.model_dump()})
        except DuplicateKeyError:
            return await self.active() or family
        return family

    async def exchange(self, old: Family, new: Family) -> bool:
        """Let a family be searched instead of another, and return whether that one still was."""
        changed = await self._index.update_one(
            {"_id": ACTIVE, "generation": old.generation}, {"$set": new.model_dump()}
        )
        return bool(changed.matched_count)


def _job(entry: dict[str, Any]) -> Job:
    fields = {name: value for name, value in entry.items() if name in Job.model_fields}
    return Job(job_id=entry["_id"], **fields)


def _family(entry: dict[str, Any]) -> Family:
    return Family(fingerprint=entry["fingerprint"], generation=entry["generation"])
