"""One writer per thread over every process: leases in Redis, renewed while they are held.

What holds: one value at most stands under a name's key, and whoever writes names the value it holds
(`checkpoints.fencing`). So a process that was stopped longer than its lease, or cut off from Redis, writes nothing once
somebody else may hold the name. What Redis forgets (a flush, a start without its file) its holder has lost too.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from checkpoints.locks import BUSY, Lease
from checkpoints.redis import tagged
from domain.errors import StoreUnavailable, ThreadBusy

log = structlog.get_logger(__name__)

FENCE = "lease_fence"
"""One counter for all names: it grows for each of them, and no key per name stays behind."""

WAKE = "lease_wake:"
"""Channel of a process, before its id: names the waiter whose turn it is."""

ACQUIRE = """
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, #ARGV[1]) == ARGV[1] then
    return {tonumber(string.sub(value, #ARGV[1] + 2)), 0}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, gone in ipairs(redis.call('ZRANGE', KEYS[3], '-inf', now - ARGV[2], 'BYSCORE')) do
    redis.call('ZREM', KEYS[2], gone)
    redis.call('ZREM', KEYS[3], gone)
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if not value and (not first or first == ARGV[1]) then
    local number = redis.call('INCR', KEYS[4])
    redis.call('SET', KEYS[1], ARGV[1] .. '/' .. number, 'PX', ARGV[2])
    redis.call('ZREM', KEYS[2], ARGV[1])
    redis.call('ZREM', KEYS[3], ARGV[1])
    return {number, 0}
end
if ARGV[3] == '1' then
    local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2] or 0
    redis.call('ZADD', KEYS[2], 'NX', last + 1, ARGV[1])
    redis.call('ZADD', KEYS[3], now, ARGV[1])
    redis.call('PEXPIRE', KEYS[2], 2 * ARGV[2])
    redis.call('PEXPIRE', KEYS[3], 2 * ARGV[2])
end
return {0, redis.call('PTTL', KEYS[1])}
"""
"""Take the lease if it is free and nobody waits in front; else stand in line and say when it lapses.

Keys: lease, line (by arrival), seen (when each waiter was last seen), fence. Arguments: token, lease in ms, whether it
waits.
"""

RENEW = """
local renewed = {}
for at, key in ipairs(KEYS) do
    local ours = redis.call('GET', key) == ARGV[at + 1]
    renewed[at] = ours and redis.call('PEXPIRE', key, ARGV[1]) or 0
end
return renewed
"""
"""Renew every lease that is still ours, and say which. Arguments: lease in ms, then each one's value."""

LEAVE = """
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, #ARGV[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
    value = false
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if not value and first then
    redis.call('PUBLISH', ARGV[2] .. string.match(first, '^[^.]*'), first)
end
"""
"""Give the lease back, or leave the line, and wake whoever is first."""


class RedisLocks:
    """The leases of one process; `open_redis_locks` opens them."""

    def __init__(self, client: Redis, *, lease_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._process = secrets.token_hex(8)
        self._waiters: dict[str, asyncio.Event] = {}
        self._held: set[Lease] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._acquire = client.register_script(ACQUIRE)
        self._renew = client.register_script(RENEW)
        self._leave = client.register_script(LEAVE)

    @asynccontextmanager
    async def hold(self, name: str, *, wait_seconds: float | None) -> AsyncIterator[Lease]:
        """Hold the name; raises `ThreadBusy` or `StoreUnavailable`. See `checkpoints.locks.Leases`."""
        token = f"{self._process}.{secrets.token_hex(8)}"
        try:
            lease = await self._acquired(name, token, wait_seconds)
            self._held.add(lease)
            try:
                yield lease
            finally:
                self._held.discard(lease)
                lease.lose()
        finally:
            await self._given_back(name, token)

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside everything else, at most until `close`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End what goes on beside."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def listen(self) -> None:
        """Wake the waiters whose turn it is, for ever. While Redis is away they look for themselves."""
        while True:
            with suppress(RedisError, OSError):
                async with self._client.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(WAKE + self._process)
                    async for message in channel.listen():
                        if waiter := self._waiters.get(message["data"].decode()):
                            waiter.set()
            await asyncio.sleep(self._lease_seconds / 10)

    async def renew(self) -> None:
        """Renew every lease held here each third of its life, for ever; what cannot be renewed in time is lost."""
        pause = self._lease_seconds / 3
        while True:
            await asyncio.sleep(pause)
            if not (leases := list(self._held)):
                continue
            until = self._clock() + self._lease_seconds
            renewed = await self._renewed(leases)
            for at, lease in enumerate(leases):
                if renewed and renewed[at]:
                    lease.renewed(until=until)
                elif lease in self._held and (renewed or not lease.is_held()):
                    log.warning("lease_lost", name=lease.name, known=renewed is not None)
                    lease.lose()
            pause = self._lease_seconds / (3 if renewed else 20)

    async def _acquired(self, name: str, token: str, wait_seconds: float | None) -> Lease:
        gives_up_at = None if wait_seconds is None else self._clock() + wait_seconds
        woken = self._waiters[token] = asyncio.Event()
        try:
            while True:
                woken.clear()
                asked_at = self._clock()
                number, lapses_in = await self._asked(name, token, waits=wait_seconds != 0)
                if number:
                    return self._lease(name, f"{token}/{number}", number, asked_at)
                left = None if gives_up_at is None else gives_up_at - self._clock()
                if left is not None and left <= 0:
                    raise ThreadBusy(BUSY)
                await self._turn(woken, lapses_in / 1000, left)
        finally:
            del self._waiters[token]

    async def _turn(self, woken: asyncio.Event, lapses_in: float, left: float | None) -> None:
        """Wait until somebody says it is our turn, or until the lease in front may have lapsed."""
        look_again = self._lease_seconds / 3
        if 0 < lapses_in < look_again:
            look_again = lapses_in + 0.005
        with suppress(TimeoutError):
            async with asyncio.timeout(look_again if left is None else min(look_again, left)):
                await woken.wait()

    async def _asked(self, name: str, token: str, *, waits: bool) -> tuple[int, int]:
        arguments: list[str | int] = [token, round(self._lease_seconds * 1000), int(waits)]
        try:
            number, lapses_in = await self._acquire(keys=[*_keys(name), FENCE], args=arguments)
        except (RedisError, OSError) as error:
            raise StoreUnavailable("Redis, which holds the threads' leases, does not answer.") from error
        return number, lapses_in

    def _lease(self, name: str, value: str, number: int, asked_at: float) -> Lease:
        lease = Lease(name, number=number, key=_keys(name)[0], value=value, clock=self._clock)
        lease.renewed(until=asked_at + self._lease_seconds)
        return lease

    async def _renewed(self, leases: list[Lease]) -> list[int] | None:
        """Return which of them Redis has renewed, or None when that is not known in time."""
        arguments: list[str | int] = [round(self._lease_seconds * 1000), *(lease.value for lease in leases)]
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(self._lease_seconds / 3):
                renewed: list[int] = await self._renew(keys=[lease.key for lease in leases], args=arguments)
                return renewed
        return None

    async def _given_back(self, name: str, token: str) -> None:
        """Free the name for the next; what Redis does not hear lapses by itself."""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(self._lease_seconds / 3):
                await self._leave(keys=_keys(name), args=[token, WAKE])


@asynccontextmanager
async def open_redis_locks(
    client: Redis, *, lease_seconds: float, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[RedisLocks]:
    """Open this process's leases in a Redis, and stop renewing them when that ends.

    Args:
        lease_seconds: How long a thread stays closed to others when its writer dies.
        clock: Monotonic seconds.
    """
    locks = RedisLocks(client, lease_seconds=lease_seconds, clock=clock)
    locks.begin(locks.listen())
    locks.begin(locks.renew())
    try:
        yield locks
    finally:
        await locks.close()


def _keys(name: str) -> list[str]:
    """Return the keys of a name: its lease, the line, and when each in it was last seen."""
    tag = tagged(name)
    return [f"lease:{tag}", f"lease_line:{tag}", f"lease_seen:{tag}"]
