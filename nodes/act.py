"""Act: carry out one released action, through the ledger if it changes anything."""

from collections.abc import Callable
from datetime import datetime

from domain.actions import Action, Result
from domain.errors import ServiceError
from domain.ports import Approvals, Ledger, Toolbox
from domain.state import Released, Update


async def act(
    released: Released, *, toolbox: Toolbox, ledger: Ledger, approvals: Approvals, clock: Callable[[], datetime]
) -> Update:
    """Return what came of the action; a service's failure is a result, not an error."""
    action = Action(**released["action"])
    if action.effect == "read":
        result = await _send(action, toolbox, key=None)
    else:
        result = await _once(action, released, toolbox, ledger, approvals, clock)
    return {"results": {action.action_id: result.model_dump()}}


async def _once(
    action: Action,
    released: Released,
    toolbox: Toolbox,
    ledger: Ledger,
    approvals: Approvals,
    clock: Callable[[], datetime],
) -> Result:
    """Send the action exactly once; where a crash hid the outcome and the service takes no key, say `unknown`."""
    approval_id = released["approval_id"]
    key = f"{approval_id or action.action_id}-{action.digest[:32]}"
    if approval_id:
        await approvals.advance(approval_id, of="approved", to="claimed")
    first, result = await ledger.begin(action, run_id=released["run_id"], key=key, at=clock())
    if result is None:
        result = await _send(action, toolbox, key=key) if first or action.idempotency_key else _hidden(action)
        await ledger.finish(action, result, at=clock())
    if approval_id:
        await approvals.advance(approval_id, of="claimed", to=result.outcome)
    return result


async def _send(action: Action, toolbox: Toolbox, *, key: str | None) -> Result:
    try:
        return await toolbox.execute(action, idempotency_key=key)
    except ServiceError as error:
        hidden = error.may_have_applied and action.effect == "write"
        return Result(
            action_id=action.action_id,
            outcome="unknown" if hidden else "failed",
            http_status=error.status,
            body=f"{error.detail} {error.body}".strip(),
        )


def _hidden(action: Action) -> Result:
    return Result(
        action_id=action.action_id,
        outcome="unknown",
        body="The server stopped while this was being sent, and the service cannot tell whether it arrived.",
    )
