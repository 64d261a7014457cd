"""Circuit breakers: when a service is not asked any more, and how it is asked again.

closed -> open          too many calls of the window failed or were slow
open -> half_open       its time is over; it doubles with every opening in a row
half_open -> closed     enough probes in a row succeeded; only one caller probes at a time
half_open -> open       a probe failed or was slow
any -> forced_open, disabled, closed   an operator's order
forced_open -> half_open, disabled -> closed   the order's time is over

Every function returns a new record and changes nothing. Times are milliseconds since 1970 of the one clock that all who
share a breaker go by. `checkpoints/circuits/script.lua` holds the same rules for Redis: change both.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

BUCKETS = 10
"""Parts of the window; it moves on by one of them at a time."""

HISTORY = 20
"""Changes of state kept."""

JITTER = 100
"""The most a pause is lengthened by, in thousandths."""

type State = Literal["closed", "open", "half_open", "forced_open", "disabled"]
type Outcome = Literal["succeeded", "failed", "dropped"]
"""How a guarded call ended; `dropped` says nothing about the service: cancelled, refused (4xx), never sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When breakers open and close.

    Args:
        window_ms: How far back calls count; at least 10.
        minimum_calls: No judgement on fewer calls in the window.
        failure_rate: Opens at this share of failed calls, above 0 and up to 1.
        slow_ms: A call that takes as long is slow, whether it succeeds or fails.
        slow_rate: Opens at this share of slow calls, above 0 and up to 1.
        open_ms: The first pause; it doubles up to `open_max_ms`, and gets up to a tenth of jitter on top.
        probes: Successes in a row that close it.
    """

    window_ms: int = 30_000
    minimum_calls: int = 10
    failure_rate: float = 0.5
    slow_ms: int = 5_000
    slow_rate: float = 0.8
    open_ms: int = 5_000
    open_max_ms: int = 300_000
    probes: int = 2


class Bucket(NamedTuple):
    """What was counted in one part of the window; `part` is its time divided by its length."""

    part: int
    calls: int
    failed: int
    slow: int


class Change(NamedTuple):
    """One change of state; `by` is empty unless somebody ordered it."""

    at: int
    before: State
    after: State
    reason: str
    by: str


class Record(NamedTuple):
    """One breaker; a tuple, because a frozen dataclass takes six times as long to replace.

    Args:
        generation: Grows with every change of state; what was permitted under another one counts no more.
        ordered_at: The last order of an operator.
        until: When the state ends by itself; 0 for never.
        openings: In a row, without a close in between.
        probe: The token of the caller that probes, until `probe_until`; empty if nobody does.
        successes: Probes that succeeded in a row.
        refused: Calls refused since it last left `closed`.
    """

    state: State = "closed"
    generation: int = 0
    changed_at: int = 0
    ordered_at: int = 0
    opened_at: int = 0
    until: int = 0
    openings: int = 0
    probe: str = ""
    probe_until: int = 0
    successes: int = 0
    refused: int = 0
    error: str = ""
    error_at: int = 0
    window: tuple[Bucket, ...] = ()
    history: tuple[Change, ...] = ()


class Permit(NamedTuple):
    """The leave to make one call; `token` is set for a probe."""

    generation: int
    token: str = ""


class Refusal(NamedTuple):
    """No leave, for so long at most; None where nobody knows."""

    wait_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an operator wants.

    Args:
        state: `closed` is a reset.
        lasting_ms: How long; 0 until the next order.
    """

    state: Literal["closed", "forced_open", "disabled"]
    by: str
    reason: str = ""
    lasting_ms: int = 0


class Breaker(Protocol):
    """What a client asks before every call, and tells after it."""

    async def acquire(self, *, lease_seconds: float) -> Permit:
        """Return the leave to call; raises `CircuitOpen`.

        Args:
            lease_seconds: How long others wait for the outcome if this call turns out to be the probe.
        """
        ...

    async def report(self, permit: Permit, outcome: Outcome, *, seconds: float, error: str = "") -> None:
        """Tell how the call ended; every permit is reported once.

        Args:
            seconds: How long the service took.
            error: What failed, for people.
        """
        ...


class Unguarded:
    """The breaker that is none."""

    @classmethod
    def of(cls, _: str) -> "Unguarded":
        """Return it for any service."""
        return cls()

    async def acquire(self, *, lease_seconds: float) -> Permit:
        """Let every call pass."""
        return Permit(0)

    async def report(self, permit: Permit, outcome: Outcome, *, seconds: float, error: str = "") -> None:
        """Count nothing."""


def settled(record: Record, now: int) -> Record:
    """Return the record as time alone has changed it."""
    if not record.until or now < record.until:
        return record
    if record.state == "disabled":
        return _changed(record, "closed", now, "the order's time is over")
    over = "the pause is over" if record.state == "open" else "the order's time is over"
    return _changed(record, "half_open", now, over)


def acquired(record: Record, now: int, *, token: str, lease_ms: int) -> tuple[Record, Permit | Refusal]:
    """Return what a caller gets; in `half_open` one of them gets the probe, for as long as its lease."""
    if record.state in ("closed", "disabled"):
        return record, Permit(record.generation)
    if record.state == "half_open" and now >= record.probe_until:
        return record._replace(probe=token, probe_until=now + lease_ms), Permit(record.generation, token)
    refused = record._replace(refused=record.refused + 1)
    ends = record.probe_until if record.state == "half_open" else record.until
    return refused, Refusal(ends - now if ends else None)


def reported(
    record: Record, rules: Rules, now: int, *, permit: Permit, outcome: Outcome, slow: bool, error: str, jitter: int
) -> Record:
    """Return the record after a call; one that was permitted under another generation or lease changes nothing.

    Args:
        slow: Whether the call took `rules.slow_ms` or longer.
        jitter: Thousandths by which a pause is lengthened, should one begin.
    """
    if permit.generation != record.generation or (record.state == "half_open" and permit.token != record.probe):
        return record
    if outcome == "dropped":
        return record._replace(probe="", probe_until=0)
    if outcome == "failed":
        record = record._replace(error=error, error_at=now)
    if record.state == "half_open":
        return _probed(record, rules, now, failed=outcome == "failed", slow=slow, jitter=jitter)
    record = counted(record, rules, now, failed=int(outcome == "failed"), slow=int(slow))
    return judged(record, rules, now, jitter=jitter)


def credited(record: Record, rules: Rules, now: int, *, calls: int, generation: int, jitter: int) -> Record:
    """Return the record after calls that succeeded under a generation, counted together."""
    if not calls or generation != record.generation or record.state not in ("closed", "disabled"):
        return record
    return judged(counted(record, rules, now, calls=calls), rules, now, jitter=jitter)


def counted(record: Record, rules: Rules, now: int, *, calls: int = 1, failed: int = 0, slow: int = 0) -> Record:
    """Return the record with calls in its window and without those that left it."""
    part = _part(rules, now)
    kept = [each for each in record.window if 0 <= part - each.part < BUCKETS]
    last = kept.pop() if kept and kept[-1].part == part else Bucket(part, 0, 0, 0)
    kept.append(Bucket(part, last.calls + calls, last.failed + failed, last.slow + slow))
    return record._replace(window=tuple(kept))


def judged(record: Record, rules: Rules, now: int, *, jitter: int) -> Record:
    """Return the record, opened if it is closed and its window asks for it."""
    if record.state != "closed":
        return record
    _, calls, failed, slow = totals(record, rules, now)
    if calls >= rules.minimum_calls and failed >= rules.failure_rate * calls:
        return _opened(record, rules, now, f"{failed} of {calls} calls failed", jitter)
    if calls >= rules.minimum_calls and slow >= rules.slow_rate * calls:
        return _opened(record, rules, now, f"{slow} of {calls} calls were slow", jitter)
    return record


def totals(record: Record, rules: Rules, now: int) -> Bucket:
    """Return the whole window as one bucket."""
    part = _part(rules, now)
    calls = failed = slow = 0
    for each in record.window:
        if 0 <= part - each.part < BUCKETS:
            calls, failed, slow = calls + each.calls, failed + each.failed, slow + each.slow
    return Bucket(part, calls, failed, slow)


def ordered(record: Record, now: int, order: Order) -> Record:
    """Return the record as an operator wants it."""
    until = now + order.lasting_ms if order.lasting_ms else 0
    fields: dict[str, Any] = {"ordered_at": now, "until": until, "openings": 0}
    if order.state == "closed":
        fields |= {"window": (), "until": 0}
    if order.state == "forced_open":
        fields |= {"opened_at": now, "refused": 0 if record.state == "closed" else record.refused}
    return _changed(record, order.state, now, order.reason, by=order.by, **fields)


def merged(theirs: Record, mine: Record) -> Record:
    """Return one record of two that went apart: the later order counts, else the later change, else theirs."""
    wins = (mine.ordered_at, mine.changed_at) > (theirs.ordered_at, theirs.changed_at)
    if wins or mine.generation > theirs.generation:  # nobody may take it for one of the two
        return (mine if wins else theirs)._replace(generation=max(mine.generation, theirs.generation) + 1)
    return theirs


def _probed(record: Record, rules: Rules, now: int, *, failed: bool, slow: bool, jitter: int) -> Record:
    if failed or slow:
        return _opened(record, rules, now, "the probe failed" if failed else "the probe was slow", jitter)
    successes = record.successes + 1
    if successes < rules.probes:
        return record._replace(successes=successes, probe="", probe_until=0)
    return _changed(record, "closed", now, "the probes succeeded", openings=0, window=())


def _opened(record: Record, rules: Rules, now: int, reason: str, jitter: int) -> Record:
    openings = record.openings + 1
    pause = min(rules.open_ms * 2 ** min(openings - 1, 30), rules.open_max_ms)
    until = now + pause + pause * jitter // 1000
    refused = 0 if record.state == "closed" else record.refused
    return _changed(record, "open", now, reason, openings=openings, opened_at=now, until=until, refused=refused)


def _changed(record: Record, state: State, now: int, reason: str, *, by: str = "", **fields: Any) -> Record:
    """Return the record in another state, which ends the probe and what was due."""
    change = Change(now, record.state, state, reason, by)
    ended: dict[str, Any] = {"until": 0, "probe": "", "probe_until": 0, "successes": 0, **fields}
    if state in ("closed", "disabled"):
        ended["opened_at"] = 0
    history = (*record.history, change)[-HISTORY:]
    return record._replace(state=state, generation=record.generation + 1, changed_at=now, history=history, **ended)


def _part(rules: Rules, now: int) -> int:
    return now // (rules.window_ms // BUCKETS)
