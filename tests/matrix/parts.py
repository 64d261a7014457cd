"""The parts of the matrix: which cells each has, and how they are tried."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from tests.matrix import sweeps
from tests.matrix.case import Case, Ground, Outcome
from tests.matrix.controls import CONTROLS
from tests.matrix.history import History
from tests.matrix.races import RACES, race
from tests.matrix.storms import lock_removed, stop_cases, stopped, store_cases
from tests.matrix.table import Cell, cell_of, failures

type Part = Callable[[Ground, argparse.Namespace, "Progress"], Awaitable[list[Cell]]]

DRY = Case("approve", "dedupes", plans=sweeps.NOTE)


class Progress:
    """Counts what is done, on standard error."""

    def __init__(self) -> None:
        self._done = self._of = self._red = 0

    def expect(self, count: int) -> None:
        """So many more are to come."""
        self._of += count

    def done(self, *, wrong: Sequence[str] = ()) -> None:
        """One is done, and this is wrong with it."""
        self._done += 1
        self._red += bool(wrong)
        for sentence in wrong:
            print(f"NOT GREEN {sentence}", file=sys.stderr, flush=True)
        if self._done % 20 == 0 or self._done == self._of:
            print(f"{self._done} of {self._of} cells, {self._red} not green …", file=sys.stderr, flush=True)


async def tried(
    cases: Sequence[Case], one: Callable[[Case], Awaitable[Outcome]], progress: Progress, *, jobs: int
) -> list[Outcome]:
    """Try cases, several at once, and return what came of them, in their order."""
    progress.expect(len(cases))
    turns = asyncio.Semaphore(jobs)

    async def turn(case: Case) -> Outcome:
        async with turns:
            try:
                outcome = await one(case)
            except Exception as error:  # noqa: BLE001  # a cell that cannot be tried is red, and costs the others nothing
                outcome = Outcome(case, History(mode=case.mode), [f"it could not be tried: {error!r}"], [], False)
            progress.done(wrong=failures([cell_of("", outcome)]))
            return outcome

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(turn(case)) for case in cases]
    return [task.result() for task in tasks]


async def kills(ground: Ground, given: argparse.Namespace, progress: Progress) -> list[Cell]:
    """Kill the server at every point."""
    every = sweeps.short() if given.short else sweeps.full(networked=ground.servers is not None)
    chosen = [each for each in every if each.dry.mode in given.modes and each.dry.scenario in given.scenarios]
    seen = await tried([sweep.dry for sweep in chosen], ground.tried, progress, jobs=given.jobs)
    named = [each for each in sweeps.cells_of(chosen, seen) if given.points in each[1].plans[-1].point]
    outcomes = await tried([case for _, case in named], ground.tried, progress, jobs=given.jobs)
    found = [cell_of("nothing", outcome) for outcome in seen if len(outcome.case.plans) == 1]
    return found + [cell_of(name, outcome) for (name, _), outcome in zip(named, outcomes, strict=True)]


async def faults(ground: Ground, given: argparse.Namespace, progress: Progress) -> list[Cell]:
    """Let the service misbehave."""
    cases = [case for case in sweeps.faults() if case.mode in given.modes]
    outcomes = await tried(cases, ground.tried, progress, jobs=given.jobs)
    return [cell_of("a fault of the service", each) for each in outcomes]


async def races(ground: Ground, _: argparse.Namespace, progress: Progress) -> list[Cell]:
    """Let fifty decide at once."""
    return await _one_by_one([partial(race, ground, name) for name in RACES], progress)


async def stores(ground: Ground, given: argparse.Namespace, progress: Progress) -> list[Cell]:
    """Kill the stores' servers at every point; every other cell would notice, so these are tried one by one."""
    if ground.servers is None:
        return []
    (seen,) = await tried([DRY], ground.tried, progress, jobs=1)
    cases = [each for each in store_cases(seen.passed[0]) if given.points in each.plans[0].point]
    cases = [each for each in cases if each.mode in given.modes]
    outcomes = await tried(cases, ground.tried, progress, jobs=1)
    return [cell_of(f"{outcome.case.store} killed", outcome) for outcome in outcomes]


async def stops(ground: Ground, given: argparse.Namespace, progress: Progress) -> list[Cell]:
    """Stop a server past its lease."""
    if ground.servers is None:
        return []
    (seen,) = await tried([DRY], ground.tried, progress, jobs=1)
    cases = [each for each in stop_cases(seen.passed[0]) if given.points in each.plans[0].point]
    cases = [each for each in cases if each.mode in given.modes]
    outcomes = await tried(cases, partial(stopped, ground), progress, jobs=given.jobs)
    return [cell_of("stopped past its lease", each) for each in outcomes]


async def controls(ground: Ground, _: argparse.Namespace, progress: Progress) -> list[Cell]:
    """Try what must fail."""
    those = (*CONTROLS, lock_removed) if ground.servers else CONTROLS
    return await _one_by_one([partial(control, ground) for control in those], progress)


async def _one_by_one(waiting: Sequence[Callable[[], Awaitable[Cell]]], progress: Progress) -> list[Cell]:
    progress.expect(len(waiting))
    cells = []
    for each in waiting:
        cells.append(await each())
        progress.done(wrong=failures(cells[-1:]))
    return cells


PARTS: dict[str, Part] = {
    "kills": kills,
    "faults": faults,
    "races": races,
    "stores": stores,
    "stops": stops,
    "controls": controls,
}
