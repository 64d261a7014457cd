"""The JSON of what was really sent, as the API document describes it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from api.shapes import Given, Id, Limit, Moment, Text
from domain.ledger import EntryState, Evidence, Finding

type ActionId = Annotated[str, Path(description="The `action_id` of an action")]


class ActionsIn(Given):
    """Which actions to list. `since` is a time with its zone."""

    state: EntryState | None = None
    service: Text | None = None
    operation: Text | None = None
    orchestration_id: Text | None = None
    since: Moment | None = Field(None, description="Begun then or later")
    skip: int = Field(0, ge=0, le=1_000_000, description="How many to leave out")
    limit: Limit = 20


class ReconcileIn(Given):
    """What somebody found out about an action whose outcome is unknown.

    `retry` has it sent once more, under the same key: who says so takes it upon them that it may happen twice where the
    service does not recognise the key.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"verdict": "happened", "by": 1, "note": "Refund 17 is in their books."}]}
    )

    verdict: Finding
    by: Id = Field(description="The number you give for the person")
    note: str = Field("", max_length=4_000)
    known: int | None = Field(
        None,
        ge=0,
        le=1_000,
        description="How many `reconciliations` the action had when you looked; without it, a word that you have said"
        " before is the one you said then, and a second `retry` is not sent",
    )


class ReconciliationOut(BaseModel):
    """What somebody said. `by` is null where the service's own records say it."""

    verdict: Finding
    by: int | None
    note: str
    decided_by: str
    decided_at: datetime


class LedgerEntryOut(BaseModel):
    """One action of the ledger. `evidence` says how its outcome is known, `reason` why it waits."""

    action_id: str
    orchestration_id: str
    requester: str
    approval_id: str | None
    service: str
    operation: str
    method: str
    url: str
    arguments: dict[str, Any]
    digest: str
    idempotency_key: str
    state: EntryState
    begun_at: datetime
    finished_at: datetime | None
    http_status: int | None
    duration_ms: float | None
    result: str | None
    evidence: Evidence
    reason: str
    reconciliations: list[ReconciliationOut]


class ActionsOut(BaseModel):
    """A page of the ledger, newest first."""

    actions: list[LedgerEntryOut]
    total: int
    skip: int
    limit: int
