"""Approvals: what waits for a human, the human's word, and what other systems ask."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse

from api.access import Caller, Opened
from api.approval_shapes import (
    AllDecidedOut,
    ApprovalsIn,
    ApprovalsOut,
    DelegationIn,
    EditIn,
    HistoryIn,
    NamedVerdictIn,
    RequestIn,
    StatsIn,
    StatsOut,
    ToldApprovalOut,
    VerdictIn,
    VerdictsIn,
    WaitIn,
)
from api.document import refusals
from api.problems import problem_of
from api.shapes import ApprovalOut, RequestId
from boot.container import Container
from checkpoints.approval_queries import decidable_by
from domain.approvals import Approval, ServiceHealth
from domain.deciding import Person
from domain.errors import NotFound, OrchestrationError
from domain.principals import Principal
from domain.questions import asking
from graph.decisions import Said, Wanted

router = APIRouter(prefix="/approvals", tags=["approvals"])

WINDOW = timedelta(days=30)
"""How far back statistics reach unless told otherwise."""

type IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255, description="Asks once for one key")
]


@router.get("/pending", response_model=ApprovalsOut)
async def list_pending_approvals(
    given: Annotated[ApprovalsIn, Query()], container: Opened, principal: Caller
) -> Response:
    """List what waits for a decision, oldest first: all of it for an approver, their own for others."""
    where = {"state": "pending", **_where(given, principal)}
    found, total = await container.approvals.page(
        where, owner=principal.sees("approver"), skip=given.skip, limit=given.limit
    )
    page = {"total": total, "skip": given.skip, "limit": given.limit}
    return JSONResponse({"approvals": await _seen(found, container), **page})


@router.get("", response_model=ApprovalsOut)
async def list_approvals(given: Annotated[HistoryIn, Query()], container: Opened, principal: Caller) -> Response:
    """List requests, newest first, whatever came of them."""
    where = _where(given, principal)
    found, total = await container.approvals.page(
        where, owner=principal.sees("approver"), skip=given.skip, limit=given.limit, newest_first=True
    )
    page = {"total": total, "skip": given.skip, "limit": given.limit}
    return JSONResponse({"approvals": await _seen(found, container), **page})


@router.get("/stats", response_model=StatsOut)
async def approval_stats(given: Annotated[StatsIn, Query()], container: Opened, principal: Caller) -> Response:
    """Count requests by state, type and risk; say how fast they are decided, and which rules ask for nothing."""
    since = given.since or container.clock() - WINDOW
    stats = await container.approval_stats.since(since, owner=principal.sees("approver"))
    return JSONResponse(stats.shown())


@router.post("/request", response_model=ApprovalOut, responses=refusals(409))
async def request_approval(
    given: RequestIn, container: Opened, principal: Caller, idempotency_key: IdempotencyKey = None
) -> Response:
    """Ask humans on behalf of another system; it waits for the answer at `GET /approvals/{request_id}?wait=30`."""
    principal.require("user")
    wanted = Wanted(
        **given.model_dump(exclude={"context", "requester_id", "groups"}),
        requester_id=str(given.requester_id),
        groups=tuple(given.groups),
        context=given.context.model_dump(),
        risk_score=given.context.risk_score,
        idempotency_key=idempotency_key,
    )
    return JSONResponse((await container.decisions.request(wanted, by=principal)).shown())


@router.post("/bulk-decide", response_model=AllDecidedOut)
async def decide_approvals(given: VerdictsIn, container: Opened, principal: Caller) -> Response:
    """Decide up to 100 requests in the order given, each for itself: what one comes to is in its result."""
    principal.require("approver")
    return JSONResponse({"results": [await _one(each, container, principal) for each in given.decisions]})


@router.get("/{request_id}", response_model=ToldApprovalOut, responses=refusals(404))
async def get_approval(
    request_id: RequestId, given: Annotated[WaitIn, Query()], container: Opened, principal: Caller
) -> Response:
    """Return one request, whatever its state; with `wait`, as soon as it is decided or the time is over."""
    record = await container.approvals.decided(request_id, wait_seconds=given.wait, owner=principal.sees("approver"))
    (seen,) = await _seen([record], container)
    return JSONResponse({**seen, "history": record.history()})


@router.post("/pending/{request_id}/decide", response_model=ApprovalOut, responses=refusals(404, 409))
async def decide_approval(request_id: RequestId, given: VerdictIn, container: Opened, principal: Caller) -> Response:
    """Approve, edit or reject; the run goes on by itself. The same again gives the same answer, anything else 409."""
    principal.require("approver")
    record, verdict = await container.decisions.decide(request_id, Said(**given.model_dump()), by=principal)
    return JSONResponse(record.as_left_by(verdict))


@router.post("/pending/{request_id}/edit", response_model=ApprovalOut, responses=refusals(404, 409))
async def edit_approval(request_id: RequestId, given: EditIn, container: Opened, principal: Caller) -> Response:
    """Change a pending action's arguments, not its operation: checked like a new one, and every vote starts again."""
    principal.require("approver")
    record = await container.decisions.edit(
        request_id, given.edited_arguments, approver_id=given.approver_id, seen=given.digest, by=principal
    )
    return JSONResponse(record.shown())


@router.post("/pending/{request_id}/delegate", response_model=ApprovalOut, responses=refusals(404, 409))
async def delegate_approval(
    request_id: RequestId, given: DelegationIn, container: Opened, principal: Caller
) -> Response:
    """Hand one's decision on to a group or a person; everybody else keeps theirs."""
    principal.require("approver")
    record = await container.decisions.delegate(
        request_id, given.to, approver_id=given.by, note=given.note, by=principal
    )
    return JSONResponse(record.shown())


def _where(given: ApprovalsIn, principal: Principal) -> dict[str, Any]:
    """Return the conditions of a list."""
    where = given.equal()
    if given.mine:
        where["owner"] = principal.name
    conditions = [{"groups": given.group}] if given.group else []
    if given.eligible_for is not None:
        conditions.append(decidable_by(Person(principal=principal, approver_id=given.eligible_for)))
    return {**where, "$and": conditions} if conditions else where


async def _seen(records: Sequence[Approval], container: Container) -> list[dict[str, Any]]:
    """Return requests with how their services are now."""
    pending = {each.action.service for each in records if each.state == "pending" and each.kind == "graph"}
    services = sorted(pending)
    vitals = dict(zip(services, await asyncio.gather(*(_vitals(each, container) for each in services)), strict=True))
    shown = {service: health.model_dump(mode="json") for service, health in vitals.items() if health}
    return [{**asking(each, container.toolbox), "service_now": shown.get(each.action.service)} for each in records]


async def _vitals(service: str, container: Container) -> ServiceHealth | None:
    with suppress(NotFound):  # a service that was taken out of the services file since
        return await container.vitals.of(service)
    return None


async def _one(given: NamedVerdictIn, container: Container, principal: Principal) -> dict[str, Any]:
    said = Said(**given.model_dump(exclude={"request_id"}))
    try:
        record, verdict = await container.decisions.decide(given.request_id, said, by=principal)
    except OrchestrationError as error:
        problem = problem_of(error)
        return {"request_id": given.request_id, "status": problem["status"], "approval": None, "problem": problem}
    return {
        "request_id": given.request_id,
        "status": 200,
        "approval": record.as_left_by(verdict),
        "problem": None,
    }
