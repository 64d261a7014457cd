"""A breaker in Redis, shared by every process; one in memory stands in while Redis is away."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

import structlog

from checkpoints.circuits import script
from checkpoints.circuits.backup import Backup
from checkpoints.circuits.local import LocalBreaker, Seen, new_token, refusal, told
from checkpoints.circuits.script import Answer, Arguments, Line
from domain import breakers as pure
from domain.breakers import Order, Outcome, Permit

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.5
"""How long a success may wait for a command to travel with."""


@asynccontextmanager
async def shared(
    local: Iterable[LocalBreaker], *, line: Line, backup: Backup
) -> AsyncIterator[dict[str, "RedisBreaker"]]:
    """Put breakers on Redis; what is under way is awaited at the end.

    Args:
        local: What each goes on by while Redis is away.
    """
    tasks = Tasks()
    breakers = {each.name: RedisBreaker(each, line=line, backup=backup, tasks=tasks) for each in local}
    flushing = asyncio.create_task(_flush(breakers.values()))
    try:
        yield breakers
    finally:
        flushing.cancel()
        await asyncio.wait({flushing})
        await tasks.ended()


class Tasks:
    """What has to be done although nobody waits for it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin, and return the task."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def ended(self) -> None:
        """Wait for what is under way."""
        if self._running:
            await asyncio.wait(self._running)


class RedisBreaker:
    """A breaker in Redis, with a local one for the time Redis is away.

    Args:
        local: Holds what was last heard of Redis.
    """

    def __init__(self, local: LocalBreaker, *, line: Line, backup: Backup, tasks: Tasks) -> None:
        self.name, self._local, self._line, self._backup, self._tasks = local.name, local, line, backup, tasks
        self._restoring = asyncio.Lock()
        self._succeeded, self._under = 0, 0
        self._heard = local.record.generation
        self._restored, self._is_foreign = 0, False

    @property
    def has_news(self) -> bool:
        """Whether successes wait for a command to travel with."""
        return self._succeeded > 0

    async def acquire(self, *, lease_seconds: float) -> Permit:
        """Return the leave to call; raises `CircuitOpen`."""
        token = new_token()
        try:
            answer = await self._ask(script.acquire(token, int(lease_seconds * 1000)))
        except asyncio.CancelledError:  # it may be the probe now without knowing it
            self._tasks.begin(self._give_back(token))
            raise
        if answer is None:
            return await self._local.acquire(lease_seconds=lease_seconds)
        if answer.verdict == "refused":
            raise refusal(self.name, answer.wait_ms if answer.wait_ms >= 0 else None)
        return Permit(answer.generation, token if answer.verdict == "probe" else "")

    async def report(self, permit: Permit, outcome: Outcome, *, seconds: float, error: str = "") -> None:
        """Tell how the call ended; what has to reach Redis does so even if the caller is cancelled meanwhile."""
        slow = seconds * 1000 >= self._local.rules.slow_ms
        if permit.token or outcome == "failed" or (slow and outcome == "succeeded"):
            telling = self._tasks.begin(self._tell(permit, outcome, seconds=seconds, slow=slow, error=error))
            if outcome != "dropped":
                await asyncio.shield(telling)
        elif outcome == "succeeded":
            self._note_success(permit)

    async def look(self) -> Seen:
        """Return the breaker as it is now."""
        answer = await self._ask(script.LOOK)
        return await self._local.look() if answer is None else self._seen(answer)

    async def order(self, wanted: Order) -> Seen:
        """Carry out an operator's order, and return the breaker as it is then."""
        answer = await self._ask(script.order(wanted))
        return await self._local.order(wanted) if answer is None else self._seen(answer)

    def _seen(self, answer: Answer) -> Seen:
        return Seen(self.name, self._local.record, self._local.rules, answer.now, shared=True)

    def _note_success(self, permit: Permit) -> None:
        local = self._local
        if permit.generation != self._under:
            self._succeeded, self._under = 0, permit.generation
        self._succeeded += 1
        if permit.generation == local.record.generation:  # Redis judges; this only keeps the window warm
            local.record = pure.counted(local.record, local.rules, local.now())

    async def _tell(self, permit: Permit, outcome: Outcome, *, seconds: float, slow: bool, error: str) -> None:
        if await self._ask(script.report(permit, outcome, slow=slow, error=error)) is None:
            await self._local.report(permit, outcome, seconds=seconds, error=error)

    async def _give_back(self, token: str) -> None:
        """Release the probe if this token has it."""
        answer = await self._ask(script.LOOK)
        if answer is not None and self._local.record.probe == token:
            await self._ask(script.report(Permit(answer.generation, token), "dropped", slow=False, error=""))

    async def _ask(self, arguments: Arguments) -> Answer | None:
        """Return Redis's answer after what this process knows better is there too, or None where there is none."""
        if self._line.rests or (self._local.record.generation != self._heard and not await self._restore()):
            return None
        for _ in range(2):
            answer = await self._run(arguments)
            if answer is None or not self._is_behind(answer):
                return answer
            if not await self._restore():
                return None
        return None

    def _is_behind(self, answer: Answer) -> bool:
        """Whether Redis was flushed or lost its last changes."""
        return answer.verdict == "missing" or answer.generation < self._heard

    async def _run(self, arguments: Arguments) -> Answer | None:
        local = self._local
        credit = (self._succeeded, self._under)
        self._succeeded = 0
        answer = await self._line.run(self.name, arguments, known=self._heard, credit=credit, jitter=local.jitter())
        if answer is not None and answer.verdict == "foreign":
            self._say_taken()
            return None
        if answer is None or answer.record is None or self._is_behind(answer):
            return answer
        local.record, self._heard = answer.record, answer.generation
        if answer.changed:
            self._backup.note(self.name, answer.record)
            told(self.name, answer.record)
        return answer

    def _say_taken(self) -> None:
        """Stay in memory; it is said once."""
        if not self._is_foreign:
            log.warning(
                "circuit_breaker_key_taken", key=script.key_of(self.name), detail="It holds no breaker of ours."
            )
        self._is_foreign = True

    async def _restore(self) -> bool:
        """Let Redis have the later of what it, this process and the documents know; return whether it answered."""
        before = self._restored
        async with self._restoring:
            if self._restored != before:  # somebody did it meanwhile
                return True
            self._restored += 1
            known, backup = self._local.record, await self._backup.last(self.name)
            known = known if backup is None else pure.merged(known, backup)
            return await self._run(script.merge(known)) is not None


async def _flush(breakers: Collection[RedisBreaker]) -> None:
    """Send successes to Redis that no command took along, again and again, until cancelled."""
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        for each in breakers:
            if each.has_news:
                await each.look()
