"""Kill the product everywhere and look what is left: `python -m tests.matrix [--stores STORES] [--only PART …]`."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.downstream_simulator import MODES, downstream_simulator
from tests.matrix import sweeps
from tests.matrix.case import Case, Ground, Outcome
from tests.matrix.controls import CONTROLS
from tests.matrix.nursery import nursery
from tests.matrix.scenarios import SCENARIOS
from tests.matrix.table import Cell, cell_of, failures, table
from tests.networked import store_servers

type Part = Callable[[Ground, argparse.Namespace, "Progress"], Awaitable[list[Cell]]]


class Progress:
    """Counts what is done, on standard error."""

    def __init__(self) -> None:
        self._done = self._of = self._red = 0

    def expect(self, count: int) -> None:
        """So many more are to come."""
        self._of += count

    def done(self, *, red: bool) -> None:
        """One is done."""
        self._done += 1
        self._red += red
        if self._done % 20 == 0 or self._done == self._of or red:
            print(f"{self._done} of {self._of} cells, {self._red} not green …", file=sys.stderr, flush=True)


async def tried(ground: Ground, cases: Sequence[tuple[str, Case]], progress: Progress, jobs: int) -> list[Outcome]:
    """Try cases, several at once, and return what came of them, in their order."""
    progress.expect(len(cases))
    turns = asyncio.Semaphore(jobs)

    async def one(case: Case) -> Outcome:
        async with turns:
            outcome = await ground.tried(case)
            progress.done(red=bool(outcome.wrong))
            return outcome

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(case)) for _, case in cases]
    return [task.result() for task in tasks]


async def kills(ground: Ground, given: argparse.Namespace, progress: Progress) -> list[Cell]:
    """Kill the server at every point."""
    chosen = [
        sweep
        for sweep in (sweeps.short() if given.short else sweeps.full())
        if sweep.dry.mode in given.modes and sweep.dry.scenario in given.scenarios
    ]
    dry = [("dry", sweep.dry) for sweep in chosen]
    seen = await tried(ground, dry, progress, given.jobs)
    cases = [each for each in sweeps.cells_of(chosen, seen) if given.points in each[1].plans[-1].point]
    outcomes = await tried(ground, cases, progress, given.jobs)
    found = [cell_of("nothing", outcome) for outcome in seen if len(outcome.case.plans) == 1]
    return found + [cell_of(name, outcome) for (name, _), outcome in zip(cases, outcomes, strict=True)]


async def faults(ground: Ground, given: argparse.Namespace, progress: Progress) -> list[Cell]:
    """Let the service misbehave."""
    cases = [("faults", case) for case in sweeps.faults() if case.mode in given.modes]
    return [cell_of("a fault of the service", each) for each in await tried(ground, cases, progress, given.jobs)]


async def controls(ground: Ground, _: argparse.Namespace, progress: Progress) -> list[Cell]:
    """Try what must fail."""
    progress.expect(len(CONTROLS))
    cells = []
    for control in CONTROLS:
        cells.append(await control(ground))
        progress.done(red=not cells[-1].is_green)
    return cells


PARTS: dict[str, Part] = {"kills": kills, "faults": faults, "controls": controls}


async def matrix(given: argparse.Namespace) -> list[Cell]:
    """Try everything that was asked for."""
    progress = Progress()
    cells: list[Cell] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="matrix-")))
        servers = await stack.enter_async_context(store_servers(folder)) if given.stores == "networked" else None
        downstream = await stack.enter_async_context(downstream_simulator(folder / "shop"))
        forks = await stack.enter_async_context(nursery())
        ground = Ground(folder, forks, downstream, servers)
        for part in given.only:
            cells += await PARTS[part](ground, given, progress)
    return cells


def read_options(arguments: list[str]) -> argparse.Namespace:
    """Return the options; leaves the process with status 2 when they make no sense."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--stores", choices=("embedded", "networked"), default="embedded", help="on which stores")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts only")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="these kinds of service only")
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), help="these scenarios only")
    parser.add_argument("--points", default="", metavar="TEXT", help="points whose name holds this only")
    parser.add_argument("--short", action="store_true", help="the points around claim, send, ledger and resume only")
    parser.add_argument("--jobs", type=int, default=2, help="how many cells are tried at once")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the matrix, print it, and return 1 where something is not as it must be."""
    cells = asyncio.run(matrix(read_options(sys.argv[1:])))
    print(table(cells))
    for line in (wrong := failures(cells)):
        print(f"NOT GREEN {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
