"""Circuit breakers: how each service's is, and an operator's word."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

import structlog
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from api.access import Caller, Opened
from api.document import refusals
from api.shapes import Given
from boot.container import Container
from checkpoints.circuits.local import Seen
from domain.audit import Fact
from domain.breakers import Order, State, totals
from domain.canonical import JSON, canonical
from domain.principals import Principal

router = APIRouter(prefix="/circuit-breakers", tags=["operations"])

log = structlog.get_logger(__name__)

LONGEST_SECONDS = 30 * 24 * 3600

type BreakerName = Annotated[str, Path(description="The service's name", examples=["petstore"])]
type Reason = Annotated[str, Field(max_length=500, description="For the history and the log")]


class ResetIn(Given):
    """Why a breaker is reset."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the service is repaired"}]})

    reason: Reason = ""


class ForceIn(Given):
    """Why a breaker is forced into a state, and for how long; without `expires_in_seconds` until the next order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "maintenance", "expires_in_seconds": 600}]})

    reason: Reason = ""
    expires_in_seconds: float | None = Field(None, ge=0.001, le=LONGEST_SECONDS)


NO_REASON, FOREVER = ResetIn(reason=""), ForceIn(reason="", expires_in_seconds=None)


class ChangeOut(BaseModel):
    """One change of state; `by` is null unless somebody ordered it."""

    at: datetime
    before: State
    after: State
    reason: str
    by: str | None


class LastErrorOut(BaseModel):
    """The last failure that was counted."""

    detail: str
    at: datetime


class BreakerOut(BaseModel):
    """A service's breaker.

    The rates are those of the calls in the window, null where there are none. `refused_calls` counts since it last left
    `closed`. `next_probe_at` is when a call may pass again at the earliest. `forced_until` is null where an order has
    no end. `shared` tells whether other servers see the same breaker.
    """

    name: str
    state: State
    shared: bool
    failure_rate: float | None
    failure_rate_threshold: float
    slow_call_rate: float | None
    slow_call_rate_threshold: float
    slow_call_seconds: float
    minimum_calls: int
    window_seconds: float
    buffered_calls: int
    failed_calls: int
    slow_calls: int
    refused_calls: int
    consecutive_openings: int
    changed_at: datetime | None
    opened_at: datetime | None
    next_probe_at: datetime | None
    last_error: LastErrorOut | None
    forced_by: str | None
    forced_reason: str | None
    forced_until: datetime | None
    history: list[ChangeOut]


class BreakersOut(BaseModel):
    """The breakers of all services."""

    circuit_breakers: list[BreakerOut]


@router.get("")
async def list_circuit_breakers(container: Opened, principal: Caller) -> BreakersOut:
    """Return every service's breaker as it is now."""
    principal.require("operator", "approver", "user")
    return BreakersOut(circuit_breakers=[_told(each) for each in await container.breakers.look()])


@router.get("/{name}", responses=refusals(404))
async def get_circuit_breaker(name: BreakerName, container: Opened, principal: Caller) -> BreakerOut:
    """Return one service's breaker as it is now."""
    principal.require("operator", "approver", "user")
    return _told(await container.breakers.of(name).look())


@router.post("/{name}/reset", responses=refusals(404))
async def reset_circuit_breaker(
    name: BreakerName, container: Opened, principal: Caller, given: ResetIn = NO_REASON
) -> BreakerOut:
    """Close it, whatever its state, and forget the calls it has counted."""
    return await _order(name, "closed", ForceIn(reason=given.reason), container, principal)


@router.post("/{name}/force-open", responses=refusals(404))
async def force_open_circuit_breaker(
    name: BreakerName, container: Opened, principal: Caller, given: ForceIn = FOREVER
) -> BreakerOut:
    """Let no call through; when the order's time is over, one probe at a time decides how it goes on."""
    return await _order(name, "forced_open", given, container, principal)


@router.post("/{name}/disable", responses=refusals(404))
async def disable_circuit_breaker(
    name: BreakerName, container: Opened, principal: Caller, given: ForceIn = FOREVER
) -> BreakerOut:
    """Let every call through, however many fail; they are counted all the same."""
    return await _order(name, "disabled", given, container, principal)


async def _order(
    name: str,
    state: Literal["closed", "forced_open", "disabled"],
    given: ForceIn,
    container: Container,
    principal: Principal,
) -> BreakerOut:
    principal.require("operator")
    lasting_ms = int((given.expires_in_seconds or 0) * 1000)
    wanted = Order(state=state, by=principal.name, reason=given.reason, lasting_ms=lasting_ms)
    seen = await container.breakers.of(name).order(wanted)
    details: dict[str, JSON] = {"breaker": name, "reason": given.reason, "expires_in_seconds": given.expires_in_seconds}
    log.info("circuit_breaker_ordered", state=state, principal=principal.name, **details)
    fact = Fact(
        event_id=f"breaker.ordered/{uuid4().hex}",
        event="breaker.ordered",
        at=container.clock(),
        actor=principal.name,
        outcome=state,
        details=canonical(details),
    )
    await container.audit.append(fact)
    return _told(seen)


def _told(seen: Seen) -> BreakerOut:
    record, rules = seen.record, seen.rules
    _, calls, failed, slow = totals(record, rules, seen.now)
    forced = record.history[-1] if record.state in ("forced_open", "disabled") else None
    return BreakerOut(
        name=seen.name,
        state=record.state,
        shared=seen.shared,
        failure_rate=failed / calls if calls else None,
        failure_rate_threshold=rules.failure_rate,
        slow_call_rate=slow / calls if calls else None,
        slow_call_rate_threshold=rules.slow_rate,
        slow_call_seconds=rules.slow_ms / 1000,
        minimum_calls=rules.minimum_calls,
        window_seconds=rules.window_ms / 1000,
        buffered_calls=calls,
        failed_calls=failed,
        slow_calls=slow,
        refused_calls=record.refused,
        consecutive_openings=record.openings,
        changed_at=_time(record.changed_at),
        opened_at=_time(record.opened_at),
        next_probe_at=_next_probe(seen),
        last_error=LastErrorOut(detail=record.error, at=_at(record.error_at)) if record.error else None,
        forced_by=forced.by if forced else None,
        forced_reason=forced.reason if forced else None,
        forced_until=_time(record.until) if forced else None,
        history=[
            ChangeOut(at=_at(each.at), before=each.before, after=each.after, reason=each.reason, by=each.by or None)
            for each in record.history
        ],
    )


def _next_probe(seen: Seen) -> datetime | None:
    record = seen.record
    if record.state == "half_open":
        return _at(max(record.probe_until, seen.now))
    return _time(record.until) if record.state in ("open", "forced_open") else None


def _time(milliseconds: int) -> datetime | None:
    return _at(milliseconds) if milliseconds else None


def _at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
