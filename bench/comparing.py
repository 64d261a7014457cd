"""The server against the bare graph: the same runs, in turns, so that both have the same neighbours."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, product
from pathlib import Path

from bench.bare import MESSAGE, bare_graphs, model_ms
from bench.load import CpuClock, Load, Shot, load, middle
from bench.loopback import Connection
from bench.processes import recording, server
from bench.progress import Progress

SERVER = "server"
RECORDS = "records"
WARM_RUNS = 20


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of it.

    Args:
        loads: By what ran (a checkpointer's name, `SERVER`, or `RECORDS` for HTTP and records without a graph) and how
            many ran at once.
        model_ms: What the embedded planner costs in every run.
    """

    loads: dict[tuple[str, int], Load]
    model_ms: float

    def ratio(self, what: str, at_once: int, *, to: str) -> float:
        """Return the runs per second as a share of another's."""
        return self.loads[what, at_once].runs_per_second / self.loads[to, at_once].runs_per_second

    def added_ms(self, at_once: int) -> float:
        """Return what the server adds to the bare graph on the same checkpointer, at the median."""
        return self.loads[SERVER, at_once].p50_ms - self.loads["SQLite", at_once].p50_ms


type Callers = Callable[[int], AbstractAsyncContextManager[Sequence[Shot]]]


@dataclass(frozen=True)
class Contender:
    """Something that can run messages.

    Args:
        callers: Opens so many callers.
    """

    callers: Callers
    cpu: CpuClock

    async def load(self, *, runs: int, at_once: int) -> Load:
        """Return how so many runs went; raises what a run raises."""
        async with self.callers(at_once) as callers:
            return await load(callers, runs=runs, cpu=self.cpu)


async def compare(folder: Path, progress: Progress, *, at_once: Sequence[int], runs: int, repeats: int) -> Comparison:
    """Return the medians of several repetitions.

    Args:
        runs: How many at least, per cell and repetition.
    """
    async with AsyncExitStack() as stack:
        bare, model = await stack.enter_async_context(bare_graphs(folder))
        running = await stack.enter_async_context(server(folder))
        contenders = {name: Contender(partial(_same, run), time.process_time) for name, run in bare.items()}
        floor = await stack.enter_async_context(recording(folder / "records.sqlite"))
        contenders[SERVER] = Contender(partial(_connected, running.url, count()), running.cpu)
        contenders[RECORDS] = Contender(partial(_connected, floor.url, count()), floor.cpu)
        for contender in contenders.values():
            await contender.load(runs=WARM_RUNS, at_once=1)
        found: dict[tuple[str, int], list[Load]] = {}
        for repeat, many, name in product(range(repeats), at_once, contenders):
            progress.say(f"repetition {repeat + 1} of {repeats}: {name}, {many} at once")
            done = await contenders[name].load(runs=max(runs, 8 * many), at_once=many)
            found.setdefault((name, many), []).append(done)
        return Comparison(
            loads={cell: middle(loads) for cell, loads in found.items()}, model_ms=await model_ms(model, runs=500)
        )


def ask_on_new_session(connection: Connection, sessions: Iterator[int], *, message: str = MESSAGE) -> Shot:
    """Return a run over HTTP, every time on a thread of its own."""

    async def ask() -> object:
        body = {"user_id": 1, "session_id": f"s{next(sessions)}", "message": message}
        return await connection.asked("POST", "/orchestrate", body)

    return ask


@asynccontextmanager
async def _same(run: Shot, many: int) -> AsyncIterator[Sequence[Shot]]:
    yield [run] * many


@asynccontextmanager
async def _connected(url: str, sessions: Iterator[int], many: int) -> AsyncIterator[Sequence[Shot]]:
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(Connection(url)) for _ in range(many)]
        yield [ask_on_new_session(each, sessions) for each in connections]
