"""The one script that reads and changes a breaker in Redis, and whether Redis is there to run it."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from checkpoints.circuits.fields import from_hash, hash_of
from domain.breakers import BUCKETS, HISTORY, Order, Outcome, Permit, Record, Rules

PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)

type Arguments = tuple[str | int | float, ...]


def key_of(name: str) -> str:
    """Return the one key of a breaker."""
    return f"circuit_breaker:{name}"


def rules_text(rules: Rules) -> str:
    """Return the rules as the script reads them."""
    given = {"buckets": BUCKETS, "bucket_ms": rules.window_ms // BUCKETS, "history": HISTORY}
    return " ".join(f"{name}={value!r}" for name, value in {**given, **asdict(rules)}.items())


def acquire(token: str, lease_ms: int) -> Arguments:
    """Return the operation's own arguments."""
    return ("acquire", token, lease_ms)


def report(permit: Permit, outcome: Outcome, *, slow: bool, error: str) -> Arguments:
    """Return the operation's own arguments."""
    return ("report", permit.token, permit.generation, outcome, int(slow), error)


def order(wanted: Order) -> Arguments:
    """Return the operation's own arguments."""
    return ("order", wanted.state, wanted.lasting_ms, wanted.by, wanted.reason)


def merge(mine: Record) -> Arguments:
    """Return the operation's own arguments."""
    return ("merge", *(part for pair in hash_of(mine).items() for part in pair))


LOOK: Arguments = ("look",)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the script said.

    Args:
        verdict: `pass`, `probe` or `refused` to `acquire`, `missing` where there is none yet, `foreign`
            where the key holds something else, else `done`.
        wait_ms: How long a refusal lasts; -1 where nobody knows.
        record: None where the caller knows all but the counts.
    """

    now: int
    verdict: str
    wait_ms: int
    generation: int
    changed: bool
    record: Record | None

    @classmethod
    def read(cls, raw: Sequence[Any]) -> "Answer":
        """Return the answer in Redis's own."""
        now, verdict, wait_ms, generation, changed, flat = raw
        record = None
        if flat:
            texts = [part.decode() for part in flat]
            record = from_hash(dict(zip(texts[::2], texts[1::2], strict=True)))
        return cls(now, verdict.decode(), wait_ms, generation, bool(changed), record)


class Line:
    """The way to Redis: after an error it is left alone for a second, and then tried by one caller.

    Args:
        script: The text of `script.lua`.
        clock: Milliseconds since 1970, here.
        redis_clock: Stands in for Redis's own clock, in tests.
        patience_seconds: How long Redis may take to answer.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        script: str,
        rules: Rules,
        clock: Callable[[], int],
        redis_clock: Callable[[], int] | None,
        patience_seconds: float,
    ) -> None:
        self._redis, self._script, self._clock, self._redis_clock = redis, script, clock, redis_clock
        self._patience_seconds = patience_seconds
        self._sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        self._rules = rules_text(rules)
        self._ahead = 0
        self._again_at = 0.0
        self.is_up = True

    @property
    def rests(self) -> bool:
        """Whether Redis is being left alone after an error."""
        return not self.is_up and asyncio.get_running_loop().time() < self._again_at

    def now(self) -> int:
        """Return Redis's time, as far as it is known here."""
        return self._clock() + self._ahead

    async def run(
        self, name: str, arguments: Arguments, *, known: int, credit: tuple[int, int], jitter: int
    ) -> Answer | None:
        """Return what the script says, or None where Redis does not answer.

        Args:
            known: The generation of the record that the caller has.
            credit: How many calls succeeded meanwhile, and under which generation.
        """
        if self.rests:
            return None
        if not self.is_up:
            self._again_at = asyncio.get_running_loop().time() + PAUSE_SECONDS
        operation, *own = arguments
        now = "" if self._redis_clock is None else self._redis_clock()
        try:
            async with asyncio.timeout(self._patience_seconds):
                raw = await self._sent(key_of(name), (operation, now, known, jitter, *credit, self._rules, *own))
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            return None
        return self._heard(Answer.read(raw))

    async def _sent(self, key: str, arguments: Arguments) -> list[Any]:
        try:
            return await self._redis.evalsha(self._sha, 1, key, *arguments)  # type: ignore[no-any-return]  # a script may return anything
        except NoScriptError:
            return await self._redis.eval(self._script, 1, key, *arguments)  # type: ignore[no-any-return]  # a script may return anything

    def _heard(self, answer: Answer) -> Answer:
        self._ahead = answer.now - self._clock()
        if not self.is_up:
            self.is_up = True
            log.info("circuit_breakers_shared", detail="Redis is back; breakers are shared again.")
        return answer

    def _lost(self, error: Exception) -> None:
        self._again_at = asyncio.get_running_loop().time() + PAUSE_SECONDS
        if self.is_up:
            self.is_up = False
            detail = "Redis does not answer; breakers go on in this process's memory."
            log.warning("circuit_breakers_local", error=type(error).__name__, detail=detail)


def read_script() -> str:
    """Return the text of the script."""
    return Path(__file__).with_name("script.lua").read_text(encoding="utf-8")
