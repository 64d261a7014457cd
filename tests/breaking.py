"""Circuit breakers for tests: on a time that passes when told, in both forms, in as many processes' worth as wanted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from checkpoints.breakers import Breakers, Operated, open_breakers
from checkpoints.documents import open_documents
from checkpoints.redis import open_redis
from domain.breakers import Outcome, Permit, Rules
from domain.errors import CircuitOpen
from tests.redis_server import RedisServer

RULES = Rules(window_ms=10_000, minimum_calls=4, slow_ms=1_000, open_ms=1_000, open_max_ms=4_000, probes=2)


class Time:
    """The one clock of a fleet, here and in Redis."""

    def __init__(self) -> None:
        self.milliseconds = 1_790_000_000_000

    def here(self) -> datetime:
        return datetime.fromtimestamp(self.milliseconds / 1000, UTC)

    def redis(self) -> int:
        return self.milliseconds


@asynccontextmanager
async def replica(
    folder: Path, time: Time | None, redis: RedisServer | None, rules: Rules = RULES, *, patience_seconds: float = 10
) -> AsyncIterator[Breakers]:
    """Open what one process has: breakers of a shop and a bank, on documents that all replicas share.

    A busy machine may keep Redis's answer for seconds; these breakers wait for it, unless told not to.
    """
    manner = {"socket_timeout": patience_seconds, "socket_connect_timeout": patience_seconds, "timeout": 20}
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_documents(folder / "documents.sqlite"))
        client = None
        if redis is not None:
            client = await stack.enter_async_context(open_redis(redis.url, max_connections=20, manner=manner))
        opening = open_breakers(
            client,
            database["circuit_breaker_backup"],
            names=("shop", "bank"),
            rules=rules,
            clock=time.here if time else lambda: datetime.now(UTC),
            chance=lambda: 0.0,
            redis_clock=time.redis if time else None,
            patience_seconds=patience_seconds,
        )
        yield await stack.enter_async_context(opening)


async def call(breaker: Operated, outcome: Outcome = "failed", *, seconds: float = 0.01) -> None:
    """Make one call; raises `CircuitOpen`."""
    permit = await breaker.acquire(lease_seconds=0.5)
    await breaker.report(permit, outcome, seconds=seconds, error="ServiceFailed: it broke")


async def opened(breaker: Operated) -> None:
    """Let calls fail until the breaker opens."""
    for _ in range(RULES.minimum_calls):
        await call(breaker)
    assert (await breaker.look()).record.state == "open"


async def allowed(*breakers: Operated, callers: int = 40) -> list[Permit]:
    """Let callers of every breaker ask at the same time, and return the permits."""
    asked = [each.acquire(lease_seconds=0.5) for each in breakers for _ in range(callers)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(each, Permit | CircuitOpen) for each in answers)
    return [each for each in answers if isinstance(each, Permit)]


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Ask again and again until it holds, 5 s at most."""
    async with asyncio.timeout(5):
        while not await holds():  # noqa: ASYNC110  # other processes and their clocks have no event for it
            await asyncio.sleep(0.02)


async def is_shared(breaker: Operated) -> bool:
    """Tell whether Redis answers."""
    return (await breaker.look()).shared


async def state_of(breaker: Operated) -> str:
    """Return the state as it is now."""
    return (await breaker.look()).record.state
