"""Audit: who decided what, what was sent, and what came of it, in one chain of hashes."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.access import Caller, Opened
from api.shapes import Given, Limit, Number, Text

router = APIRouter(tags=["operations"])


class AuditIn(Given):
    """Which entries to read."""

    orchestration_id: Text | None = None
    request_id: Text | None = None
    action_id: Text | None = None
    event: Text | None = None
    after: Number = Field(0, description="The `seq` of the last entry already read")
    limit: Limit = 100


class EntryOut(BaseModel):
    """One entry. `hash` is the sha256 over the canonical JSON (RFC 8785) of all its other members."""

    seq: int
    event_id: str
    event: str
    at: datetime
    actor: str
    orchestration_id: str | None
    request_id: str | None
    action_id: str | None
    digest: str | None
    outcome: str
    details: str
    previous: str
    hash: str


class AnchorOut(BaseModel):
    """How far the log reaches: noted elsewhere, it shows later whether the log's end was cut off or written anew."""

    seq: int
    hash: str


class AuditOut(BaseModel):
    """A page of the log, oldest first; `next` is the `after` of the page that follows."""

    entries: list[EntryOut]
    next: int | None
    last: AnchorOut


@router.get("/audit", response_model=AuditOut)
async def read_audit(given: Annotated[AuditIn, Query()], container: Opened, principal: Caller) -> Response:
    """Return decisions, executions and interventions, oldest first, with everything recorded before the call."""
    principal.require("operator")
    await container.auditor.catch_up()
    found = await container.audit.page(**given.model_dump(exclude_none=True))
    following = found[-1].seq if len(found) == given.limit else None
    last = (await container.audit.last()).model_dump()
    return JSONResponse({"entries": [each.shown() for each in found], "next": following, "last": last})
