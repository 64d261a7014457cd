"""How long the server takes to its first healthy answer, and what it loads for it."""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.processes import ROOT, demo, free_port, server
from bench.progress import Progress

SHOWN = 8
NAMES = ("petstore", "vehicles", "cloudapp", "ml")


@dataclass(frozen=True, kw_only=True)
class Starts:
    """Seconds to the first healthy answer; the median of several starts, all but the first with warm files.

    Args:
        imports_ms: The packages that take longest to load, each without what it loads in turn.
    """

    with_services_seconds: float
    without_services_seconds: float
    imports_ms: dict[str, float]


async def time_starts(folder: Path, progress: Progress, *, repeats: int) -> Starts:
    """Return how long starts take while the demo services answer, and while nobody does."""
    async with demo(folder) as services:
        progress.say(f"starting {repeats} times beside its services")
        beside = [await _start_seconds(services) for _ in range(repeats)]
    progress.say(f"starting {repeats} times alone")
    nobody = {name: f"http://127.0.0.1:{free_port()}" for name in NAMES}
    alone = [await _start_seconds(nobody) for _ in range(repeats)]
    progress.say("looking at imports")
    return Starts(
        with_services_seconds=median(beside), without_services_seconds=median(alone), imports_ms=await _imports()
    )


async def _start_seconds(urls: Mapping[str, str]) -> float:
    with TemporaryDirectory() as folder:
        async with server(Path(folder), urls) as running:
            return running.start_seconds


async def _imports() -> dict[str, float]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-X", "importtime", "-c", "import server", cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, told = await child.communicate()
    spent: Counter[str] = Counter()
    for line in told.decode().splitlines()[1:]:
        own, _, module = line.removeprefix("import time:").split("|")
        spent[module.strip().partition(".")[0]] += int(own)
    return {package: microseconds / 1_000 for package, microseconds in spent.most_common(SHOWN)}
