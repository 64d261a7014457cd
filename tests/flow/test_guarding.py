"""What calls of a service do to its circuit breaker, over real connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from checkpoints.breakers import Breakers
from domain.actions import Call
from domain.breakers import Order, Rules, totals
from domain.errors import CircuitOpen, ServiceError, ServiceUnavailable
from tests.breaking import replica
from tests.downstream import Behaviour, Downstream, Recorded, Reply, always, documented, serving, unused_port
from tests.shop import DOCUMENT, opened, shop
from tools.http import Bounds, PooledClient
from tools.toolbox import Toolbox

BOUNDS = Bounds(deadline_seconds=0.3, attempts=1)
OFTEN = Bounds(wait_initial_seconds=0.001, wait_jitter_seconds=0.001, wait_max_seconds=0.002)
ONE_BY_ONE = Bounds(max_connections=1, pool_seconds=0.05, deadline_seconds=1, attempts=1)


@pytest.fixture
async def breakers(tmp_path: Path) -> AsyncIterator[Breakers]:
    async with replica(tmp_path, None, None, Rules(minimum_calls=4, slow_ms=150)) as opened:
        yield opened


async def counted(breakers: Breakers) -> tuple[int, int, int]:
    """Return how many calls there were, and how many of them failed and were slow."""
    seen = await breakers.of("shop").look()
    _, calls, failed, slow = totals(seen.record, seen.rules, seen.now)
    return calls, failed, slow


async def ask(breakers: Breakers, url: str, bounds: Bounds = BOUNDS) -> None:
    client = PooledClient("shop", url, bounds=bounds)
    try:
        with suppress(ServiceError):
            await client.request("GET", f"{url}/", breaker=breakers.of("shop"))
    finally:
        await client.aclose()


async def never(request: Recorded) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


async def late(request: Recorded) -> Reply:
    await asyncio.sleep(0.2)
    return await always(200)(request)


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (always(200), (1, 0, 0)),
        (late, (1, 0, 1)),
        (always(404), (0, 0, 0)),
        (always(429), (0, 0, 0)),
        (always(302), (0, 0, 0)),
        (always(500), (1, 1, 0)),
        (always(503), (1, 1, 0)),
        (never, (1, 1, 1)),
    ],
    ids=["ok", "slow", "not found", "too many", "elsewhere", "broken", "overloaded", "silent"],
)
async def test_an_answer_counts_by_what_it_says_about_the_service(
    breakers: Breakers, behaviour: Behaviour, expected: tuple[int, int, int]
) -> None:
    async with serving(Downstream(behaviour)) as url:
        await ask(breakers, url)
    assert await counted(breakers) == expected


async def test_a_service_that_cannot_be_reached_fails(breakers: Breakers) -> None:
    async with unused_port() as port:
        await ask(breakers, f"http://127.0.0.1:{port}")
    assert await counted(breakers) == (1, 1, 0)


async def test_every_attempt_counts_and_an_open_breaker_ends_them(breakers: Breakers) -> None:
    app = Downstream(always(503))
    async with serving(app) as url:
        await ask(breakers, url, OFTEN)
        assert await counted(breakers) == (3, 3, 0)
        await ask(breakers, url, OFTEN)
    assert (len(app.seen), await counted(breakers)) == (4, (4, 4, 0))


async def test_a_call_that_finds_no_free_connection_says_nothing(breakers: Breakers) -> None:
    app = Downstream(late)
    async with serving(app) as url:
        client = PooledClient("shop", url, bounds=ONE_BY_ONE)
        asking = [client.request("GET", f"{url}/", breaker=breakers.of("shop")) for _ in range(3)]
        answers = await asyncio.gather(*asking, return_exceptions=True)
        await client.aclose()
    assert sum(isinstance(each, ServiceUnavailable) for each in answers) == 2
    assert await counted(breakers) == (1, 0, 1)


async def test_a_caller_that_gives_up_says_nothing_and_releases_the_probe(breakers: Breakers) -> None:
    app, guard = Downstream(never), breakers.of("shop")
    await guard.order(Order(state="forced_open", by="ann", lasting_ms=1))
    await asyncio.sleep(0.002)
    async with serving(app) as url:
        asking = asyncio.create_task(ask(breakers, url))
        await app.reached.wait()
        with pytest.raises(CircuitOpen):
            await guard.acquire(lease_seconds=1)
        asking.cancel()
        await asyncio.wait({asking})
    assert (await guard.acquire(lease_seconds=1)).token
    assert await counted(breakers) == (0, 0, 0)


async def test_the_toolbox_is_guarded_and_health_is_not(breakers: Breakers, tmp_path: Path) -> None:
    app = Downstream(documented(DOCUMENT, always(500)))
    async with serving(app) as url, opened(tmp_path, shop(url), breaker_of=breakers.of) as services:
        toolbox = Toolbox(services)
        call = Call(service="shop", operation="getText", arguments={"id": "1"})
        action = toolbox.propose(call, run_id="r", step=1, index=0, thread_id="t", requester="u", policy="p")
        for _ in range(4):
            with pytest.raises(ServiceError):
                await toolbox.execute(action, idempotency_key=None)
        before = len(app.seen), services.stats()["shop"]["retries"]
        with pytest.raises(CircuitOpen):
            await toolbox.execute(action, idempotency_key=None)
        assert (len(app.seen), services.stats()["shop"]["retries"]) == before
        assert (await services.probe("shop")).status == "healthy"
        assert await counted(breakers) == (4, 4, 0)
