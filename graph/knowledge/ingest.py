"""Ingest: from a document's bytes to the version of it that is searched."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from checkpoints.ingests import Ingests
from checkpoints.knowledge import Documents
from domain.errors import InvalidInput, NotFound, StoreUnavailable, UnreadableDocument
from domain.knowledge import Chunk, Document, Given, Job
from graph.knowledge.meaning import Meaning
from graph.knowledge.turns import Turns
from graph.knowledge.words import Words
from tools.knowledge.chunks import MOST_CHUNKS, chunks, title_of
from tools.knowledge.fetching import Fetcher
from tools.knowledge.reading import read


class JobOverError(Exception):
    """The record of a job says that it is over: its document was deleted."""


@dataclass(frozen=True)
class Ingest:
    """What one job on the knowledge base does, from its beginning: an attempt that ended in the middle left nothing."""

    documents: Documents
    ingests: Ingests
    meaning: Meaning
    words: Words
    fetcher: Fetcher
    clock: Callable[[], datetime]
    turns: Turns = field(default_factory=Turns)

    async def done(self, job: Job) -> dict[str, Any]:
        """Do a job, and return what its record is told.

        Raises `InvalidInput`, `NotFound` and `StoreUnavailable`, and `JobOverError` where nobody wants it any more.
        """
        return await (self._reindexed(job) if job.kind == "reindex" else self._ingested(job))

    async def _ingested(self, job: Job) -> dict[str, Any]:
        """Make a job's document what is searched; returns what its record is told."""
        given = await self.ingests.given(job.job_id)
        if given is None:
            raise InvalidInput("What it was given is gone.")
        document = await self.documents.get(job.document_id)
        if document.job_id > job.job_id:
            return {"step": "superseded", "unchanged": True}
        await self.ingests.progress(job, "reading", done=0, total=0, at=self.clock())
        given = await self._with_content(given)
        content = given.content or b""
        digest = hashlib.sha256(content).hexdigest()
        if is_same(document, given, digest):
            await self.documents.set_state(document.document_id, "ready")
            return {"unchanged": True}
        told = await read(content, content_type=given.content_type, name=given.source or given.url)
        title = given.title or told.title or title_of(told.text) or document.title
        document = document.model_copy(update={"title": title[:300], "metadata": given.metadata})
        version = await self.documents.begin(document.document_id)
        pieces = await asyncio.to_thread(chunks, told.text, document_id=document.document_id, version=version or 0)
        if version is None or not 0 < len(pieces) <= MOST_CHUNKS:
            raise UnreadableDocument(f"It makes {len(pieces)} pieces; at most {MOST_CHUNKS} are taken.")
        await self._write(job, document, version, pieces, digest=digest, given=given)
        return {"done": len(pieces), "total": len(pieces)}

    async def _with_content(self, given: Given) -> Given:
        if given.content is not None:
            return given
        fetched = await self.fetcher.fetch(given.url)
        return given.model_copy(
            update={"content": fetched.content, "content_type": fetched.content_type, "source": given.source}
        )

    async def _write(
        self, job: Job, document: Document, version: int, pieces: list[Chunk], *, digest: str, given: Given
    ) -> None:
        """Write a version that nobody sees, then let it be the one that counts, then remove what was before."""
        await self.documents.put_chunks(pieces)
        await self._telling(job, len(pieces))(0)
        families = await self.meaning.put(document, pieces, self._telling(job, len(pieces)))
        switched = await self.documents.switch(
            document,
            to=version,
            at=self.clock(),
            digest=digest,
            title=document.title,
            metadata=document.metadata,
            content_type=given.content_type,
            size_bytes=len(given.content or b""),
            chunks=len(pieces),
            families=list(families),
            written_by=given.owner,
            job_id=job.job_id,
        )
        if switched is None:
            raise NotFound("The document was deleted meanwhile.")
        await self.words.put(switched, pieces)
        await self.documents.sweep(document.document_id, but_version=version)
        if document.version or version > 1:
            with suppress(StoreUnavailable):  # what stays behind is never answered with: its version does not count
                await self.meaning.remove(document, but_version=version)

    async def _reindexed(self, job: Job) -> dict[str, Any]:
        totals = await self.documents.totals()
        total = totals.get("ready", (0, 0))[1]
        await self.meaning.reindex(self._telling(job, total))
        return {"done": total, "total": total}

    def _telling(self, job: Job, total: int) -> Callable[[int], Awaitable[None]]:
        done = 0

        async def tell(more: int) -> None:
            nonlocal done
            done += more
            if not await self.ingests.progress(job, "embedding", done=min(done, total), total=total, at=self.clock()):
                raise JobOverError
            await self.turns.pass_on(job)

        return tell


def is_same(document: Document, given: Given, digest: str) -> bool:
    """Return whether a document is already what is given: content, title and metadata."""
    same = document.state == "ready" and document.digest == digest and document.metadata == given.metadata
    return same and given.title in ("", document.title)
