"""How the time of a retrieval grows: the same questions at a thousand and at a hundred thousand pieces.

Texts are of made-up words with natural frequencies, vectors are random around centres: what is timed is the search
without the embedding of the question, which costs the same at every size.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.knowledge.opening import knowledge_base
from bench.progress import Progress
from boot.container import utc_now
from boot.knowledge import Knowledge
from domain.knowledge import Chunk, Document, Fingerprint, chunk_id_of
from tools.knowledge.embedding import Vector

OWNER = "bench"
PIECES, TOLD_EVERY = 100, 1_000
WORDS, CENTRES, DIMENSION = 20_000, 200, 384
QUESTIONS, WARMING = 220, 20


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How a retrieval and an ingest go, by pieces.

    Args:
        times_ms: Of a retrieval: the median and the 95th percentile.
        chunks_per_second: Stored and indexed since the size before, without embedding.
    """

    times_ms: dict[int, tuple[float, float]]
    chunks_per_second: dict[int, float]


class Made:
    """An embedding that makes vectors up."""

    floor = 0.0
    fingerprint = Fingerprint(model="made-up", dimension=DIMENSION, version="1")

    def __init__(self, seed: int) -> None:
        import numpy as np  # late: what has its settings from the environment is set by tools.knowledge.minilm

        self._random = np.random.default_rng(seed)
        self._centres = self._random.normal(size=(CENTRES, DIMENSION))

    async def of_documents(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        near = self._centres[self._random.integers(CENTRES, size=len(texts))]
        vectors: list[Vector] = (near + self._random.normal(scale=0.5, size=near.shape)).tolist()
        return vectors

    async def of_query(self, text: str) -> Vector:
        """Return a vector near one of the centres."""
        return (await self.of_documents([text]))[0]

    async def wanted(self) -> "Made":
        """Be what is wanted."""
        return self

    async def matching(self, fingerprint: Fingerprint) -> "Made":
        """Be what made everything."""
        return self


async def grow(folder: Path, progress: Progress, *, sizes: Sequence[int]) -> Growth:
    """Return how long a retrieval takes at each size."""
    times: dict[int, tuple[float, float]] = {}
    made = Made(1)
    source = random.Random(2)  # noqa: S311  # no secret
    vocabulary = [f"w{source.randrange(36**5):x}" for _ in range(WORDS)]
    weights = [1 / (rank + 2) for rank in range(WORDS)]
    async with knowledge_base(folder) as knowledge:
        knowledge.meaning.embeddings = made  # type: ignore[assignment]  # the two methods it is asked for
        there, rates = 0, dict[int, float]()
        for size in sizes:
            began, before = time.perf_counter(), there
            while there < size:
                if there % TOLD_EVERY == 0:
                    progress.say(f"{there:,} of {size:,} pieces")
                texts = [" ".join(source.choices(vocabulary, weights, k=80)) for _ in range(PIECES)]
                await _added(knowledge, f"doc_{there}", texts)
                there += PIECES
            rates[size] = (there - before) / (time.perf_counter() - began)
            asked = [" ".join(source.choices(vocabulary, weights, k=8)) for _ in range(QUESTIONS)]
            times[size] = await _timed(knowledge, asked)
    return Growth(times_ms=times, chunks_per_second=rates)


async def _added(knowledge: Knowledge, name: str, texts: Sequence[str]) -> None:
    now = utc_now()
    document = Document(
        document_id=name, owner=OWNER, title=name, written_by=OWNER, created_at=now, updated_at=now, last_version=1
    )
    await knowledge.documents.add(document)
    pieces = [
        Chunk(chunk_id=chunk_id_of(name, 1, place), document_id=name, version=1, index=place, start=0, end=1, text=text)
        for place, text in enumerate(texts)
    ]
    await knowledge.documents.put_chunks(pieces)
    families = await knowledge.meaning.put(document, pieces, _unheard)
    ready = await knowledge.documents.switch(document, to=1, at=now, chunks=len(pieces), families=list(families))
    if ready:
        await knowledge.jobs.ingest.words.put(ready, pieces)


async def _timed(knowledge: Knowledge, questions: Sequence[str]) -> tuple[float, float]:
    times = []
    for question in questions:
        began = time.perf_counter()
        await knowledge.retrieval.find(question, owner=OWNER, most=4)
        times.append((time.perf_counter() - began) * 1_000)
    times = times[WARMING:]
    return median(times), sorted(times)[int(len(times) * 0.95)]


async def _unheard(_: int) -> None:
    """Tell nobody."""
