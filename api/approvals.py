"""Approvals: what waits for a human, and the human's word."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from api.access import Caller, Opened
from api.shapes import ApprovalOut, ApprovalsOut, VerdictIn, problems
from domain.approvals import Verdict
from domain.policy import RiskLevel

router = APIRouter(prefix="/approvals", tags=["approvals"])


@router.get("/pending", response_model=ApprovalsOut, responses=problems())
async def pending(
    container: Opened,
    principal: Caller,
    orchestration_id: Annotated[str | None, Query(max_length=64)] = None,
    approval_type: Annotated[str | None, Query(max_length=64)] = None,
    risk_level: RiskLevel | None = None,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """List what waits for a decision, oldest first: all of it for an approver, their own for others."""
    wanted = {"orchestration_id": orchestration_id, "approval_type": approval_type, "risk_level": risk_level}
    fields = {name: value for name, value in wanted.items() if value is not None}
    owner = principal.sees("approver")
    found, total = await container.approvals.pending(owner=owner, skip=skip, limit=limit, **fields)
    return JSONResponse({"approvals": [each.shown() for each in found], "total": total, "skip": skip, "limit": limit})


@router.get("/{request_id}", response_model=ApprovalOut, responses=problems(404))
async def approval(request_id: str, container: Opened, principal: Caller) -> Response:
    """Return one request, whatever its state."""
    return JSONResponse((await container.approvals.get(request_id, owner=principal.sees("approver"))).shown())


@router.post("/pending/{request_id}/decide", response_model=ApprovalOut, responses=problems(404, 409))
async def decide(request_id: str, given: VerdictIn, container: Opened, principal: Caller) -> Response:
    """Approve or reject; the run goes on by itself. The same decision again gives the same answer, another one 409."""
    principal.require("approver")
    verdict = Verdict(**given.model_dump(), decided_by=principal.name, decided_at=container.clock())
    record = await container.approvals.decide(request_id, verdict, owner=principal.sees("approver"))
    container.orchestrations.wake(record.orchestration_id)
    return JSONResponse(record.decided())
