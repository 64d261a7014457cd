"""A breaker in this process's memory."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from domain import breakers as pure
from domain.breakers import Order, Outcome, Permit, Record, Refusal, Rules
from domain.errors import CircuitOpen

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Seen:
    """A breaker as it is now.

    Args:
        now: Milliseconds since 1970, by the breaker's clock.
        shared: Whether other processes see the same one.
    """

    name: str
    record: Record
    rules: Rules
    now: int
    shared: bool


class LocalBreaker:
    """A breaker in this process's memory.

    Args:
        now: Milliseconds since 1970.
        on_change: Told of every record whose state differs from the one before it.
    """

    def __init__(
        self,
        name: str,
        *,
        record: Record,
        rules: Rules,
        now: Callable[[], int],
        chance: Callable[[], float],
        on_change: Callable[[str, Record], None],
    ) -> None:
        self.name, self.record, self.rules = name, record, rules
        self.now, self._chance, self._on_change = now, chance, on_change

    async def acquire(self, *, lease_seconds: float) -> Permit:
        """Return the leave to call; raises `CircuitOpen`."""
        now, token = self.now(), ""
        settled = pure.settled(self.record, now)
        if settled.state == "half_open":
            token = new_token()
        record, answer = pure.acquired(settled, now, token=token, lease_ms=int(lease_seconds * 1000))
        self._take(record)
        if isinstance(answer, Refusal):
            raise refusal(self.name, answer.wait_ms)
        return answer

    async def report(self, permit: Permit, outcome: Outcome, *, seconds: float, error: str = "") -> None:
        """Tell how the call ended."""
        now = self.now()
        slow = seconds * 1000 >= self.rules.slow_ms
        self._take(
            pure.reported(
                pure.settled(self.record, now),
                self.rules,
                now,
                permit=permit,
                outcome=outcome,
                slow=slow,
                error=error,
                jitter=self.jitter(),
            )
        )

    async def look(self) -> Seen:
        """Return the breaker as it is now."""
        now = self.now()
        self._take(pure.settled(self.record, now))
        return Seen(self.name, self.record, self.rules, now, shared=False)

    async def order(self, wanted: Order) -> Seen:
        """Carry out an operator's order, and return the breaker as it is then."""
        now = self.now()
        self._take(pure.ordered(pure.settled(self.record, now), now, wanted))
        return Seen(self.name, self.record, self.rules, now, shared=False)

    def jitter(self) -> int:
        """Return by how many thousandths a pause that begins now is lengthened."""
        return int(self._chance() * pure.JITTER)

    def _take(self, record: Record) -> None:
        changed = record.generation != self.record.generation
        self.record = record
        if changed:
            self._on_change(self.name, record)


def new_token() -> str:
    """Return what no other caller has."""
    return secrets.token_hex(8)


def refusal(name: str, wait_ms: int | None) -> CircuitOpen:
    """Return the error of a call that gets no leave."""
    seconds = None if wait_ms is None else max(1, -(-wait_ms // 1000))
    pause = "until an operator resets it" if seconds is None else f"for another {seconds} s at most"
    detail = f"The call was refused by the circuit breaker of {name}, {pause}; nothing was sent."
    return CircuitOpen(detail, service=name, retry_after=seconds)


def told(name: str, record: Record) -> None:
    """Log the last change of a breaker."""
    last = record.history[-1]
    log.warning(
        "circuit_breaker_changed", breaker=name, before=last.before, after=last.after, reason=last.reason, by=last.by
    )
