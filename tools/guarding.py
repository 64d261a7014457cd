"""What an attempt to call a service tells the service's circuit breaker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from domain.breakers import Breaker, Outcome
from domain.errors import ServiceBroke, ServiceError, ServiceFailed, ServiceTimeout, ServiceUnavailable

LEASE_MARGIN_SECONDS = 1.0
"""How much longer than the call's deadline a probe keeps others waiting, should its caller die."""


class Attempt(Protocol):
    """One attempt, as far as a breaker is concerned."""

    @property
    def was_tried(self) -> bool:
        """Whether anything went out to the service, be it the start of a connection."""
        ...

    @property
    def is_overdue(self) -> bool:
        """Whether the call's deadline has passed."""
        ...

    def lasted(self) -> float:
        """Return for how many seconds the service was being asked."""
        ...


@asynccontextmanager
async def guarded(breaker: Breaker, attempt: Attempt, *, deadline_seconds: float) -> AsyncIterator[None]:
    """Let an attempt pass and report how it ended; raises `CircuitOpen` instead.

    Failures are timeouts, broken connections, 5xx, and services that cannot be reached. What the service refused
    (4xx), what was never sent, and what the caller gave up says nothing about the service.
    """
    permit = await breaker.acquire(lease_seconds=deadline_seconds + LEASE_MARGIN_SECONDS)
    outcome: Outcome = "dropped"
    told = ""
    try:
        yield
        outcome = "succeeded"
    except ServiceError as error:
        if _is_fault(error, attempt):
            outcome, told = "failed", f"{type(error).__name__}: {error.detail}"
        raise
    except asyncio.CancelledError:
        if attempt.was_tried and attempt.is_overdue:
            outcome, told = "failed", "ServiceTimeout: no answer before the call's deadline."
        raise
    finally:
        await breaker.report(permit, outcome, seconds=attempt.lasted(), error=told)


def _is_fault(error: ServiceError, attempt: Attempt) -> bool:
    if isinstance(error, ServiceUnavailable):
        return attempt.was_tried
    return isinstance(error, ServiceTimeout | ServiceBroke | ServiceFailed)
