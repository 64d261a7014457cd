"""Circuit breakers: shared through Redis | in this process. Either way a copy survives among the documents.

In Redis a breaker is one hash, changed by one script on Redis's own clock. A call costs one round trip before it; one
that succeeds costs none afterwards, because successes travel with the next command. While Redis does not answer, each
process goes on by what it knew last, and joins its changes to the others' when Redis is back.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from checkpoints.circuits.backup import Backup
from checkpoints.circuits.local import LocalBreaker, Seen, told
from checkpoints.collections import Collection
from domain.breakers import Breaker, Order, Record, Rules
from domain.errors import NotFound

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from checkpoints.circuits.script import Line


PATIENCE_SECONDS = 0.25


class Operated(Breaker, Protocol):
    """A breaker as operators see it."""

    async def look(self) -> Seen:
        """Return the breaker as it is now."""
        ...

    async def order(self, wanted: Order) -> Seen:
        """Carry out an operator's order, and return the breaker as it is then."""
        ...


class Breakers:
    """The breakers of this process, one for each service; see `open_breakers`.

    Args:
        line: The way to Redis, if there is one.
    """

    def __init__(self, breakers: Mapping[str, Operated], *, line: "Line | None") -> None:
        self._breakers, self._line = breakers, line

    @property
    def are_shared(self) -> bool:
        """Whether other processes see the same breakers now; never where there is no Redis."""
        return self._line is not None and self._line.is_up

    def of(self, name: str) -> Operated:
        """Return a breaker. Raises `NotFound`."""
        if name not in self._breakers:
            raise NotFound(f"There is no circuit breaker called {name}.")
        return self._breakers[name]

    async def look(self) -> tuple[Seen, ...]:
        """Return all breakers as they are now."""
        return tuple(await asyncio.gather(*(each.look() for each in self._breakers.values())))


@asynccontextmanager
async def open_breakers(
    redis: "Redis | None",
    backups: Collection,
    *,
    names: Iterable[str],
    rules: Rules,
    clock: Callable[[], datetime],
    chance: Callable[[], float] = random.random,
    redis_clock: Callable[[], int] | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> AsyncIterator[Breakers]:
    """Open a breaker for each name as its copy has it, in Redis if there is one, and close them again.

    Args:
        redis: A prompt client; it need not answer.
        backups: One document for each breaker.
        clock: The time here, with its zone; Redis has its own.
        chance: A number from 0 to 1, for the jitter.
        redis_clock: Milliseconds since 1970 in place of Redis's own clock, in tests.
        patience_seconds: How long Redis may take to answer a call before it goes on without.
    """

    def here() -> int:
        return int(clock().timestamp() * 1000)

    async with AsyncExitStack() as stack:
        backup = await stack.enter_async_context(_kept(backups))
        line = None if redis is None else await _line(redis, rules, here, redis_clock, patience_seconds)

        def noted(name: str, record: Record) -> None:
            backup.note(name, record)
            told(name, record)

        now = line.now if line else here
        here_only = [
            LocalBreaker(name, record=record or Record(), rules=rules, now=now, chance=chance, on_change=noted)
            for name, record in (await backup.all(names)).items()
        ]
        breakers: dict[str, Operated] = {each.name: each for each in here_only}
        if line is not None:
            from checkpoints.circuits.shared import shared  # needs redis, which need not be installed

            breakers |= await stack.enter_async_context(shared(here_only, line=line, backup=backup))
        yield Breakers(breakers, line=line)


@asynccontextmanager
async def _kept(backups: Collection) -> AsyncIterator[Backup]:
    """Open the backup; what is noted last is written when everything else is closed."""
    backup = Backup(backups)
    keeping = asyncio.create_task(backup.keep())
    try:
        yield backup
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        await backup.flush()


async def _line(
    redis: "Redis",
    rules: Rules,
    here: Callable[[], int],
    redis_clock: Callable[[], int] | None,
    patience_seconds: float,
) -> "Line":
    from checkpoints.circuits.script import Line, read_script  # needs redis, which need not be installed

    text = await asyncio.to_thread(read_script)
    return Line(redis, script=text, rules=rules, clock=here, redis_clock=redis_clock, patience_seconds=patience_seconds)
