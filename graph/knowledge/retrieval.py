"""Retrieval: what a question finds, by meaning and by words, among the documents its asker may see."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import structlog

from checkpoints.knowledge import Documents
from domain.conversation import Notice, Passage, Retrieved
from domain.errors import ModelUnavailable, StoreUnavailable
from domain.knowledge import Chunk, Document, Ranked, fused
from graph.knowledge.meaning import Meaning, scopes_of
from graph.knowledge.words import Words
from tools.knowledge.absent import EMPTY
from tools.knowledge.lexical import Found

log = structlog.get_logger("knowledge")

type Way = Literal["hybrid", "meaning", "words"]

WIDER = 5
"""How many times more pieces are looked at than are wanted: some belong to versions that no longer count."""

LEAST_LOOKED_AT = 20
WORDS_FLOOR = 0.34
"""The share of a question's telling words that a piece has to hold where nothing searches by meaning."""

LOOKS = 3
"""How often a question is asked whose answer was overtaken by new versions of what it found."""

REMEMBERED = 1_000
MOST_ASKED_CHARS = 2_000
LOST = "Documents are found by their words only, not by what they mean."
MISSING = "Vectors of documents are missing; they are made again from the records."
LOST_BY_SOME = "Documents whose vectors are missing are found by their words only."


@dataclass(frozen=True)
class Hit:
    """A piece that was found, and the document it belongs to."""

    document: Document
    chunk: Chunk
    ranked: Ranked


@dataclass(frozen=True)
class Answer:
    """What a question found, and what it had to do without.

    Args:
        searched: Whether there was anything to search.
    """

    hits: tuple[Hit, ...]
    notices: tuple[Notice, ...]
    searched: bool


@dataclass
class Figures:
    """What retrieval has been doing since the start."""

    queries: int = 0
    with_hits: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def note(self, seconds: float, *, found: bool) -> None:
        """Count one question."""
        self.queries += 1
        self.with_hits += found
        self.seconds.append(seconds)

    def percentile_ms(self, share: float) -> float | None:
        """Return how long that share of the last questions took at most, in milliseconds."""
        ordered = sorted(self.seconds)
        return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 2) if ordered else None


@dataclass
class Retrieval:
    """The knowledge base as nodes and people ask it.

    Args:
        top_k: How many passages a message gets at most.
        min_score: The least relevance of a passage, 0 to 1; None leaves it to the embedding.
        configured: Whether a Chroma server was asked for.
    """

    documents: Documents
    meaning: Meaning
    words: Words
    top_k: int
    min_score: float | None
    configured: bool = False
    clock: Callable[[], float] = time.monotonic
    figures: Figures = field(default_factory=Figures, init=False)

    async def search(self, query: str, *, requester: str, top_k: int | None = None) -> Retrieved:
        """Return the passages for a message, and what was degraded: a lost store costs passages, not the reply."""
        owner = requester.rpartition("/")[0] or requester
        try:
            answer = await self.find(query, owner=owner, most=top_k or self.top_k)
        except StoreUnavailable as error:
            return Retrieved(notices=(self._notice(error.detail, mode="degraded"),))
        passages = tuple(_passage(hit) for hit in answer.hits)
        return Retrieved(passages=passages, notices=answer.notices, searched=answer.searched)

    async def find(
        self,
        question: str,
        *,
        owner: str,
        most: int,
        min_score: float | None = None,
        metadata: Mapping[str, str] | None = None,
        way: Way = "hybrid",
    ) -> Answer:
        """Return what a question finds among an owner's documents and the shared ones, best first.

        Raises `StoreUnavailable` where the records do not answer.

        Args:
            min_score: Instead of this server's.
            metadata: What a document's metadata must say, word for word.
        """
        began = self.clock()
        looked_at = max(most * WIDER, LEAST_LOOKED_AT)
        asked = question[:MOST_ASKED_CHARS]
        if await self.words.lexicon.count() == 0 and not await self.documents.any_of(owner):
            self.meaning.begin()  # nobody waits for it, and the first document finds it open
            self.figures.note(self.clock() - began, found=False)
            return Answer((), (EMPTY,), searched=False)
        least = min_score if min_score is not None else self.min_score
        for _ in range(LOOKS):
            ranked, notices = await self._ranked(asked, owner, looked_at, metadata or {}, way, least)
            hits, overtaken = await self._known(ranked, owner, metadata or {})
            if not overtaken:
                break
        self.figures.note(self.clock() - began, found=bool(hits))
        log.debug("retrieved", owner=owner, chunks=[hit.chunk.chunk_id for hit in hits[:most]])
        return Answer(hits[:most], notices, searched=True)

    async def _ranked(
        self, question: str, owner: str, most: int, metadata: Mapping[str, str], way: Way, least: float | None
    ) -> tuple[list[Ranked], tuple[Notice, ...]]:
        """Return what the indexes find, best first, and what they had to do without."""
        scopes = scopes_of(owner)
        (near, floor), notices = await self._near(question, scopes, most, metadata, way)
        found = (
            await self.words.lexicon.find(question, scopes=scopes, most=most, metadata=metadata, alone=floor is None)
            if way != "meaning"
            else Found()
        )
        if least is None:
            least = WORDS_FLOOR if floor is None else floor
        return [each for each in fused(near, found.hits, exact=found.exact) if each.score >= least], notices

    async def _near(
        self, question: str, scopes: Sequence[str], most: int, metadata: Mapping[str, str], way: Way
    ) -> tuple[tuple[list[tuple[str, float]], float | None], tuple[Notice, ...]]:
        """Return what is near in meaning and the least likeness, None where nothing can tell, and why not."""
        if way == "words":
            return ([], None), ()
        try:
            near, floor = await self.meaning.nearest(question, scopes, most=most, metadata=metadata)
        except ModelUnavailable as error:
            lacking = self.meaning.has_vectors()
            return ([], None), (self._notice(error.detail, mode="degraded" if lacking else "embedded"),)
        except StoreUnavailable as error:
            return ([], None), (self._notice(error.detail, mode="degraded"),)
        if not self.meaning.missing:
            return (near, floor), ()
        return (near, floor if near else None), (self._notice(MISSING, mode="degraded", lost=LOST_BY_SOME),)

    async def _known(
        self, ranked: Sequence[Ranked], owner: str, metadata: Mapping[str, str]
    ) -> tuple[tuple[Hit, ...], bool]:
        """Return what the records say of pieces that were found: they have the last word on who may see what.

        And whether a document got another version meanwhile, of which nothing was found yet.
        """
        chunks, documents = await asyncio.gather(
            self.documents.chunks([each.chunk_id for each in ranked]),
            self.documents.known(list({_version_of(each)[0] for each in ranked})),
        )
        hits = []
        for each in ranked:
            chunk = chunks.get(each.chunk_id)
            document = documents.get(chunk.document_id) if chunk else None
            if chunk and document and _may_show(document, chunk, owner, metadata):
                hits.append(Hit(document, chunk, each))
        found = {_version_of(each) for each in ranked}
        current = {(each.document_id, str(each.version)) for each in documents.values() if each.version}
        return tuple(hits), not current <= found

    def _notice(self, reason: str, *, mode: Literal["embedded", "degraded"], lost: str = LOST) -> Notice:
        return Notice(port="knowledge", mode=mode, reason=reason, lost=lost)


def _may_show(document: Document, chunk: Chunk, owner: str, metadata: Mapping[str, str]) -> bool:
    seen = document.shared or document.owner == owner
    fits = all(document.metadata.get(name) == value for name, value in metadata.items())
    return seen and fits and chunk.version == document.version


def _version_of(ranked: Ranked) -> tuple[str, str]:
    """Return which version of which document a piece is of, as `domain.knowledge.chunk_id_of` names it."""
    document_id, version, _ = ranked.chunk_id.rsplit(".", 2)
    return document_id, version


def _passage(hit: Hit) -> Passage:
    return Passage(
        document_id=hit.document.document_id,
        chunk_id=hit.chunk.chunk_id,
        title=hit.document.title,
        text=hit.chunk.text,
        score=hit.ranked.score,
    )
