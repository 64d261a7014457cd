"""How much memory the server holds, and what every run leaves behind."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.comparing import ask_on_new_session
from bench.load import load
from bench.loopback import Connection
from bench.processes import server
from bench.progress import Progress

AT_ONCE = 8
WARM_RUNS = 200


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Resident memory: at the start, after the first runs (which fill pools and caches), and after all."""

    start_bytes: int
    warm_bytes: int
    end_bytes: int
    runs: int

    @property
    def bytes_per_run(self) -> float:
        """What each run left behind after the first ones."""
        return (self.end_bytes - self.warm_bytes) / self.runs


async def watch_memory(folder: Path, progress: Progress, *, runs: int) -> Growth:
    """Return how a server's memory changes over so many runs, every one on a thread of its own."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(server(folder))
        sessions = count()
        callers = [
            ask_on_new_session(await stack.enter_async_context(Connection(running.url)), sessions)
            for _ in range(AT_ONCE)
        ]
        start_bytes = running.resident_bytes()
        progress.say(f"{runs + WARM_RUNS} runs, for memory")
        await load(callers, runs=WARM_RUNS, cpu=running.cpu)
        warm_bytes = running.resident_bytes()
        await load(callers, runs=runs, cpu=running.cpu)
        return Growth(start_bytes=start_bytes, warm_bytes=warm_bytes, end_bytes=running.resident_bytes(), runs=runs)
