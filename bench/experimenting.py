"""Experiments under load: users assigned, exposures recorded, results computed, and what all of it adds to a run."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.load import percentile
from bench.progress import Progress
from checkpoints.assignments import Observation
from checkpoints.documents import open_documents
from checkpoints.trials import Trials, open_trials
from domain.assignment import Who
from domain.experiments import Design, Variant, VariantConfig

AT_ONCE = 256
EXPOSURES_EACH = 10
ASKED = 5_000


@dataclass(frozen=True, kw_only=True)
class Experimenting:
    """What came of it.

    Args:
        known_ms: For one run's variants of a user this process knows, p50 and p99.
        read_ms: The same for a user whose assignment is stored and not in memory.
        first_ms: The same for a user nobody has seen: the assignment is written and synced.
        results_ms: From the counters, scipy loaded; `first_results_ms` loads it.
    """

    users: int
    exposures: int
    assign_seconds: float
    expose_seconds: float
    fold_seconds: float
    known_ms: tuple[float, float]
    read_ms: tuple[float, float]
    first_ms: tuple[float, float]
    first_results_ms: float
    results_ms: float
    counters: int


async def time_experiments(folder: Path, progress: Progress, *, users: int) -> Experimenting:
    """Return how an experiment with so many users goes, on the embedded store."""
    async with open_documents(folder / "documents.sqlite") as database:
        trials = await open_trials(database, clock=_now)
        experiment = await trials.design(_design(), by="bench")
        experiment, _ = await trials.start(experiment.experiment_id, operations=())
        progress.say(f"{users:,} users assigned")
        assign = await _timed(_all(users, lambda number: trials.variants.freeze(_who(number))))
        progress.say(f"{users * EXPOSURES_EACH:,} exposures recorded")
        name = experiment.experiment_id
        expose = await _timed(_all(users, lambda number: _exposed(trials, name, number)))
        progress.say("added up")
        fold = await _timed(trials.evidence.counters.fold(experiment))
        first_results = await _timed(trials.evidence.of(experiment))
        cold = await open_trials(database, clock=_now)
        return Experimenting(
            users=users,
            exposures=(await trials.evidence.of(experiment))["exposures"],
            assign_seconds=assign,
            expose_seconds=expose,
            fold_seconds=fold,
            read_ms=await _freezing(cold, range(users - ASKED, users)),
            known_ms=await _freezing(cold, range(users - ASKED, users)),
            first_ms=await _freezing(cold, range(users, users + 500)),
            first_results_ms=1_000 * first_results,
            results_ms=min([1_000 * await _timed(trials.evidence.of(experiment)) for _ in range(5)]),
            counters=len(await trials.evidence.counters.of(name)),
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _who(number: int) -> Who:
    return Who("bench", number)


def _design() -> Design:
    variants = tuple(
        Variant(name=name, type=kind, traffic_percentage=50, config=VariantConfig(temperature=temperature))
        for name, kind, temperature in (("control", "control", 0.7), ("calm", "treatment", 0.2))
    )
    return Design(name="load", metric="conversion", variants=variants)


async def _exposed(trials: Trials, experiment_id: str, number: int) -> object:
    """Record a user's exposures in one write, and every tenth user's conversion with them."""
    sums = {"latency_ms": (EXPOSURES_EACH, 900.0 * EXPOSURES_EACH)}
    sums |= {"conversion": (1, 1.0)} if number % 10 == 0 else {}
    seen = Observation("load", sums, exposures=EXPOSURES_EACH)
    return await trials.assignments.observe(experiment_id, _who(number).unit, seen, at=_now())


async def _all(users: int, do: Callable[[int], Awaitable[object]]) -> None:
    numbers = iter(range(users))

    async def worker() -> None:
        for number in numbers:
            await do(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())


async def _timed(work: Awaitable[object]) -> float:
    before = time.perf_counter()
    await work
    return time.perf_counter() - before


async def _freezing(trials: Trials, numbers: Iterable[int]) -> tuple[float, float]:
    """Return p50 and p99 of giving a run its variants, one after the other, in milliseconds."""
    spent = [1_000 * await _timed(trials.variants.freeze(_who(number))) for number in numbers]
    return percentile(spent, 50), percentile(spent, 99)
