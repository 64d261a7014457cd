"""Kill the product everywhere and look what is left: `python -m tests.matrix [--stores STORES] [--only PART …]`."""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.downstream_simulator import MODES, downstream_simulator
from tests.matrix import paper
from tests.matrix.case import Ground
from tests.matrix.nursery import nursery
from tests.matrix.parts import PARTS, Progress
from tests.matrix.scenarios import SCENARIOS
from tests.matrix.table import Cell, failures, table
from tests.networked import store_servers


async def matrix(stores: str, given: argparse.Namespace) -> list[Cell]:
    """Try everything that was asked for on one form of the stores."""
    progress = Progress()
    cells: list[Cell] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="matrix-")))
        servers = await stack.enter_async_context(store_servers(folder)) if stores == "networked" else None
        downstream = await stack.enter_async_context(downstream_simulator(folder / "shop"))
        forks = await stack.enter_async_context(nursery())
        ground = Ground(folder, forks, downstream, servers)
        for part in given.only:
            cells += await PARTS[part](ground, given, progress)
    return cells


def read_options(arguments: list[str]) -> argparse.Namespace:
    """Return the options; leaves the process with status 2 when they make no sense."""
    forms = list(paper.TITLES)
    parser = argparse.ArgumentParser(
        prog="python -m tests.matrix",
        description="Kill real server processes at every boundary and check what they leave. Exits 1 where something "
        "is not as it must be. A run of everything takes some 15 minutes on each form of the stores.",
    )
    parser.add_argument("--stores", nargs="+", choices=forms, default=forms, help="on these forms of the stores only")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts only")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="these kinds of service only")
    parser.add_argument(
        "--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="these scenarios only"
    )
    parser.add_argument("--points", default="", metavar="TEXT", help="points whose name holds this only")
    parser.add_argument("--short", action="store_true", help="only the points around claim, send, ledger and resume")
    parser.add_argument("--jobs", type=int, default=2, help="how many cells are tried at once (default 2)")
    parser.add_argument("--write", action="store_true", help="write what came of it to docs/kill-matrix.md")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the matrix, print it, and return 1 where something is not as it must be."""
    given = read_options(sys.argv[1:])
    wrong: list[str] = []
    for stores in given.stores:
        cells = asyncio.run(matrix(stores, given))
        print(f"{paper.TITLES[stores]}\n\n{table(cells)}\n", flush=True)
        if given.write:
            paper.write(stores, cells, arguments=sys.argv[1:])
        for line in failures(cells):
            print(f"NOT GREEN {line}", flush=True)
            wrong.append(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
