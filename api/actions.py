"""Actions: what was really sent, what came of it, and a human's word where nobody knows."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from api.access import Caller, Opened
from api.action_shapes import ActionId, ActionsIn, ActionsOut, LedgerEntryOut, ReconcileIn
from api.document import refusals
from domain.ledger import Reconciliation

router = APIRouter(prefix="/actions", tags=["actions"])


@router.get("", response_model=ActionsOut)
async def list_actions(given: Annotated[ActionsIn, Query()], container: Opened, principal: Caller) -> Response:
    """List what was sent and what waits to be, newest first: all of it for operators and approvers, else their own."""
    fields = given.model_dump(exclude_none=True)
    if run_id := fields.pop("orchestration_id", None):
        fields["run_id"] = run_id
    found, total = await container.ledger.page(owner=principal.sees("approver"), **fields)
    page = {"total": total, "skip": given.skip, "limit": given.limit}
    return JSONResponse({"actions": [each.shown() for each in found], **page})


@router.get("/{action_id}", response_model=LedgerEntryOut, responses=refusals(404))
async def get_action(action_id: ActionId, container: Opened, principal: Caller) -> Response:
    """Return one action that was released, whatever its state; what still waits for a human is an approval."""
    return JSONResponse((await container.ledger.get(action_id, owner=principal.sees("approver"))).shown())


@router.post("/{action_id}/reconcile", response_model=LedgerEntryOut, responses=refusals(404, 409))
async def reconcile_action(action_id: ActionId, given: ReconcileIn, container: Opened, principal: Caller) -> Response:
    """Say what came of an action whose outcome is unknown; the same word again gives the same answer, another one 409.

    A retry is sent by the server, once, whether or not the caller stays. Who orders another one says with `known` that
    they have seen what came of the one before.
    """
    principal.require("approver")
    entry = await container.ledger.get(action_id)
    words = given.model_dump(exclude={"known"})
    said = Reconciliation(**words, decided_by=principal.name, decided_at=container.clock())
    entry = await container.ledger.reconcile(entry, said, known=given.known)
    container.afterwards.begin(entry)
    return JSONResponse(entry.shown())
