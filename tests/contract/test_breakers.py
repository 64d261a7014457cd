"""Every form of the circuit breakers keeps the same promises."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from checkpoints.breakers import Breakers
from domain.breakers import Order, totals
from domain.errors import CircuitOpen, NotFound
from tests.breaking import RULES, Time, allowed, call, opened, replica
from tests.redis_server import redis_server

type Start = Callable[[], AbstractAsyncContextManager[Breakers]]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(params=["embedded", "redis"])
async def start(request: pytest.FixtureRequest, tmp_path: Path, time: Time) -> AsyncIterator[Start]:
    """What starts a process; started again, it is the same one on the same stores."""
    if request.param == "embedded":
        yield lambda: replica(tmp_path, time, None)
        return
    async with redis_server(tmp_path / "redis", modules=False) as redis:
        yield lambda: replica(tmp_path, time, redis)


async def test_it_opens_refuses_probes_and_closes(start: Start, time: Time) -> None:
    async with start() as breakers:
        shop = breakers.of("shop")
        await opened(shop)
        with pytest.raises(CircuitOpen) as caught:
            await call(shop)
        assert (caught.value.retry_after, caught.value.service, caught.value.may_have_applied) == (1, "shop", False)
        assert "circuit breaker of shop" in caught.value.detail
        time.milliseconds += 1_000
        for _ in range(RULES.probes):
            await call(shop, "succeeded")
        record = (await shop.look()).record
    assert [(each.before, each.after, each.reason) for each in record.history] == [
        ("closed", "open", "4 of 4 calls failed"),
        ("open", "half_open", "the pause is over"),
        ("half_open", "closed", "the probes succeeded"),
    ]
    assert (record.refused, record.error) == (1, "ServiceFailed: it broke")


async def test_services_have_breakers_of_their_own(start: Start) -> None:
    async with start() as breakers:
        await opened(breakers.of("shop"))
        await call(breakers.of("bank"), "succeeded")
        assert {each.name: each.record.state for each in await breakers.look()} == {"shop": "open", "bank": "closed"}
        with pytest.raises(NotFound):
            breakers.of("nobody")


async def test_the_window_counts_every_call_that_says_something(start: Start) -> None:
    async with start() as breakers:
        shop = breakers.of("shop")
        for _ in range(7):
            await call(shop, "succeeded")
        await call(shop, "failed")
        await call(shop, "dropped")
        await call(shop, "succeeded", seconds=1)
        seen = await shop.look()
        assert totals(seen.record, seen.rules, seen.now)[1:] == (9, 1, 1)


async def test_slow_calls_open_it(start: Start) -> None:
    async with start() as breakers:
        shop = breakers.of("shop")
        for _ in range(4):
            await call(shop, "succeeded", seconds=1)
        assert (await shop.look()).record.history[-1].reason == "4 of 4 calls were slow"


async def test_concurrent_failures_open_it_once(start: Start) -> None:
    async with start() as breakers:
        shop = breakers.of("shop")
        permits = await allowed(shop)
        assert len(permits) == 40
        await asyncio.gather(*(shop.report(each, "failed", seconds=0, error="x") for each in permits))
        record = (await shop.look()).record
        assert (record.state, record.openings, len(record.history)) == ("open", 1, 1)


async def test_of_forty_callers_one_probes(start: Start, time: Time) -> None:
    async with start() as breakers:
        shop = breakers.of("shop")
        await opened(shop)
        time.milliseconds += 1_000
        (probe,) = await allowed(shop)
        assert await allowed(shop) == []
        await shop.report(probe, "dropped", seconds=0)
        await asyncio.sleep(0)
        assert [len(await allowed(shop)), len(await allowed(shop))] == [1, 0]


async def test_a_probe_that_never_comes_back_is_replaced(start: Start, time: Time) -> None:
    async with start() as breakers:
        shop = breakers.of("shop")
        await opened(shop)
        time.milliseconds += 1_000
        (lost,) = await allowed(shop)
        time.milliseconds += 499
        assert await allowed(shop) == []
        time.milliseconds += 1
        assert len(await allowed(shop)) == 1
        await shop.report(lost, "failed", seconds=0)
        assert (await shop.look()).record.state == "half_open"


async def test_an_open_breaker_is_open_after_a_restart(start: Start, time: Time) -> None:
    async with start() as breakers:
        await opened(breakers.of("shop"))
    async with start() as breakers:
        shop = breakers.of("shop")
        with pytest.raises(CircuitOpen):
            await call(shop)
        time.milliseconds += 1_000
        await call(shop, "failed")
    async with start() as breakers:
        record = (await breakers.of("shop").look()).record
        assert (record.state, record.openings, record.until - time.milliseconds) == ("open", 2, 2_000)


async def test_an_order_holds_over_a_restart_until_its_time_is_over(start: Start, time: Time) -> None:
    async with start() as breakers:
        await breakers.of("shop").order(Order(state="forced_open", by="ann", reason="repairs", lasting_ms=5_000))
    async with start() as breakers:
        shop = breakers.of("shop")
        with pytest.raises(CircuitOpen) as caught:
            await call(shop)
        assert caught.value.retry_after == 5
        assert (await shop.look()).record.history[-1][3:] == ("repairs", "ann")
        time.milliseconds += 5_000
        assert len(await allowed(shop)) == 1


async def test_a_disabled_breaker_lets_everything_pass_and_counts(start: Start) -> None:
    async with start() as breakers:
        shop = breakers.of("shop")
        await opened(shop)
        await shop.order(Order(state="disabled", by="ann"))
        for _ in range(5):
            await call(shop)
        seen = await shop.look()
        assert (seen.record.state, totals(seen.record, seen.rules, seen.now).failed) == ("disabled", 9)


async def test_a_reset_closes_it_and_forgets(start: Start) -> None:
    async with start() as breakers:
        shop = breakers.of("shop")
        await opened(shop)
        seen = await shop.order(Order(state="closed", by="ann"))
        assert (seen.record.state, totals(seen.record, seen.rules, seen.now).calls) == ("closed", 0)
        await call(shop, "failed")
        assert (await shop.look()).record.state == "closed"
