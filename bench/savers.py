"""Where checkpoints go: what each saver costs a run, in turns so that all have the same luck, and a growing thread."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from itertools import count, product
from pathlib import Path
from statistics import median
from typing import Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from redis.asyncio import Redis

from bench.load import Load, Shot, load, middle, timed_ms
from bench.processes import ROOT, no_services
from bench.progress import Progress
from boot.container import utc_now
from boot.parts import open_parts
from boot.settings import Settings
from checkpoints.documents import open_documents
from checkpoints.lean.line import Line, Script
from checkpoints.lean.packing import serializer
from checkpoints.lean.parts import Care
from checkpoints.lean.redis_shelf import RedisShelf
from checkpoints.lean.resp import Argument
from checkpoints.lean.saver import LeanSaver
from checkpoints.locks import Lease
from checkpoints.redis import PATIENT, open_redis
from checkpoints.saver import (
    open_langgraph_sqlite_saver,
    open_memory_saver,
    open_redis_json_saver,
    open_redis_saver,
    open_sqlite_saver,
)
from graph.build import build
from tests.redis_server import redis_server

NONE, MEMORY, OURS, PACKAGE, FLOOR = "none", "memory", "redis", "redis-json", "redis-floor"
OURS_FILE, PACKAGE_FILE = "sqlite", "langgraph-sqlite"
SAVERS = (NONE, MEMORY, OURS, FLOOR, PACKAGE, OURS_FILE, PACKAGE_FILE)
GRAPHS = ("three nodes", "our own graph")
GROWING = (OURS, PACKAGE, OURS_FILE, PACKAGE_FILE)
WARM_RUNS = 5
AROUND, ROUNDS = 5, 3
"""A turn's time is the median of so many turns on either side of it, in so many rounds; in turns with the others."""

SAID = "hello, this is one more line of a long talk that needs no call of anything at all, and it goes on like that"

type Saver = BaseCheckpointSaver[Any]
type Build = Callable[[Saver | None], Any]


@dataclass(frozen=True, kw_only=True)
class Grown:
    """A thread of many turns.

    Args:
        turn_ms: Milliseconds of a turn, by its number.
        stored_bytes: What the store holds for it, and `said_bytes` what was said in it.
    """

    turn_ms: dict[int, float]
    stored_bytes: int
    said_bytes: int


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What came of it.

    Args:
        loads: By graph, saver, and how many ran at once.
        grown: By saver.
        trips: Round trips of our saver in Redis for one run, and `checkpoints` what it stored with them.
    """

    loads: dict[tuple[str, str, int], Load]
    grown: dict[str, Grown]
    trips: int
    checkpoints: int

    def ratio(self, graph: str, saver: str, at_once: int, *, to: str) -> float:
        """Return the runs per second as a share of another saver's."""
        return self.loads[graph, saver, at_once].runs_per_second / self.loads[graph, to, at_once].runs_per_second


class Places:
    """The savers, opened, and what they store."""

    def __init__(self, folder: Path, client: Redis, savers: dict[str, Saver | None], graphs: dict[str, Build]) -> None:
        self.savers, self.graphs = savers, graphs
        self._folder, self._client = folder, client

    async def stored_bytes(self, saver: str) -> int:
        """Return what a saver's store holds."""
        if saver in (OURS_FILE, PACKAGE_FILE):
            return await asyncio.to_thread(_file_bytes, self._folder / f"{saver}.file")
        begin = "checkpoints:*" if saver == OURS else "*checkpoint*"
        keys = [key async for key in self._client.scan_iter(match=begin, count=1000)]
        return sum([int(await self._client.memory_usage(key, samples=0) or 0) for key in keys])

    async def empty(self) -> None:
        """Forget what Redis holds."""
        keys = [key async for key in self._client.scan_iter(count=1000)]
        for at in range(0, len(keys), 500):
            await self._client.unlink(*keys[at : at + 500])

    async def scripts(self) -> int:
        """Return how many scripts Redis has run."""
        stats: Any = await self._client.info("commandstats")
        return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


async def compare_savers(
    folder: Path, progress: Progress, *, at_once: Sequence[int], runs: int, repeats: int, turns: Sequence[int]
) -> Saving:
    """Return the medians of several repetitions, and a thread of many turns.

    Args:
        runs: How many at least, per cell and repetition.
        turns: Which turns' times are wanted; the last is how many there are.
    """
    async with opened(folder) as places:
        cells = list(product(GRAPHS, SAVERS))
        shots = {cell: _run(places.graphs[cell[0]](places.savers[cell[1]]), cell[1] != NONE) for cell in cells}
        for shot in shots.values():
            await load([shot], runs=WARM_RUNS, cpu=time.process_time)
        found: dict[tuple[str, str, int], list[Load]] = {}
        for repeat, many, (graph, saver) in product(range(repeats), at_once, cells):
            progress.say(f"savers, repetition {repeat + 1} of {repeats}: {graph}, {saver}, {many} at once")
            done = await load([shots[graph, saver]] * many, runs=max(runs, 2 * many), cpu=time.process_time)
            found.setdefault((graph, saver, many), []).append(done)
        await places.empty()
        trips, checkpoints = await _trips(places)
        grown = {}
        for saver in GROWING:
            progress.say(f"savers, a thread of {turns[-1]} turns: {saver}")
            grown[saver] = await _grown(places, saver, turns)
    return Saving(
        loads={cell: middle(loads) for cell, loads in found.items()},
        grown=grown,
        trips=trips,
        checkpoints=checkpoints,
    )


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Places]:
    """Open every saver, Redis's with its modules and a log synced every second, and both graphs."""
    settings = Settings(
        _env_file=None, data_dir=folder, services_file=no_services(folder), policy_file=ROOT / "policy.yaml"
    )
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(redis_server(folder / "redis"))
        client = await stack.enter_async_context(open_redis(server.url, max_connections=32, manner=PATIENT))
        openings: dict[str, Any] = {
            MEMORY: open_memory_saver(),
            OURS: open_redis_saver(client),
            FLOOR: _floor(client),
            PACKAGE: open_redis_json_saver(client),
            OURS_FILE: open_sqlite_saver(folder / f"{OURS_FILE}.file"),
            PACKAGE_FILE: open_langgraph_sqlite_saver(folder / f"{PACKAGE_FILE}.file"),
        }
        savers = {name: await stack.enter_async_context(opening) for name, opening in openings.items()}
        database = await stack.enter_async_context(open_documents(folder / "documents.sqlite"))
        parts = (await open_parts(stack, settings, database, folder, utc_now)).parts
        graphs: dict[str, Build] = dict(
            zip(GRAPHS, (three_nodes, lambda saver: build(parts, checkpointer=saver)), strict=True)
        )
        yield Places(folder, client, {NONE: None, **savers}, graphs)


class _Forgetful(RedisShelf):
    """Asks Redis as often as ours, for nothing: what round trips cost, whatever is done at their other end."""

    async def _fenced(self, name: str, thread: str, lease: Lease | None, arguments: Sequence[Argument]) -> Any:
        """Send what a script that writes would get to one that does nothing."""
        return await self._line.run(DOES_NOTHING, [thread], arguments)


@asynccontextmanager
async def _floor(client: Redis) -> AsyncIterator[LeanSaver]:
    saver = LeanSaver(_Forgetful(Line(client), Care()), serializer())
    try:
        yield saver
    finally:
        await saver.close()


def _file_bytes(path: Path) -> int:
    """Return the size of a file once everything written is in it, other threads' late writes too."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path.stat().st_size


DOES_NOTHING = Script("return 1")


class Message(TypedDict):
    """The state of three nodes."""

    message: str


def three_nodes(saver: Saver | None) -> Any:
    """Return a graph of three nodes that do next to nothing."""

    async def node(state: Message) -> Message:
        return {"message": state["message"] + "."}

    graph = StateGraph(Message)
    for before, name in zip((START, "a", "b"), ("a", "b", "c"), strict=True):
        graph.add_node(name, node)
        graph.add_edge(before, name)
    graph.add_edge("c", END)
    return graph.compile(checkpointer=saver)


def _run(graph: Any, saves: bool, thread: str | None = None) -> Shot:  # said once
    how: dict[str, Any] = {"durability": "sync"} if saves else {}
    numbers = count()

    async def run() -> object:
        number = next(numbers)
        names = {"thread_id": thread or f"thr_{number}", "orchestration_id": f"run_{number}", "requester": "bench/1"}
        return await graph.ainvoke({"message": SAID if thread else "hello"}, {"configurable": names}, **how)

    return run


async def _trips(places: Places) -> tuple[int, int]:
    """Return how many scripts one run of our own graph runs in Redis, and how many checkpoints it stores."""
    graph = places.graphs[GRAPHS[1]](places.savers[OURS])
    before = await places.scripts()
    await _run(graph, True, "counted")()
    trips = await places.scripts() - before
    config: Any = {"configurable": {"thread_id": "counted", "checkpoint_ns": ""}}
    return trips, len([each async for each in graph.aget_state_history(config)])


async def _grown(places: Places, saver: str, turns: Sequence[int]) -> Grown:
    """Return how a thread of our own graph grows, and what its turns cost, in turns with those of younger ones."""
    shots = _run_in_threads(places, saver)
    before, said = await places.stored_bytes(saver), 0
    for _ in range(turns[-1]):
        left: Any = await shots("old")
        said += len(SAID.encode()) + len(left["reply"].encode())
    stored_bytes = await places.stored_bytes(saver) - before
    times: dict[int, list[float]] = {at: [] for at in turns}
    for number in range(ROUNDS):
        names = {at: "old" if at == turns[-1] else f"{at} {number}" for at in turns}
        for at in turns[:-1]:
            for _ in range(at - AROUND):
                await shots(names[at])
        for _, at in product(range(2 * AROUND), turns):
            times[at].append(await timed_ms(partial(shots, names[at])))
    turn_ms = {at: median(found) for at, found in times.items()}
    return Grown(turn_ms=turn_ms, stored_bytes=stored_bytes, said_bytes=said)


def _run_in_threads(places: Places, saver: str) -> Callable[[str], Awaitable[object]]:
    """Return what runs one more turn of a thread of our own graph."""
    graph = places.graphs[GRAPHS[1]](places.savers[saver])
    shots: dict[str, Shot] = {}

    def run(thread: str) -> Awaitable[object]:
        if thread not in shots:
            shots[thread] = _run(graph, True, f"grows {saver} {thread}")
        return shots[thread]()

    return run
