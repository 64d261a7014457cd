"""Closed-loop load: so many callers, each of whom asks again as soon as it is answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from statistics import median

type Shot = Callable[[], Awaitable[object]]
type CpuClock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Load:
    """How it went.

    Args:
        cpu_ms: Processor time of the process that does the work, per run; its client's is not in it.
    """

    runs_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


async def load(callers: Sequence[Shot], *, runs: int, cpu: CpuClock) -> Load:
    """Return how so many runs went, shared out among the callers; raises what a run raises.

    Args:
        cpu: Processor seconds so far of the process that does the work.
    """
    tickets, milliseconds = iter(range(runs)), list[float]()
    cpu_before, before = cpu(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for shoot in callers:
            group.create_task(_caller(shoot, tickets, milliseconds))
    seconds, cpu_seconds = time.perf_counter() - before, cpu() - cpu_before
    return Load(
        runs_per_second=runs / seconds,
        p50_ms=percentile(milliseconds, 50),
        p99_ms=percentile(milliseconds, 99),
        cpu_ms=cpu_seconds / runs * 1_000,
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def middle(loads: Sequence[Load]) -> Load:
    """Return the medians of several repetitions: one disturbed by its neighbours does not count."""
    return Load(**{each.name: median(getattr(load, each.name) for load in loads) for each in fields(Load)})


async def timed_ms(shoot: Shot) -> float:
    """Return how long one run took, in milliseconds."""
    before = time.perf_counter()
    await shoot()
    return (time.perf_counter() - before) * 1_000


async def _caller(shoot: Shot, tickets: Iterator[int], milliseconds: list[float]) -> None:
    milliseconds.extend([await timed_ms(shoot) for _ in tickets])
