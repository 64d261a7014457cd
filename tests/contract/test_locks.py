"""One writer per name: the locks of a process and the leases in Redis hold the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from checkpoints.locks import Lease, Leases, Locks, writing_lease, writing_under
from checkpoints.redis import PATIENT, open_redis
from checkpoints.redis_locks import open_redis_locks
from domain.errors import StoreUnavailable, ThreadBusy
from tests.redis_server import redis_server

LEASE_SECONDS = 1.5

type Pair = tuple[Leases, Leases]
type Opener = Callable[[Path], AbstractAsyncContextManager[Pair]]


@asynccontextmanager
async def embedded(_: Path) -> AsyncIterator[Pair]:
    locks = Locks()
    yield locks, locks


@asynccontextmanager
async def networked(folder: Path) -> AsyncIterator[Pair]:
    """Two processes' worth of leases: a pool, a listener and an id each."""
    async with redis_server(folder / "redis", modules=False) as server, AsyncExitStack() as stack:
        pools = [open_redis(server.url, max_connections=8, manner=PATIENT) for _ in range(2)]
        clients: list[Redis] = [await stack.enter_async_context(pool) for pool in pools]
        first, second = [
            await stack.enter_async_context(open_redis_locks(client, lease_seconds=LEASE_SECONDS)) for client in clients
        ]
        yield first, second
        assert await clients[0].keys("lease*:*") == [], "nothing stays behind but the one counter"


OPENERS = [pytest.param(embedded, id="embedded"), pytest.param(networked, id="networked")]


@pytest.fixture(params=OPENERS)
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    opener: Opener = request.param
    async with opener(tmp_path) as opened:
        yield opened


async def test_fifty_contenders_hold_it_one_at_a_time_and_each_in_turn(pair: Pair) -> None:
    inside, most, numbers = 0, 0, []

    async def contend(locks: Leases) -> None:
        nonlocal inside, most
        async with locks.hold("t", wait_seconds=20) as lease:
            inside += 1
            most = max(most, inside)
            numbers.append(lease.number)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(contend(pair[n % 2]) for n in range(50)))
    assert most == 1
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 50


async def test_names_do_not_wait_for_each_other(pair: Pair) -> None:
    async with pair[0].hold("a", wait_seconds=0), pair[1].hold("b", wait_seconds=0) as lease:
        assert lease.is_held()


@pytest.mark.parametrize("wait_seconds", [0, 0.05])
async def test_a_name_that_is_held_is_refused_in_time_and_free_afterwards(pair: Pair, wait_seconds: float) -> None:
    async with pair[0].hold("t", wait_seconds=0):
        with pytest.raises(ThreadBusy):
            async with pair[1].hold("t", wait_seconds=wait_seconds):
                pass
    async with pair[1].hold("t", wait_seconds=0) as lease:
        assert lease.is_held()


async def test_a_waiter_is_woken_when_its_turn_comes(pair: Pair) -> None:
    async def waits() -> float:
        async with pair[1].hold("t", wait_seconds=None):
            return asyncio.get_running_loop().time()

    async with pair[0].hold("t", wait_seconds=0):
        waiting = asyncio.create_task(waits())
        await asyncio.sleep(0.1)  # stand in line; nothing says so
        left_at = asyncio.get_running_loop().time()
    assert await waiting - left_at < LEASE_SECONDS / 6, "it looked again instead of being woken"


async def test_waiters_are_served_in_the_order_they_came(pair: Pair) -> None:
    served: list[int] = []

    async def waits(number: int) -> None:
        async with pair[number % 2].hold("t", wait_seconds=None):
            served.append(number)

    async with asyncio.TaskGroup() as group, pair[0].hold("t", wait_seconds=0):
        for number in range(6):
            group.create_task(waits(number))
            await asyncio.sleep(0.03)  # one after the other
    assert served == list(range(6))


async def test_who_gives_it_back_does_not_overtake_who_waits(pair: Pair) -> None:
    order: list[str] = []

    async def waits() -> None:
        async with pair[1].hold("t", wait_seconds=None):
            order.append("waiter")

    async with asyncio.TaskGroup() as group:
        async with pair[0].hold("t", wait_seconds=0):
            group.create_task(waits())
            await asyncio.sleep(0.1)  # stand in line
        async with pair[0].hold("t", wait_seconds=None):
            order.append("holder")
    assert order == ["waiter", "holder"]


async def test_a_waiter_that_gives_up_keeps_nobody_waiting(pair: Pair) -> None:
    async def waits() -> None:
        async with pair[1].hold("t", wait_seconds=None):
            pass

    async with pair[0].hold("t", wait_seconds=0):
        gone, patient = asyncio.create_task(waits()), asyncio.create_task(waits())
        await asyncio.sleep(0.1)  # both stand in line
        gone.cancel()
    async with asyncio.timeout(LEASE_SECONDS / 3):
        await patient


async def test_a_lease_outlives_its_renewals_and_ends_when_it_is_given_back(pair: Pair) -> None:
    async with pair[0].hold("t", wait_seconds=0) as lease:
        await asyncio.sleep(1.5 * LEASE_SECONDS)
        assert lease.is_held()
        with pytest.raises(ThreadBusy):
            async with pair[1].hold("t", wait_seconds=0):
                pass
    assert not lease.is_held()


async def test_who_writes_under_a_lease_that_is_over_is_refused(pair: Pair) -> None:
    async with pair[0].hold("t", wait_seconds=0) as lease:
        with writing_under(lease):
            assert writing_lease() is lease
            lease.lose()
            with pytest.raises(StoreUnavailable, match=r"lost the thread's lease"):
                writing_lease()
    assert writing_lease() is None


def test_a_lease_that_nobody_renewed_is_not_held_whatever_the_process_did_meanwhile() -> None:
    now = 0.0
    lease = Lease("t", number=1, clock=lambda: now)
    lease.renewed(until=5)
    assert lease.is_held()
    now = 5.0
    assert not lease.is_held()
    assert not lease.lost.is_set(), "that is for whoever renews it to say"
