"""Webhooks: what others were told, and what they have not taken."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.access import Caller, Opened
from api.shapes import Given, Limit, Text
from domain.webhooks import DeliveryState

router = APIRouter(prefix="/webhooks", tags=["operations"])


class DeliveriesIn(Given):
    """Which deliveries to list."""

    state: DeliveryState | None = None
    request_id: Text | None = None
    skip: int = Field(0, ge=0, le=1_000_000, description="How many to leave out")
    limit: Limit = 20


class DeliveryOut(BaseModel):
    """One event on its way to one receiver, of whose address only the origin is shown."""

    delivery_id: str
    event_id: str
    type: str
    at: datetime
    request_id: str
    url: str
    state: DeliveryState
    attempts: int
    next_at: datetime
    last_status: int | None
    last_error: str | None
    ended_at: datetime | None


class DeliveriesOut(BaseModel):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryOut]
    total: int
    skip: int
    limit: int


@router.get("/deliveries", response_model=DeliveriesOut)
async def list_deliveries(given: Annotated[DeliveriesIn, Query()], container: Opened, principal: Caller) -> Response:
    """List what receivers were told, newest first, how often it was tried, and what is given up (`state=dead`)."""
    principal.require("operator")
    found, total = await container.outbox.page(**given.model_dump(exclude_none=True))
    page = {"total": total, "skip": given.skip, "limit": given.limit}
    return JSONResponse({"deliveries": [each.shown() for each in found], **page})
