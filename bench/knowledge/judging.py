"""How good retrieval is: sixty documents, 120 questions, and where the right document comes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import yaml

from bench.knowledge.opening import knowledge_base
from bench.progress import Progress
from boot.knowledge import Knowledge
from domain.citations import cited
from domain.conversation import Turn
from domain.knowledge import Given
from graph.knowledge.retrieval import Way
from tools.planner import EmbeddedPlanner

FOLDER = Path(__file__).parent
OWNER = "bench"
DEPTH = 10
WAYS: tuple[Way, ...] = get_args(Way.__value__)


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well one way of searching does on some questions."""

    hit_at_1: float
    hit_at_3: float
    mrr: float


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What came of all questions.

    Args:
        scores: By kind of question (both kinds together, too), way of searching, and half of the questions.
        false_citations: Citations in the planner's answers that are not in their piece.
        answered: Unanswerable questions that got passages, of `unanswerable`; `silent` are the others that got none.
        chunks_per_second: Pieces ingested, with MiniLM.
    """

    scores: dict[str, dict[str, dict[str, Score]]]
    citations: int
    false_citations: int
    answered: int
    unanswerable: int
    silent: int
    answerable: int
    chunks_per_second: float


async def judge(folder: Path, progress: Progress) -> Judgement:
    """Ingest the documents, ask every question in every way, and check what the planner quotes."""
    documents = yaml.safe_load((FOLDER / "documents.yaml").read_text())
    questions = yaml.safe_load((FOLDER / "questions.yaml").read_text())
    async with knowledge_base(folder) as knowledge:
        progress.say("ingesting sixty documents")
        await knowledge.meaning.ready()
        rate = await _ingested(knowledge, documents)
        progress.say("asking 120 questions")
        ranks = {
            kind: {way: [await _rank(knowledge, way, *each) for each in questions[kind]] for way in WAYS}
            for kind in ("paraphrase", "exact")
        }
        told = [await _answer(knowledge, each if isinstance(each, str) else each[0]) for each in _all(questions)]
    known = len(told) - len(questions["unanswerable"])
    return Judgement(
        scores={**{kind: _halves(found) for kind, found in ranks.items()}, "both": _halves(_together(ranks))},
        citations=sum(each[1] for each in told),
        false_citations=sum(each[2] for each in told),
        answered=sum(each[0] for each in told[known:]),
        unanswerable=len(told) - known,
        silent=sum(not each[0] for each in told[:known]),
        answerable=known,
        chunks_per_second=rate,
    )


async def _ingested(knowledge: Knowledge, documents: Sequence[dict[str, str]]) -> float:
    began = time.perf_counter()
    jobs = [
        await knowledge.jobs.submit(
            Given(owner=OWNER, document_id=each["id"], title=each["title"], content=each["text"].encode())
        )
        for each in documents
    ]
    done = [await knowledge.jobs.wait(job.job_id) for job in jobs]
    return sum(job.done for job in done) / (time.perf_counter() - began)


async def _rank(knowledge: Knowledge, way: Way, question: str, expected: str) -> int | None:
    answer = await knowledge.retrieval.find(question, owner=OWNER, most=DEPTH, min_score=0, way=way)
    order = list(dict.fromkeys(hit.document.document_id for hit in answer.hits))
    return order.index(expected) + 1 if expected in order else None


async def _answer(knowledge: Knowledge, question: str) -> tuple[bool, int, int]:
    """Return whether a question got passages, how many citations the planner made of them, and how many are false."""
    found = await knowledge.retrieval.search(question, requester=f"{OWNER}/1")
    decision = await EmbeddedPlanner().decide(Turn(message=question, passages=found.passages), on_token=_unheard)
    _, sources, dropped, _ = cited(decision.text, found.passages)
    texts = {passage.chunk_id: passage.text for passage in found.passages}
    false = sum(texts[each.chunk_id][each.start : each.end] != each.quote for each in sources)
    return bool(found.passages), len(sources) + dropped, false + dropped


def _all(questions: dict[str, list[Any]]) -> list[Any]:
    return [*questions["paraphrase"], *questions["exact"], *questions["unanswerable"]]


def _together(ranks: dict[str, dict[Way, list[int | None]]]) -> dict[Way, list[int | None]]:
    # Both kinds have an even number of questions: every second one is still a question for judging.
    return {way: [*ranks["paraphrase"][way], *ranks["exact"][way]] for way in WAYS}


def _halves(found: dict[Way, list[int | None]]) -> dict[str, dict[str, Score]]:
    return {way: {"all": _score(ranks), "judging": _score(ranks[1::2])} for way, ranks in found.items()}


def _score(ranks: Sequence[int | None]) -> Score:
    return Score(
        hit_at_1=fmean(rank == 1 for rank in ranks),
        hit_at_3=fmean(rank is not None and rank <= 3 for rank in ranks),
        mrr=fmean(1 / rank if rank else 0.0 for rank in ranks),
    )


async def _unheard(_: str) -> None:
    """Tell nobody."""
