"""Many sessions at once on real stores while things die: nothing acknowledged is lost, nothing is done twice.

The short form is part of `make test`; `make soak` runs the long one.
"""

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.asking import ask, decide, refunds, resume
from tests.networked import Servers, store_servers
from tests.running import Process, server_process
from tests.services import DemoServices

SOAK = os.environ.get("SOAK") == "1"
SESSIONS = 200 if SOAK else 20
SECONDS = 60.0 if SOAK else 9.0
RUNS = 100 if SOAK else 30

pytestmark = pytest.mark.timeout(600)


@dataclass
class Fleet:
    """Servers on the same stores, asked in turn."""

    processes: list[Process]
    clients: list[httpx2.AsyncClient]
    statuses: Counter[int] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._turns = itertools.cycle(self.clients)

    @property
    def client(self) -> httpx2.AsyncClient:
        return next(self._turns)

    async def ask(self, message: str, session_id: str) -> dict[str, Any] | None:
        """Send a message to the server whose turn it is; return its answer if it was acknowledged."""
        try:
            answer = await ask(self.client, message, session_id=session_id)
        except httpx2.TransportError:
            return None
        self.statuses[answer.status_code] += 1
        if answer.status_code not in (200, 202):
            return None
        body: dict[str, Any] = answer.json()
        self.acknowledged.add(body["orchestration_id"])
        return body

    async def refund(self, cents: int) -> None:
        """Ask for a refund on one server and approve it on the next, however often that takes."""
        body = await self.ask(f"refund order 1001 with ${cents / 100:.2f}", f"refund-{cents}")
        if body and body["status"] == "awaiting_approval":
            request_id, run_id = body["approvals"][0]["request_id"], body["orchestration_id"]
            await until(lambda: decide(self.client, request_id))
            await until(lambda: resume(self.client, run_id))

    async def runs(self) -> list[dict[str, Any]]:
        """Return every run on record."""
        found, before = [], None
        while True:
            query = {"limit": "100", **({"before": before} if before else {})}
            page = (await self.client.get("/orchestrations", params=query)).json()
            found += page["orchestrations"]
            if (before := page["next"]) is None:
                return found

    async def at_rest(self) -> list[dict[str, Any]]:
        """Wait until no run is under way, and return them all."""
        async with asyncio.timeout(60):
            found = await self.runs()
            while any(run["status"] == "running" for run in found):
                await asyncio.sleep(0.5)
                found = await self.runs()
        return found


async def until(attempt: Any) -> None:
    """Try again while the answer is 503 or none: what a client does."""
    async with asyncio.timeout(60):
        while True:
            try:
                if (await attempt()).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.2)


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Servers]:
    async with store_servers(tmp_path / "stores") as servers:
        yield servers


@asynccontextmanager
async def fleet(tmp_path: Path, demo: DemoServices, stores: Servers, *, size: int) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        urls = {**demo, "redis": stores.redis.url, "mongodb": stores.mongo.url}
        starting = [
            server_process(
                tmp_path / f"data{number}",
                urls,
                MONGODB_DATABASE=stores.database,
                BREAKER_OPEN_SECONDS="0.5",
                BREAKER_MINIMUM_CALLS="5",
            )
            for number in range(size)
        ]
        processes = [await stack.enter_async_context(each) for each in starting]
        limits = httpx2.Limits(max_connections=SESSIONS)
        clients = [
            await stack.enter_async_context(
                httpx2.AsyncClient(base_url=each.url, timeout=60, trust_env=False, limits=limits)
            )
            for each in processes
        ]
        yield Fleet(processes, clients)


def memory_mb(process: Process) -> float:
    assert process.process
    return float(psutil.Process(process.process.pid).memory_info().rss) / 1e6


async def test_sessions_go_on_while_a_service_is_killed_and_restored(
    tmp_path: Path, demo: DemoServices, stores: Servers
) -> None:
    async with fleet(tmp_path, demo, stores, size=1) as servers:
        ends = time.monotonic() + SECONDS

        async def session(number: int) -> None:
            while time.monotonic() < ends:
                await servers.ask("which pets are available?", f"s{number}")

        async def outage() -> None:
            await asyncio.sleep(SECONDS / 4)
            before.append(memory_mb(servers.processes[0]))
            await demo.stop("petstore")
            await asyncio.sleep(SECONDS / 4)
            await demo.start("petstore")

        before: list[float] = []
        await asyncio.gather(outage(), *(session(number) for number in range(SESSIONS)))
        await until_closed(servers, "petstore")
        runs = await servers.at_rest()
        grown = memory_mb(servers.processes[0]) - before[0]
        (breaker,) = await breakers(servers, "petstore")
    assert set(servers.statuses) == {200}
    assert {run["orchestration_id"] for run in runs} == servers.acknowledged
    assert {run["status"] for run in runs} == {"completed"}
    assert {"open", "closed"} <= {change["after"] for change in breaker["history"]}
    assert grown < 60


async def cents_refunded(demo: DemoServices) -> list[int]:
    return [round(refund["amount"] * 100) for refund in await refunds(demo["cloudapp"])]


async def breakers(servers: Fleet, name: str) -> list[dict[str, Any]]:
    found = (await servers.client.get("/circuit-breakers")).json()["circuit_breakers"]
    return [each for each in found if each["name"] == name]


async def until_closed(servers: Fleet, name: str) -> None:
    async with asyncio.timeout(30):
        while (await breakers(servers, name))[0]["state"] != "closed":  # time closes it
            await servers.ask("which pets are available?", "probe")
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("killed", ["redis", "mongo"])
async def test_a_store_killed_in_the_middle_loses_no_acknowledged_run(
    tmp_path: Path, demo: DemoServices, stores: Servers, killed: str
) -> None:
    async with fleet(tmp_path, demo, stores, size=1) as servers:
        crowd = [asyncio.create_task(servers.refund(number + 1)) for number in range(RUNS)]
        await asyncio.wait(crowd, timeout=1.0)
        store = stores.redis if killed == "redis" else stores.mongo
        await store.kill()
        await asyncio.wait(crowd, timeout=0.5)
        await store.start()
        await asyncio.gather(*crowd)
        runs = await servers.at_rest()
    made = await cents_refunded(demo)
    completed = {run["orchestration_id"] for run in runs if run["status"] == "completed"}
    assert set(servers.statuses) <= {200, 202, 503}
    assert servers.acknowledged <= completed
    assert len(made) == len(set(made)) == len(completed)


async def test_two_servers_behind_a_round_robin_share_every_thread(
    tmp_path: Path, demo: DemoServices, stores: Servers
) -> None:
    async with fleet(tmp_path, demo, stores, size=2) as servers:
        await asyncio.gather(*(servers.refund(number + 1) for number in range(RUNS)))
        runs = await servers.at_rest()
    made = await cents_refunded(demo)
    assert set(servers.statuses) == {202}
    assert sorted(made) == list(range(1, RUNS + 1))
    assert {run["status"] for run in runs} == {"completed"}
    assert len(runs) == RUNS
