"""The JSON of the approvals' routes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.shapes import ApprovalOut, Choice, Given, Id, Limit, Moment, Number, Text
from domain.approval_stats import RuleStats
from domain.approvals import ApprovalState, Happening, ServiceHealth
from domain.policy import RiskLevel

type Note = Annotated[str, Field(max_length=4_000)]
type Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="Of the action as the human saw it")]
type Flag = Annotated[bool, Field(strict=True)]
type Skip = Annotated[int, Field(ge=0, le=1_000_000, description="How many to leave out")]
type Group = Annotated[str, Field(min_length=1, max_length=64)]


class VerdictIn(Given):
    """A human's decision; with `edited_arguments` the action is edited first, and the same person's yes is for that.

    `digest` says which action the human saw: another one by now is answered 409. Once a request was edited, nobody
    approves without it.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"approved": True, "approver_id": 1, "approval_notes": "ok"}]}
    )

    approved: Flag
    approver_id: Id
    approval_notes: Note = Field("", description="On a rejection the model reads it")
    edited_arguments: dict[str, Any] | None = Field(None, description="All of the arguments, as they are to be sent")
    digest: Digest | None = None


class NamedVerdictIn(VerdictIn):
    """One decision of several."""

    request_id: Text


class VerdictsIn(Given):
    """Several decisions, each for itself."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"decisions": [{"request_id": "apr_0", "approved": False, "approver_id": 1}]}],
        }
    )

    decisions: list[NamedVerdictIn] = Field(min_length=1, max_length=100)


class EditIn(Given):
    """Other arguments for the same operation."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"edited_arguments": {"order_id": 1001, "amount": 50}, "approver_id": 1}]}
    )

    edited_arguments: dict[str, Any] = Field(description="All of the arguments, as they are to be sent")
    approver_id: Id
    digest: Digest | None = None


class DelegationIn(Given):
    """To whom a decision is handed on: either `to_group` or `to_approver_id`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to_group": "finance", "by": 1, "note": "on holiday"}]})

    to_group: Group | None = None
    to_approver_id: Id | None = None
    by: Id = Field(description="The `approver_id` of who hands it on")
    note: Note = ""

    @model_validator(mode="after")
    def _names_one(self) -> "DelegationIn":
        if (self.to_group is None) == (self.to_approver_id is None):
            raise ValueError("give either to_group or to_approver_id")
        return self

    @property
    def to(self) -> str:
        """The delegate, as the record names it."""
        return f"group:{self.to_group}" if self.to_group is not None else f"approver:{self.to_approver_id}"


class ContextIn(BaseModel):
    """What another system sends along for those who decide."""

    model_config = ConfigDict(extra="allow")

    state_summary: dict[str, Any] = {}
    risk_score: float = Field(0.5, ge=0, le=1, strict=True)


class RequestIn(Given):
    """What another system asks humans about; the same `Idempotency-Key` asks once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "orchestration_id": "order-17",
                    "approval_type": "financial",
                    "proposed_action": "Refund order 17 in full",
                    "risk_level": "high",
                    "requester_id": 1,
                    "context": {"state_summary": {}, "risk_score": 0.75},
                    "expires_in_seconds": 300,
                }
            ]
        }
    )

    orchestration_id: Annotated[str, Field(min_length=1, max_length=128)]
    approval_type: Text
    proposed_action: Annotated[str, Field(min_length=1, max_length=16_000)] | dict[str, Any]
    risk_level: RiskLevel = "medium"
    requester_id: Id | Annotated[str, Field(min_length=1, max_length=128, pattern="^[^/]*$")]
    context: ContextIn = ContextIn()
    expires_in_seconds: int = Field(86_400, ge=1, le=31_536_000)
    quorum: int = Field(1, ge=1, le=20)
    groups: list[Group] = Field([], max_length=20)
    requester_may_approve: Flag = True


class ApprovalsIn(Given):
    """Which pending approvals to list."""

    orchestration_id: Text | None = None
    approval_type: Text | None = None
    risk_level: RiskLevel | None = None
    policy_rule: Annotated[str, Field(max_length=128)] | None = None
    requester: Annotated[str, Field(max_length=256)] | None = Field(None, description="As records have it: `key/user`")
    kind: Literal["graph", "external"] | None = None
    group: Group | None = Field(None, description="Only what members of this group may decide")
    eligible_for: Number | None = Field(None, description="Only what this approver may decide, and has not yet")
    mine: Choice = Field(False, description="Only what the caller's key asked for")
    skip: Skip = 0
    limit: Limit = 20

    def equal(self) -> dict[str, Any]:
        """Return the members that a record has to have as they are."""
        return self.model_dump(exclude_none=True, exclude={"skip", "limit", "group", "eligible_for", "mine"})


class HistoryIn(ApprovalsIn):
    """Which approvals to list, whatever came of them."""

    state: ApprovalState | None = None


class WaitIn(Given):
    """How long to wait for the decision."""

    wait: float = Field(0, ge=0, le=60, description="Seconds; the answer comes as soon as it is decided")


class StatsIn(Given):
    """From when on requests are counted."""

    since: Moment | None = Field(None, description="30 days ago unless given")


class StepOut(BaseModel):
    """Something that happened to a request; `by` is the key it came with."""

    what: Happening
    at: datetime
    by: str
    approver_id: int | None
    digest: str
    said: dict[str, Any]


class SeenApprovalOut(ApprovalOut):
    """A request as it is now; `service_now` is how its service is at this moment."""

    service_now: ServiceHealth | None


class ToldApprovalOut(SeenApprovalOut):
    """A request with everything that has happened to it."""

    history: list[StepOut]


class ApprovalsOut(BaseModel):
    """A page of requests."""

    approvals: list[SeenApprovalOut]
    total: int
    skip: int
    limit: int


class DecidedOut(BaseModel):
    """What came of one decision: the record, or the problem that refused it."""

    request_id: str
    status: int
    approval: ApprovalOut | None
    problem: dict[str, Any] | None


class AllDecidedOut(BaseModel):
    """What came of several decisions, in the order given."""

    results: list[DecidedOut]


class StatsOut(BaseModel):
    """Requests since a moment, counted; rates are shares of those decided, the expiry rate of those that ended."""

    since: datetime
    total: int
    by_state: dict[str, int]
    by_type: dict[str, int]
    by_risk: dict[str, int]
    seconds_to_decide: dict[Literal["p50", "p95"], float | None]
    expiry_rate: float | None
    rules: list[RuleStats]
