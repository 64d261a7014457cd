"""Jobs on the knowledge base: they go on whoever waits for them, and in the next process if this one dies."""

import asyncio
import hashlib
import secrets
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from checkpoints.locks import Lease, Leases
from domain.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    ModelUnavailable,
    NotFound,
    StoreError,
    StoreUnavailable,
    ThreadBusy,
)
from domain.knowledge import Document, Given, Job, document_id_of
from graph.knowledge.ingest import Ingest, JobOverError, is_same

log = structlog.get_logger("knowledge")

MOST_OURS = 8
"""Jobs that others left are taken up while this process has fewer."""

LOCK_SECONDS = 5.0
"""How long a job waits for a document that another server is at, before it is taken up again later."""

MOST_ATTEMPTS = 5
REPAIR_EVERY = 15
"""Every so many rounds of tending, documents are looked for that nothing could embed when they came."""

REINDEXING = "knowledge:reindex"
DELETED = "The document was deleted meanwhile."
DEFECT = "It failed by a defect of this server; its log tells which."


@dataclass
class Jobs:
    """The jobs of this process, and the way into those that another process left."""

    ingest: Ingest
    locks: Leases
    tasks: asyncio.TaskGroup
    _ours: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _naming: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _rounds: int = field(default=0, init=False)
    _last_ms: int = field(default=0, init=False)

    async def submit(self, given: Given) -> Job:
        """Record what somebody wants ingested, and return the job that does it; one that is done if nothing changes.

        Raises `Forbidden` for an address that is not allowed, `Conflict` where somebody else's document has the name.
        """
        if given.content is None:
            self.ingest.fetcher.check(given.url)
        digest = hashlib.sha256(given.content).hexdigest() if given.content is not None else ""
        async with self._naming:  # of two who bring the same at once, the second finds the first's
            # Jobs are looked for first: what is under way now is either among them, or in the document.
            under_way = await self.ingest.ingests.is_under_way(document_id_of(given, digest))
            document = await self._target(given, digest)
            if given.content is not None and not (under_way or document.error) and is_same(document, given, digest):
                return await self.ingest.ingests.add(self._job(document.document_id, given.owner, unchanged=True))
            job = await self.ingest.ingests.add(self._job(document.document_id, given.owner), given)
        self._set_going(job)
        return job

    async def reindex(self, owner: str) -> Job:
        """Return the job that embeds everything anew; the one under way if there is one."""
        for job in await self.ingest.ingests.unfinished():
            if job.kind == "reindex":
                return job
        now = self.ingest.clock()
        job = Job(job_id=self._new_id(now), kind="reindex", owner=owner, created_at=now, updated_at=now)
        await self.ingest.ingests.add(job)
        self._set_going(job)
        return job

    async def delete(self, document: Document) -> None:
        """Let a document be found no more, at once; its pieces are removed as soon as nobody is at them."""
        now = self.ingest.clock()
        last = self._new_id(now)
        await self.ingest.documents.delete(document.document_id, at=now)
        await self.ingest.ingests.give_up(document.document_id, before=last, at=now, error=DELETED)
        await self.ingest.words.lexicon.remove(document.document_id)
        await self._clean(document)

    async def wait(self, job_id: str) -> Job:
        """Return a job when this process is not at it any more."""
        if task := self._ours.get(job_id):
            await asyncio.wait([task])
        return await self.ingest.ingests.get(job_id)

    async def tend(self) -> None:
        """Look after what nobody asks for: jobs left behind, others' changes, deleted pieces, missing vectors."""
        await self.ingest.meaning.refresh()
        await self.ingest.words.catch_up(self.ingest.clock())
        for job in _first_of_each(await self.ingest.ingests.unfinished()):
            if len(self._ours) < MOST_OURS and job.job_id not in self._ours and self._is_due(job):
                self._set_going(job, wait_seconds=0)
        for document in await self.ingest.documents.deleted():
            await self._clean(document)
        if self.ingest.meaning.lacking or self._rounds % REPAIR_EVERY == 0:
            await self._repair()
        await self.ingest.meaning.look_again()
        self._rounds += 1

    async def close(self) -> None:
        """Leave what is under way to the next process."""
        tasks = list(self._ours.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _target(self, given: Given, digest: str) -> Document:
        """Return the record of the document that is meant, or a new one; of two names each has its own."""
        document_id = document_id_of(given, digest)
        known = (await self.ingest.documents.known([document_id])).get(document_id)
        if known is None:
            known = await self.ingest.documents.add(self._new(given, document_id, digest))
        if known.owner != given.owner or known.shared != given.shared:
            raise Conflict("Another document has this document_id.")
        await self.ingest.documents.set_state(known.document_id, "indexing")
        return known

    def _new(self, given: Given, document_id: str, digest: str) -> Document:
        now = self.ingest.clock()
        return Document(
            document_id=document_id,
            owner=given.owner,
            shared=given.shared,
            title=given.title or given.source or given.url or document_id,
            source=given.source or given.url,
            metadata=given.metadata,
            digest=digest,
            written_by=given.owner,
            created_at=now,
            updated_at=now,
        )

    def _job(self, document_id: str, owner: str, *, unchanged: bool = False) -> Job:
        now = self.ingest.clock()
        job_id = self._new_id(now)
        job = Job(job_id=job_id, kind="ingest", owner=owner, document_id=document_id, created_at=now, updated_at=now)
        return job.model_copy(update={"state": "done", "step": "unchanged", "unchanged": True}) if unchanged else job

    def _new_id(self, now: datetime) -> str:
        """Return an id greater than every one before; between two servers their clocks decide."""
        self._last_ms = max(int(now.timestamp() * 1000), self._last_ms + 1)
        return f"job_{self._last_ms:012x}{secrets.token_hex(8)}"

    def _is_due(self, job: Job) -> bool:
        """Return whether a job's last attempt is long enough ago: a store that is lost must not use them up."""
        pause = 2.0**job.attempt if job.attempt else 0.0
        return (self.ingest.clock() - job.updated_at).total_seconds() >= pause

    def _set_going(self, job: Job, *, wait_seconds: float = LOCK_SECONDS) -> None:
        task = self.tasks.create_task(self._looked_after(job, wait_seconds))
        self._ours[job.job_id] = task
        task.add_done_callback(lambda _: self._ours.pop(job.job_id, None))

    async def _looked_after(self, job: Job, wait_seconds: float) -> None:
        name = REINDEXING if job.kind == "reindex" else f"knowledge:{job.document_id}"
        try:
            async with self.ingest.turns.hold(job), self.locks.hold(name, wait_seconds=wait_seconds) as lease:
                if taken := await self.ingest.ingests.take(job, at=self.ingest.clock()):
                    await _while_held(lease, self._attempt(taken))
        except ThreadBusy:
            return  # another server is at it
        except StoreError as error:
            log.warning("job_left", job_id=job.job_id, reason=error.detail)  # it is taken up again

    async def _attempt(self, job: Job) -> None:
        """Do a job; whatever happens, its record says so, unless the store does not answer."""
        if job.attempt > MOST_ATTEMPTS:
            return await self._failed(job, f"Given up after {MOST_ATTEMPTS} attempts that ended in the middle.")
        try:
            done = await self.ingest.done(job)
            await self.ingest.ingests.leave(job, "done", at=self.ingest.clock(), **{"step": "done", **done})
        except (InvalidInput, Forbidden, NotFound, Conflict, ModelUnavailable) as error:
            await self._failed(job, error.detail)
        except JobOverError:
            await self._swept(job)
        except StoreUnavailable:
            raise
        except Exception:  # the record must say that the job failed, whatever it was
            log.exception("job_failed", job_id=job.job_id)
            await self._failed(job, DEFECT)

    async def _failed(self, job: Job, reason: str) -> None:
        log.warning("job_failed", job_id=job.job_id, document_id=job.document_id, reason=reason)
        if job.document_id:
            await self.ingest.documents.set_state(job.document_id, "failed", error=reason)
            await self._swept(job)
        await self.ingest.ingests.leave(job, "failed", at=self.ingest.clock(), error=reason)

    async def _swept(self, job: Job) -> None:
        """Remove the pieces of a version that nobody will see."""
        known = (await self.ingest.documents.known([job.document_id])).get(job.document_id)
        await self.ingest.documents.sweep(job.document_id, but_version=known.version if known else None)

    async def _clean(self, document: Document) -> None:
        """Remove what a deleted document left, unless a job is at it now."""
        try:
            async with self.locks.hold(f"knowledge:{document.document_id}", wait_seconds=0):
                with suppress(*(() if document.families else (StoreUnavailable,))):  # it may have been half embedded
                    if document.last_version:
                        await self.ingest.meaning.remove(document)
                await self.ingest.documents.sweep(document.document_id)
                await self.ingest.documents.erase(document.document_id)
        except (ThreadBusy, StoreUnavailable) as error:
            log.info("not_cleaned_yet", document_id=document.document_id, reason=error.detail)

    async def _repair(self) -> None:
        with suppress(ThreadBusy, ModelUnavailable, StoreUnavailable):
            async with self.locks.hold(REINDEXING, wait_seconds=0):
                await self.ingest.meaning.embed_missing(_unheard)


def _first_of_each(jobs: Iterable[Job]) -> list[Job]:
    """Return the oldest job of each document: what was given last has to be written last."""
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(job.document_id or job.job_id, job)
    return list(first.values())


async def _while_held(lease: Lease, work: Coroutine[Any, Any, None]) -> None:
    """Do some work for as long as a lease lasts."""
    doing = asyncio.ensure_future(work)
    losing = asyncio.ensure_future(lease.lost.wait())
    try:
        await asyncio.wait([doing, losing], return_when=asyncio.FIRST_COMPLETED)
    finally:
        losing.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.wait([doing])
    if not doing.cancelled():
        doing.result()


async def _unheard(_: int) -> None:
    """Tell nobody."""
