"""The knowledge base, opened: its records, what searches them, and the jobs that fill it."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from boot.ports import Port
from boot.settings import Settings
from checkpoints.collections import Database
from checkpoints.ingests import Ingests
from checkpoints.knowledge import Documents
from checkpoints.locks import Leases
from domain.errors import ModelUnavailable, StoreError, StoreUnavailable
from graph.knowledge.ingest import Ingest
from graph.knowledge.jobs import Jobs
from graph.knowledge.meaning import Meaning
from graph.knowledge.retrieval import LOST, LOST_BY_SOME, MISSING, Retrieval
from graph.knowledge.words import Words
from tools.knowledge.choosing import Embeddings
from tools.knowledge.fetching import fetcher
from tools.knowledge.lexical import open_lexicon
from tools.knowledge.minilm import open_minilm
from tools.knowledge.ollama import OllamaEmbeddings, open_ollama_embeddings
from tools.knowledge.once import Once
from tools.knowledge.vectors import Vectors, open_vectors

log = structlog.get_logger("knowledge")

TEND_SECONDS = 2.0
NOTHING_ELSE = "Nothing else is configured."


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """The knowledge base as the shell reads and writes it."""

    documents: Documents
    ingests: Ingests
    meaning: Meaning
    retrieval: Retrieval
    jobs: Jobs
    tasks: asyncio.TaskGroup
    opened_at: datetime
    configured: bool

    async def begin(self, stack: AsyncExitStack) -> None:
        """Begin to look after jobs; the stack leaves them to the next process.

        Last of all: what keeps a server from starting comes out of a task group as a group of errors.
        """
        await stack.enter_async_context(self.tasks)
        stack.push_async_callback(self.jobs.close)
        stack.callback(self.tasks.create_task(_tend(self.jobs)).cancel)

    async def stats(self) -> dict[str, Any]:
        """Return how much there is, how it is searched, and how that goes."""
        totals, waiting, last = await asyncio.gather(
            self.documents.totals(), self.ingests.count_unfinished(), self.ingests.last_done()
        )
        there, wanted = await self.meaning.fingerprints()
        port, figures = await self.port(), self.retrieval.figures
        documents, chunks = totals.get("ready", (0, 0))
        family = await self.meaning.refresh()
        return {
            "state": "indexing" if waiting else "ready" if documents else "empty",
            "documents": documents,
            "documents_failed": totals.get("failed", (0, 0))[0],
            "chunks": chunks,
            "jobs_unfinished": waiting,
            "mode": port.mode,
            "form": port.form,
            "reason": port.reason,
            "search": "words" if port.lost else "hybrid",
            "collection": family.name if family else None,
            "fingerprint": there.model_dump() if there else None,
            "wanted_fingerprint": wanted.model_dump() if wanted else None,
            "reindex_needed": bool(there and wanted and there != wanted),
            "initialisations": self.meaning.store.times,
            "queries": figures.queries,
            "hit_rate": round(figures.with_hits / figures.queries, 4) if figures.queries else None,
            "latency_p50_ms": figures.percentile_ms(0.5),
            "latency_p95_ms": figures.percentile_ms(0.95),
            "last_ingest": last.updated_at.isoformat() if last else None,
        }

    async def port(self) -> Port:
        """Return the port as it is now; nothing is opened for it."""
        reason, lost = "It answers." if self.configured else NOTHING_ELSE, ""
        mode = "networked" if self.configured else "embedded"
        try:
            await self._look()
        except ModelUnavailable as error:
            reason, lost = error.detail, LOST
            mode = "degraded" if self.configured or self.meaning.has_vectors() else "embedded"
        except StoreUnavailable as error:
            reason, lost, mode = error.detail, LOST, "degraded"
        if not lost and self.meaning.missing:
            reason, lost, mode = MISSING, LOST_BY_SOME, "degraded"
        return Port.model_validate(
            {
                "port": "knowledge",
                "configured": self.configured,
                "healthy": mode != "degraded",
                "mode": mode,
                "form": await self._form(words_only=lost == LOST),
                "since": self.opened_at,
                "reason": reason,
                "lost": lost,
            }
        )

    async def _look(self) -> None:
        """Raise what keeps a question from being searched by meaning, once anything was."""
        if self.meaning.trouble:
            raise self.meaning.trouble
        if self.meaning.store.opened() or self.meaning.has_vectors():
            await self.meaning.ready()

    async def _form(self, *, words_only: bool) -> str:
        opened = self.meaning.store.opened()
        if words_only or opened is None:
            return "words" if words_only else "not opened yet"
        there, wanted = await self.meaning.fingerprints()
        named = there or wanted
        return f"{opened.form}, {named.model}" if named else opened.form


async def open_knowledge(
    stack: AsyncExitStack,
    settings: Settings,
    database: Database,
    locks: Leases,
    data_dir: Path,
    clock: Callable[[], datetime],
) -> Knowledge:
    """Open the records and the index of words; the vectors open when they are first asked for.

    Raises `ConfigurationError` and `StoreUnavailable`.
    """
    documents, ingests = Documents(database), Ingests(database)
    for records in (documents, ingests):
        await records.open()
    lexicon = await stack.enter_async_context(open_lexicon(data_dir / "words.sqlite"))
    store = Once(lambda: open_vectors(data_dir / "chroma", settings.chroma_url))
    stack.push_async_callback(_close, store)
    embeddings = Embeddings(settings.embedding_model, await _server(stack, settings), Once(open_minilm))
    meaning = Meaning(store, embeddings, documents, ingests)
    words = Words(lexicon, documents)
    allowed = fetcher(settings.rag_allowed_hosts, settings.rag_allowed_networks, most_bytes=settings.max_document_bytes)
    tasks = asyncio.TaskGroup()
    jobs = Jobs(Ingest(documents, ingests, meaning, words, allowed, clock), locks, tasks)
    retrieval = Retrieval(documents, meaning, words, settings.rag_top_k, settings.rag_min_score)
    return Knowledge(
        documents=documents,
        ingests=ingests,
        meaning=meaning,
        retrieval=retrieval,
        jobs=jobs,
        tasks=tasks,
        opened_at=clock(),
        configured=settings.chroma_url is not None,
    )


async def _server(stack: AsyncExitStack, settings: Settings) -> OllamaEmbeddings | None:
    if not settings.ollama_url or not settings.embedding_model:
        return None
    return await stack.enter_async_context(open_ollama_embeddings(settings.ollama_url))


async def _close(store: Once[Vectors]) -> None:
    await store.settle()
    if vectors := store.opened():
        await vectors.close()


async def _tend(jobs: Jobs) -> None:
    """Look after the knowledge base; from the second round on, so that the start does not wait for it."""
    for tending in itertools.count():
        try:
            await jobs.tend()
            if tending == 1 and await jobs.ingest.documents.totals():
                with suppress(ModelUnavailable):
                    await jobs.ingest.meaning.ready()
        except StoreError as error:
            log.warning("knowledge_not_tended", error=type(error).__name__, detail=error.detail)
        await asyncio.sleep(TEND_SECONDS)
