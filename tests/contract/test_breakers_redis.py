"""Circuit breakers that replicas share through Redis: at once, one probe for all, and with Redis away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from domain.breakers import Order, totals
from domain.errors import CircuitOpen
from tests.breaking import Time, allowed, call, is_shared, opened, replica, state_of, until
from tests.redis_server import RedisServer, redis_server


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path / "redis", modules=False) as server:
        yield server


async def test_of_forty_callers_on_each_of_four_replicas_one_probes(
    tmp_path: Path, time: Time, redis: RedisServer
) -> None:
    async with AsyncExitStack() as stack:
        shops = [(await stack.enter_async_context(replica(tmp_path, time, redis))).of("shop") for _ in range(4)]
        await opened(shops[0])
        assert await allowed(*shops, callers=1) == []
        time.milliseconds += 1_000
        (probe,) = await allowed(*shops)
        await asyncio.gather(*(each.report(probe, "succeeded", seconds=0) for each in shops))
        assert (await shops[3].look()).record.successes == 1
        await call(shops[1], "succeeded")
        assert len(await allowed(*shops)) == 160


async def test_replicas_count_together_and_everything_is_under_one_key_each(
    tmp_path: Path, time: Time, redis: RedisServer
) -> None:
    async with replica(tmp_path, time, redis) as one, replica(tmp_path, time, redis) as two:
        for breakers in (one, two):
            await call(breakers.of("shop"), "failed")
            await call(breakers.of("shop"), "succeeded")
        async with Redis.from_url(redis.url) as client, asyncio.timeout(5):
            seen = await two.of("shop").look()
            while totals(seen.record, seen.rules, seen.now).calls < 4:  # `one` sends its success by itself
                seen = await two.of("shop").look()
            assert await client.keys() == [b"circuit_breaker:shop"]
        assert seen.record.history[-1].reason == "2 of 4 calls failed"


async def test_a_caller_that_gives_up_while_it_asks_leaves_no_probe_behind(
    tmp_path: Path, time: Time, redis: RedisServer
) -> None:
    async with replica(tmp_path, time, redis) as breakers:
        shop = breakers.of("shop")
        await opened(shop)
        time.milliseconds += 1_000
        for steps in range(1, 12):
            asking = asyncio.create_task(shop.acquire(lease_seconds=3_600))
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            if not asking.cancelled():
                with suppress(CircuitOpen):  # the probe of the one before is on its way back
                    await shop.report(asking.result(), "dropped", seconds=0)
        await until(lambda: allowed(shop, callers=1))


async def test_a_failure_counts_although_its_caller_gives_up_while_it_is_told(
    tmp_path: Path, time: Time, redis: RedisServer
) -> None:
    async with replica(tmp_path, time, redis) as breakers:
        shop = breakers.of("shop")
        for steps in range(1, 5):
            permit = await shop.acquire(lease_seconds=1)
            telling = asyncio.create_task(shop.report(permit, "failed", seconds=0))
            for _ in range(steps):
                await asyncio.sleep(0)
            telling.cancel()
            await asyncio.wait({telling})

        async def is_open() -> bool:
            return await state_of(shop) == "open"

        await until(is_open)


async def test_while_redis_is_dead_each_goes_on_in_memory_and_tells_the_others_afterwards(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with replica(tmp_path, None, redis) as one, replica(tmp_path, None, redis) as two:
        await call(one.of("shop"), "succeeded")
        await redis.kill()
        for _ in range(3):
            await call(one.of("shop"), "failed")
        with pytest.raises(CircuitOpen):
            await call(one.of("shop"))
        await one.of("bank").order(Order(state="forced_open", by="ann"))
        await call(two.of("bank"), "succeeded")
        assert (one.are_shared, two.are_shared) == (False, False)
        await redis.start()
        await until(lambda: is_shared(one.of("shop")))
        await until(lambda: is_shared(one.of("bank")))
        await until(lambda: is_shared(two.of("shop")))
        assert (await state_of(two.of("bank"))) == "forced_open"
        assert (await two.of("shop").look()).record.history[0].reason == "3 of 4 calls failed"


async def test_a_frozen_redis_is_waited_for_once(tmp_path: Path, time: Time, redis: RedisServer) -> None:
    async with replica(tmp_path, time, redis, patience_seconds=0.5) as breakers:
        shop = breakers.of("shop")
        await opened(shop)
        redis.freeze()
        async with asyncio.timeout(10):  # each waiting for itself, they would take 20 s
            for _ in range(40):
                with pytest.raises(CircuitOpen):
                    await call(shop)
            await breakers.of("bank").look()
        redis.thaw()
        await until(lambda: is_shared(shop))
        assert (await shop.look()).record.state == "open"


async def test_a_flushed_redis_learns_of_an_open_breaker_from_whoever_knows(
    tmp_path: Path, time: Time, redis: RedisServer
) -> None:
    async with replica(tmp_path, time, redis) as one, Redis.from_url(redis.url) as client:
        await opened(one.of("shop"))
        await client.flushall()
        with pytest.raises(CircuitOpen):
            await call(one.of("shop"))
    await client.flushall()
    async with replica(tmp_path, time, redis) as late:
        with pytest.raises(CircuitOpen):
            await call(late.of("shop"))
        await client.flushall()
        assert len(await allowed(late.of("bank"))) == 40
    await client.aclose()


async def test_a_replica_that_learnt_nothing_yet_asks_the_documents_after_a_flush(
    tmp_path: Path, time: Time, redis: RedisServer
) -> None:
    async with replica(tmp_path, time, redis) as idle, Redis.from_url(redis.url) as client:
        async with replica(tmp_path, time, redis) as busy:
            await opened(busy.of("shop"))
        await client.flushall()
        assert await allowed(idle.of("shop")) == []


async def test_a_restarted_redis_goes_on_where_it_was(tmp_path: Path, redis: RedisServer) -> None:
    async with replica(tmp_path, None, redis) as breakers:
        shop = breakers.of("shop")
        await shop.order(Order(state="forced_open", by="ann"))
        await redis.stop()
        await redis.start()
        with pytest.raises(CircuitOpen):
            await call(shop)
        await until(lambda: is_shared(shop))
        assert [each.after for each in (await shop.look()).record.history] == ["forced_open"]


async def test_keys_that_somebody_else_wrote_do_no_harm(tmp_path: Path, time: Time, redis: RedisServer) -> None:
    async with replica(tmp_path, time, redis) as breakers, Redis.from_url(redis.url) as client:
        await client.set("circuit_breaker:shop", "mine")
        await client.hset("circuit_breaker:bank", mapping={"state": "CLOSED", "failures": 3})
        for name in ("shop", "bank"):
            await opened(breakers.of(name))
        assert {each.name: each.shared for each in await breakers.look()} == {"shop": False, "bank": True}
        assert await client.get("circuit_breaker:shop") == b"mine"
