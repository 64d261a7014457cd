"""What the server costs: `python -m bench [--quick] [--only PART …] [--json FILE]`."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from bench import tables
from bench.acting import time_acts
from bench.comparing import Comparison, compare
from bench.experimenting import time_experiments
from bench.growing import watch_memory
from bench.knowledge.judging import judge
from bench.knowledge.scaling import grow
from bench.knowledge.showing import of_judgement, of_retrieval
from bench.progress import Progress
from bench.savers import compare_savers
from bench.simulating import simulate
from bench.starting import time_starts


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is run: enough for figures to trust, or a look in a minute or two."""

    at_once: tuple[int, ...]
    runs: int
    repeats: int
    starts: int
    memory_runs: int
    acts: int
    experiment_users: int
    simulated: int
    saver_runs: int
    turns: tuple[int, ...]
    pieces: tuple[int, ...]


FULL = Size(
    at_once=(1, 16, 64),
    runs=200,
    repeats=5,
    starts=5,
    memory_runs=2_000,
    acts=50,
    experiment_users=100_000,
    simulated=2_000,
    saver_runs=100,
    turns=(10, 100, 500),
    pieces=(1_000, 100_000),
)
QUICK = Size(
    at_once=(1, 16),
    runs=50,
    repeats=2,
    starts=1,
    memory_runs=300,
    acts=10,
    experiment_users=10_000,
    simulated=500,
    saver_runs=30,
    turns=(10, 100, 500),
    pieces=(1_000, 10_000),
)

type Part = Callable[[Path, Progress, Size], Awaitable[tuple[str, Any]]]


async def comparison(folder: Path, progress: Progress, size: Size) -> tuple[str, Any]:
    """Compare the server with the bare graph."""
    found = await compare(folder, progress, at_once=size.at_once, runs=size.runs, repeats=size.repeats)
    return tables.of_comparison(found), _cells(found)


async def start(folder: Path, progress: Progress, size: Size) -> tuple[str, Any]:
    """Time starts."""
    found = await time_starts(folder, progress, repeats=size.starts)
    return tables.of_starts(found), asdict(found)


async def memory(folder: Path, progress: Progress, size: Size) -> tuple[str, Any]:
    """Watch memory."""
    found = await watch_memory(folder, progress, runs=size.memory_runs)
    return tables.of_growth(found), {**asdict(found), "bytes_per_run": found.bytes_per_run}


async def acts(folder: Path, progress: Progress, size: Size) -> tuple[str, Any]:
    """Time real work."""
    found = await time_acts(folder, progress, runs=size.acts)
    return tables.of_acts(found), asdict(found)


async def experiments(folder: Path, progress: Progress, size: Size) -> tuple[str, Any]:
    """Simulate experiments, and put one under load."""
    progress.say(f"{size.simulated:,} experiments of each kind by dice")
    simulated = await asyncio.to_thread(simulate, experiments=size.simulated)
    loaded = await time_experiments(folder, progress, users=size.experiment_users)
    return tables.of_experiments(simulated, loaded), {"simulation": asdict(simulated), "load": asdict(loaded)}


async def savers(folder: Path, progress: Progress, size: Size) -> tuple[str, Any]:
    """Compare where checkpoints go."""
    found = await compare_savers(
        folder, progress, at_once=(1, 32), runs=size.saver_runs, repeats=size.repeats, turns=size.turns
    )
    loads = [
        {"graph": graph, "saver": saver, "at_once": many, **asdict(each)}
        for (graph, saver, many), each in found.loads.items()
    ]
    return tables.of_savers(found), {**asdict(found), "loads": loads}


async def knowledge(folder: Path, progress: Progress, size: Size) -> tuple[str, Any]:
    """Judge retrieval, and watch its time grow."""
    judged = await judge(folder / "judged", progress)
    grown = await grow(folder / "grown", progress, sizes=size.pieces)
    return f"{of_judgement(judged)}\n\n{of_retrieval(grown)}", {**asdict(judged), **asdict(grown)}


PARTS: dict[str, Part] = {
    "knowledge": knowledge,
    "comparison": comparison,
    "start": start,
    "memory": memory,
    "acts": acts,
    "experiments": experiments,
    "savers": savers,
}


async def run(names: list[str], size: Size) -> dict[str, Any]:
    """Run the parts one after the other, print their tables, and return their figures."""
    progress, figures = Progress(), dict[str, Any]()
    for name in names:
        with TemporaryDirectory() as folder:
            text, figures[name] = await PARTS[name](Path(folder), progress, size)
        progress.done()
        print(f"{text}\n", flush=True)
    return figures


def read_options(arguments: list[str]) -> argparse.Namespace:
    """Return the options; leaves the process with status 2 when they make no sense."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look in a minute or two; figures wander")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="run these parts only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    return parser.parse_args(arguments)


def main() -> int:
    """Run what the command line asks for; returns the exit code."""
    options = read_options(sys.argv[1:])
    size = QUICK if options.quick else FULL
    # The bare graph runs on the server's event loop: on Python's own it would be slower.
    figures = asyncio.run(run(options.only, size), loop_factory=uvloop.new_event_loop)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _cells(found: Comparison) -> dict[str, Any]:
    loads = [{"what": what, "at_once": many, **asdict(load)} for (what, many), load in found.loads.items()]
    added = {many: found.added_ms(many) for what, many in found.loads if what == "none"}
    return {"loads": loads, "added_ms_p50": added, "model_ms": found.model_ms}


if __name__ == "__main__":
    sys.exit(main())
