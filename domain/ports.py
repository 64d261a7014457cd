"""What nodes may reach outside the process, as the few methods they call."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from domain.actions import Action, Call, Lookup, Operation, Result
from domain.approvals import Approval, ServiceHealth
from domain.assignment import Who
from domain.canonical import JSON
from domain.conversation import Decision, OnToken, Retrieved, Turn
from domain.ledger import Evidence, Hold, Order
from domain.policy import Policy


class Model(Protocol):
    """A language model, or what stands in for one."""

    async def decide(self, turn: Turn, *, on_token: OnToken) -> Decision:
        """Return calls to make or a text to answer with; raises `ModelError`."""
        ...


class Knowledge(Protocol):
    """Where passages come from."""

    async def search(self, query: str, *, requester: str, top_k: int | None = None) -> Retrieved:
        """Return the best passages the requester may see, best first, and what was degraded.

        Args:
            top_k: How many at most; None leaves it to the knowledge base.
        """
        ...


class Variants(Protocol):
    """Which variants of the running experiments a user gets."""

    async def freeze(self, who: Who) -> dict[str, JSON]:
        """Return a run's variants as `domain.variants` reads them; raises `StoreError`."""
        ...


class Toolbox(Protocol):
    """The services' operations."""

    def operations(self) -> tuple[Operation, ...]:
        """Return every operation the agent may propose."""
        ...

    def unknown(self) -> tuple[str, ...]:
        """Return the services of which no operation is known."""
        ...

    def propose(
        self, call: Call, *, run_id: str, step: int, index: int, thread_id: str, requester: str, policy: str
    ) -> Action:
        """Return the frozen action of a call; raises `InvalidArguments`."""
        ...

    async def execute(
        self, action: Action, *, idempotency_key: str | None, before_send: Callable[[], None] = ...
    ) -> Result:
        """Send exactly what was frozen and return what came back; raises `ServiceError` and what `before_send` does."""
        ...

    def honours_key(self, action: Action) -> bool:
        """Return whether sending the action twice under one key acts once."""
        ...

    def lookup(self, action: Action) -> Lookup | None:
        """Return how the service is asked whether the action happened, if it can be."""
        ...

    async def look_up(self, action: Action, lookup: Lookup, *, idempotency_key: str) -> Result | None:
        """Return what the service has of an action under a key, None for nothing; raises `ServiceError`."""
        ...


class Policies(Protocol):
    """The policy, which may change while a run goes on."""

    def current(self) -> Policy:
        """Return the policy in force."""
        ...


class Vitals(Protocol):
    """How the services are."""

    async def of(self, service: str) -> ServiceHealth:
        """Return how a service is, a few seconds ago at most."""
        ...


class Approvals(Protocol):
    """Requests to humans, as the graph uses them."""

    async def ask(self, request: Approval) -> Approval:
        """Record a request unless it is there, and return the record."""
        ...

    async def get(self, request_id: str) -> Approval:
        """Return the record; raises `NotFound`."""
        ...

    async def change(self, request_id: str, change: Callable[[Approval], Approval]) -> Approval:
        """Store what a rule makes of the record, and return it; raises what the rule raises."""
        ...

    async def lapse(self, request_id: str, now: datetime) -> Approval:
        """Let the clock have its say, and return the record."""
        ...

    async def claim(self, request_id: str, *, action_digest: str, at: datetime) -> Approval:
        """Claim what was approved so that it can be sent, and return the record: `claimed`, or why it cannot be."""
        ...

    async def advance(self, request_id: str, *, of: str, to: str) -> bool:
        """Move a request from one state to another and return whether it was in the first."""
        ...


class Ledger(Protocol):
    """The record of what was really sent."""

    async def begin(self, order: Order, *, at: datetime) -> Hold:
        """Write the intent before the send, or take it over; raises `StoreUnavailable` where others are at it."""
        ...

    async def refuse(self, order: Order, result: Result, *, at: datetime) -> Hold:
        """Write that the action may not be sent, unless it may have been; then the hold has no result."""
        ...

    def still_ours(self) -> None:
        """Raise `StoreUnavailable` where somebody else may be at the action by now."""
        ...

    async def put_off(self, hold: Hold, reason: str, *, in_doubt: bool = ..., by_breaker: bool = ...) -> None:
        """Write that the action waits: nothing was sent, or, in doubt, nobody knows yet what came of it."""
        ...

    async def finish(
        self, hold: Hold, result: Result, *, evidence: Evidence = ..., unsent: bool = ..., at: datetime
    ) -> Result:
        """Write what came of it and return what stands; raises `StoreUnavailable` where others are at it.

        Args:
            unsent: Whether it is certain that nothing was sent under the hold.
        """
        ...
