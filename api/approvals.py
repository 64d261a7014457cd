"""Approvals: what waits for a human, and the human's word."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from api.access import Caller, Opened
from api.document import refusals
from api.shapes import ApprovalOut, ApprovalsIn, ApprovalsOut, RequestId, VerdictIn
from domain.approvals import Verdict

router = APIRouter(prefix="/approvals", tags=["approvals"])


@router.get("/pending", response_model=ApprovalsOut)
async def list_pending_approvals(
    given: Annotated[ApprovalsIn, Query()], container: Opened, principal: Caller
) -> Response:
    """List what waits for a decision, oldest first: all of it for an approver, their own for others."""
    fields = given.model_dump(exclude_none=True)
    found, total = await container.approvals.pending(owner=principal.sees("approver"), **fields)
    page = {"total": total, "skip": given.skip, "limit": given.limit}
    return JSONResponse({"approvals": [each.shown() for each in found], **page})


@router.get("/{request_id}", response_model=ApprovalOut, responses=refusals(404))
async def get_approval(request_id: RequestId, container: Opened, principal: Caller) -> Response:
    """Return one request, whatever its state."""
    return JSONResponse((await container.approvals.get(request_id, owner=principal.sees("approver"))).shown())


@router.post("/pending/{request_id}/decide", response_model=ApprovalOut, responses=refusals(404, 409))
async def decide_approval(request_id: RequestId, given: VerdictIn, container: Opened, principal: Caller) -> Response:
    """Approve or reject; the run goes on by itself. The same decision again gives the same answer, another one 409."""
    principal.require("approver")
    verdict = Verdict(**given.model_dump(), decided_by=principal.name, decided_at=container.clock())
    record = await container.approvals.decide(request_id, verdict, owner=principal.sees("approver"))
    container.orchestrations.wake(record.orchestration_id)
    return JSONResponse(record.decided())
