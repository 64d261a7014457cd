"""Act: carry out one released action, through the ledger if it changes anything."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from langchain_core.runnables import RunnableConfig

from domain.actions import Action, Lookup, Outcome, Result
from domain.errors import (
    CircuitOpen,
    ServiceError,
    ServiceRefused,
    ServiceUnavailable,
    StoreError,
    StoreUnavailable,
)
from domain.ledger import Evidence, Hold, Order
from domain.ports import Approvals, Ledger, Policies, Toolbox
from domain.state import Released, Update

KEY_LASTS = timedelta(hours=24)
"""How long a service is trusted to remember a key, and its word is waited for; the usual ones forget after a day."""

MOST_SENDS = 3
"""How often an action is sent whose service says each time that the send before did not arrive."""

LOOK_AGAIN_SECONDS = 5.0
"""How long an action that waits for its service sleeps at most before it looks whether it may go on."""

CONFLICT = 409
BEGUN = ("claimed", "executed", "failed", "unknown")
"""States of an approval whose action may be at work, or have been."""

SAYS_NOTHING = frozenset({401, 403, 407, 408, 425, 429, CONFLICT})
"""Refusals that may come before a service looks at the key: after a send that was lost they do not tell its outcome."""

LOST = "The server stopped while this was being sent, and the service cannot tell whether it arrived."

type Tell = Callable[[str, str], None]  # an action's id, and why it waits; empty when it goes on


async def act(released: Released, config: RunnableConfig, *, sender: "Sender") -> Update:
    """Return what came of the action; a service's failure is a result, not an error.

    An action that waits for its service says so to `configurable["__on_wait"]`, if there is one.
    """
    action = Action(**released["action"])
    if action.effect == "read":
        result = await sender.read(action)
    else:
        order = Order(
            action=action,
            run_id=released["run_id"],
            requester=released["requester"],
            approval_id=released["approval_id"],
        )
        tell = config.get("configurable", {}).get("__on_wait")
        result = await (sender.carry_out(order, tell=tell) if tell else sender.carry_out(order))
    return {"results": {action.action_id: result.model_dump()}}


@dataclass(frozen=True)
class Refusal:
    """Why an action that was let go may not be sent now."""

    reason: str
    is_late: bool = False


@dataclass(frozen=True)
class Leave:
    """Whether an action may be sent now, and until when it may wait for that."""

    refusal: Refusal | None = None
    ends: datetime | None = None


@dataclass(frozen=True)
class Postponed:
    """The service is not to be reached, mostly because its circuit is open: for how many seconds, and in words."""

    seconds: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Sends actions exactly once, or says that nobody knows.

    Args:
        resolve_seconds: How long a service that answers is asked what came of an action until that is `unknown`.
    """

    toolbox: Toolbox
    ledger: Ledger
    approvals: Approvals
    policies: Policies
    clock: Callable[[], datetime]
    resolve_seconds: float
    time: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())

    async def read(self, action: Action) -> Result:
        """Return what a read gave; it can be repeated, so nothing is written down."""
        try:
            return await self.toolbox.execute(action, idempotency_key=None)
        except ServiceError as error:
            return _came(action, "failed", error)

    async def carry_out(self, order: Order, *, tell: Tell = lambda _, __: None) -> Result:
        """Send the action unless policy, clock or approval forbid it by now, and return what came of it.

        An approved action waits for a service whose circuit is open, and so does every action of a service that could
        tell what came of it if it were to be reached. Raises `StoreUnavailable` where somebody else is at it by now.
        """
        while True:
            leave = await self._leave(order)
            hold = await self._held(order, leave.refusal)
            outcome = hold.result or await self._attempted(order, hold, leave.refusal)
            if isinstance(outcome, Result):
                await self._tell_approval(order, outcome, leave.refusal)
                return outcome
            tell(order.action.action_id, outcome.reason)
            left = (leave.ends - self.clock()).total_seconds() if leave.ends else outcome.seconds
            await asyncio.sleep(max(0.0, min(outcome.seconds, left)))
            tell(order.action.action_id, "")

    async def looked_up(self, action: Action, *, key: str) -> Result | None:
        """Return what the service's records have of an action under a key, None for nothing, else `unknown`."""
        lookup = self.toolbox.lookup(action)
        found = await self._asked(action, lookup, key) if lookup else _came(action, "unknown", None)
        return _came(action, "unknown", found) if isinstance(found, ServiceUnavailable) else found

    async def _leave(self, order: Order) -> Leave:
        """Look at the world again: what was allowed when it was decided may not be allowed now."""
        ends = None
        if order.approval_id:
            now = self.clock()
            record = await self.approvals.claim(order.approval_id, action_digest=order.action.digest, at=now)
            ends = record.execute_by if record.state == "claimed" else None
            if record.state == "execution_expired" or (ends and ends <= now):
                return Leave(Refusal("It was approved, but the time to carry it out is over.", is_late=True))
            if record.state not in BEGUN:
                return Leave(Refusal(f"Its approval is {record.state}."))
        rule = self.policies.current().judge(order.action, requester=order.requester)
        if rule.then == "deny":
            return Leave(Refusal(f"The policy denies it by now ({rule.name}). {rule.reason}".strip()))
        if rule.then == "ask" and not order.approval_id:
            return Leave(Refusal(f"The policy asks a human for it by now ({rule.name})."))
        return Leave(ends=ends)

    async def _held(self, order: Order, refusal: Refusal | None) -> Hold:
        if refusal is None:
            return await self.ledger.begin(order, at=self.clock())
        return await self.ledger.refuse(order, _denied(order.action, refusal), at=self.clock())

    async def _attempted(self, order: Order, hold: Hold, refusal: Refusal | None) -> Result | Postponed:
        can_ask = self.toolbox.lookup(order.action) and not self.toolbox.honours_key(order.action)
        outright = not hold.in_doubt or (hold.round and not can_ask)  # in doubt, a human has to have ordered it
        if refusal is None and hold.may_send and outright:
            return await self._sent(order, hold)
        return await self._resolved(order, hold, refusal, None)

    async def _sent(self, order: Order, hold: Hold, *, sends: int = 1) -> Result | Postponed:
        """Send it, and find out what happened where the service does not say."""
        action = order.action
        try:
            result = await self._execute(action, hold)
        except CircuitOpen as error:
            if order.approval_id or hold.round:
                return await self._put_off(hold, error)
            return await self._finish(hold, _came(action, "failed", error), unsent=True)
        except StoreUnavailable:  # the lease ended before the send
            if not self.toolbox.honours_key(action):  # with a key there may have been an earlier attempt
                with suppress(StoreError):
                    await self.ledger.put_off(hold, "The server that was to send it lost its lease.")
            raise
        except ServiceError as error:
            told = _is_conclusive(error) and self.toolbox.honours_key(action)  # else it speaks of this send alone
            if error.may_have_applied or (hold.in_doubt and not told):
                return await self._resolved(order, hold, None, error, sends=sends)
            unsent = isinstance(error, ServiceUnavailable)
            return await self._finish(hold, _came(action, "failed", error), unsent=unsent)
        return await self._finish(hold, result)

    async def _resolved(
        self, order: Order, hold: Hold, refusal: Refusal | None, error: ServiceError | None, *, sends: int = 1
    ) -> Result | Postponed:
        """Find out what came of an action that somebody may have sent, by its key, or by asking; else say `unknown`."""
        action, is_recent = order.action, self.clock() < hold.begun_at + KEY_LASTS
        if refusal is None and self.toolbox.honours_key(action) and is_recent:
            resent = await self._resent(action, hold, error)
            if isinstance(resent, ServiceUnavailable):
                return await self._put_off(hold, resent, in_doubt=True)
            return await self._finish(hold, resent, "resend")
        if lookup := self.toolbox.lookup(action):
            found = await self._asked(action, lookup, hold.key)
            if isinstance(found, ServiceUnavailable) and refusal is None and is_recent:
                return await self._put_off(hold, found, in_doubt=True)
            if isinstance(found, ServiceUnavailable):
                found = _came(action, "unknown", found)
            if isinstance(found, Result):
                return await self._finish(hold, found, "none" if found.outcome == "unknown" else "lookup")
            if refusal is None and sends < MOST_SENDS:
                unsent = hold.model_copy(update={"may_send": True, "in_doubt": False})
                return await self._sent(order, unsent, sends=sends + 1)
            return await self._finish(hold, _not_applied(action, refusal, error), "lookup")
        unknown = _came(action, "unknown", error)
        if refusal:
            unknown = unknown.model_copy(update={"body": f"{unknown.body} {refusal.reason}"})
        return await self._finish(hold, unknown, "none")

    async def _put_off(self, hold: Hold, error: ServiceUnavailable, *, in_doubt: bool = False) -> Postponed:
        kept_back = isinstance(error, CircuitOpen) and not in_doubt and not hold.in_doubt
        await self.ledger.put_off(hold, error.detail, in_doubt=in_doubt, by_breaker=kept_back)
        asked = error.retry_after if isinstance(error, CircuitOpen) else None
        return Postponed(min(asked or LOOK_AGAIN_SECONDS, LOOK_AGAIN_SECONDS), error.detail)

    async def _resent(self, action: Action, hold: Hold, error: ServiceError | None) -> Result | ServiceUnavailable:
        """Send it again under the same key, until the service says what came of it or time is up.

        A service that is not to be reached when time is up has not said anything: its error is returned.
        """
        refused = None
        async for _ in self._tries(self.resolve_seconds):
            try:
                return await self._execute(action, hold)
            except ServiceError as again:
                error, refused = again, again if again.status == CONFLICT else None
                if _is_conclusive(again):
                    return _came(action, "failed", again)
                if isinstance(again, ServiceRefused) and again.status is None:  # it is not offered any more
                    break
        if refused:  # the same key at work elsewhere would have ended by now: it is the service's word
            return _came(action, "failed", refused)
        return error if isinstance(error, ServiceUnavailable) else _came(action, "unknown", error)

    async def _asked(self, action: Action, lookup: Lookup, key: str) -> Result | ServiceUnavailable | None:
        """Ask the service for it: return what it has, None for nothing, or `unknown` where it does not tell.

        A service that is not to be reached when time is up has not said anything: its error is returned.
        """
        began, error = self.time(), None
        async for _ in self._tries(lookup.settled_after_seconds + self.resolve_seconds, longest=1.0):
            try:
                if found := await self.toolbox.look_up(action, lookup, idempotency_key=key):
                    return found
            except ServiceError as silent:
                error = silent
                continue
            if self.time() - began >= lookup.settled_after_seconds:
                return None
        return error if isinstance(error, ServiceUnavailable) else _came(action, "unknown", error)

    async def _tries(self, seconds: float, *, longest: float = 5.0) -> AsyncIterator[None]:
        """Yield at least once, then after growing pauses until the time is up."""
        ends, pause = self.time() + seconds, 0.1
        while True:
            yield
            left = ends - self.time()
            if left <= 0:
                return
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, longest)

    async def _execute(self, action: Action, hold: Hold) -> Result:
        return await self.toolbox.execute(action, idempotency_key=hold.key, before_send=self.ledger.still_ours)

    async def _finish(
        self, hold: Hold, result: Result, evidence: Evidence = "answer", *, unsent: bool = False
    ) -> Result:
        known: Evidence = "none" if result.outcome == "unknown" else evidence
        return await self.ledger.finish(hold, result, evidence=known, unsent=unsent, at=self.clock())

    async def _tell_approval(self, order: Order, result: Result, refusal: Refusal | None) -> None:
        if not order.approval_id:
            return
        late = refusal is not None and refusal.is_late and result.outcome == "denied"
        to = "execution_expired" if late else "failed" if result.outcome == "denied" else result.outcome
        for of in ("claimed", "unknown"):
            if of != to and await self.approvals.advance(order.approval_id, of=of, to=to):
                return


def _is_conclusive(error: ServiceError) -> bool:
    """Return whether a refusal tells that the action was not applied under this key, now or before."""
    return isinstance(error, ServiceRefused) and error.status is not None and error.status not in SAYS_NOTHING


def _denied(action: Action, refusal: Refusal) -> Result:
    return Result(action_id=action.action_id, outcome="denied", body=f"{refusal.reason} It was not sent.")


def _came(action: Action, outcome: Outcome, error: ServiceError | None) -> Result:
    if error is None:
        return Result(action_id=action.action_id, outcome=outcome, body=LOST)
    return Result(
        action_id=action.action_id,
        outcome=outcome,
        http_status=error.status,
        duration_ms=error.duration_ms or 0.0,
        body=f"{error.detail} {error.body}".strip(),
    )


def _not_applied(action: Action, refusal: Refusal | None, error: ServiceError | None) -> Result:
    """Return the result of an action whose service says that it did not happen."""
    if refusal:
        return _denied(action, refusal)
    why = f" {error.detail}" if error else ""
    result = _came(action, "failed", error)
    return result.model_copy(update={"body": f"The service's records say that it did not happen.{why}"})
