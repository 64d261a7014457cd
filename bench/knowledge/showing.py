"""The figures of retrieval as tables."""

from bench.knowledge.judging import Judgement
from bench.knowledge.scaling import Growth
from bench.tables import table


def of_judgement(judged: Judgement) -> str:
    """Return how well each way of searching does, and what is cited."""
    rows = [
        [kind, way, half, f"{score.hit_at_1:.3f}", f"{score.hit_at_3:.3f}", f"{score.mrr:.3f}"]
        for kind, ways in judged.scores.items()
        for way, halves in ways.items()
        for half, score in halves.items()
    ]
    told = (
        f"{judged.false_citations} of {judged.citations} citations are false. {judged.answered} of"
        f" {judged.unanswerable} unanswerable questions got passages all the same, {judged.silent} of"
        f" {judged.answerable} others got none. {judged.chunks_per_second:.0f} pieces a second were ingested."
    )
    return f"{table(['questions', 'search', 'half', 'hit@1', 'hit@3', 'MRR'], rows)}\n\n{told}"


def of_retrieval(growth: Growth) -> str:
    """Return how long a retrieval takes at each size, and how fast pieces came in."""
    first, *_ = (p50 for p50, _ in growth.times_ms.values())
    rows = [
        [f"{pieces:,}", f"{p50:.1f}", f"{p95:.1f}", f"{p50 / first:.2f}", f"{growth.chunks_per_second[pieces]:.0f}"]
        for pieces, (p50, p95) in growth.times_ms.items()
    ]
    return table(["pieces", "p50 ms", "p95 ms", "p50 to the first", "pieces/s stored"], rows)
