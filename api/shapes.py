"""The JSON that callers send and get, as the API document describes it."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from domain.actions import Origin, Outcome, Reversibility
from domain.approvals import ApprovalState, ServiceHealth, Verdict, Vote
from domain.conversation import Notice
from domain.experiments import AttributeName, Scalar
from domain.policy import OnExpiry, RiskLevel
from domain.runs import RunStatus

LARGEST = 2**53 - 1
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", re.IGNORECASE | re.ASCII)


def whole(given: object) -> object:
    """Return 1 for 1.0, which is the same number in JSON (and to JSON Schema), and everything else as it is."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


type Id = Annotated[int, Field(strict=True, ge=0, le=LARGEST), BeforeValidator(whole)]


def _spelled(given: object) -> object:
    """Return a query's boolean in the one spelling that JSON Schema knows."""
    if isinstance(given, str) and given not in ("true", "false"):
        raise ValueError("write true or false")
    return given


def _written_out(given: object) -> object:
    """Return a time that is written out, not a number of seconds."""
    if isinstance(given, str) and not MOMENT.match(given):
        raise ValueError("write a time with its zone, such as 2026-01-31T12:00:00Z")
    return given


type Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
type Choice = Annotated[bool, BeforeValidator(_spelled)]
type Number = Annotated[int, Field(ge=0, le=LARGEST)]
type Text = Annotated[str, Field(max_length=64)]
type Limit = Annotated[int, Field(ge=1, le=100, description="How many to return at most")]
type OrchestrationId = Annotated[str, Path(description="The `orchestration_id` of an answer")]
type RequestId = Annotated[str, Path(description="The `request_id` of an approval")]
type Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$")]


class Given(BaseModel):
    """A request's body or query: unknown members are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")


class MessageIn(Given):
    """One message of a user.

    `on_busy` says what happens while another run of the session is under way: wait for it (bounded), refuse, cancel it.
    `on_pending` says what happens while the session waits for a human: refuse, or withdraw the request.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": 1, "session_id": "s1", "message": "which pets are available?"}]}
    )

    user_id: Id
    session_id: Name
    message: str = Field(min_length=1, pattern=r"\S", description="The user's words; not blank")
    attributes: dict[AttributeName, Scalar] = Field(
        {}, max_length=20, description="Of the user, for experiments' targeting"
    )
    on_busy: Literal["enqueue", "reject", "interrupt"] = "enqueue"
    on_pending: Literal["reject", "cancel"] = "reject"


class OrchestrationsIn(Given):
    """Which runs to list."""

    status: RunStatus | None = None
    user_id: Number | None = None
    session_id: Name | None = None
    before: Text | None = Field(None, description="The `next` of the page before")
    limit: Limit = 20


class ActionOut(BaseModel):
    """One action and what came of it.

    `result` is the service's answer as text. `origins` says where the value of each argument came from: the user's own
    words, an answer in this conversation (`service`), retrieved text, or the model alone. `waiting` is an approved
    action that is not sent yet: its service's circuit is open, or humans are still asked about others of its step;
    `result` then says why.
    """

    action_id: str
    service: str
    operation: str
    method: str
    url: str
    arguments: dict[str, Any]
    digest: str
    effect: Literal["read", "write"]
    reversibility: Reversibility
    origins: dict[str, Origin]
    status: Outcome | Literal["awaiting_approval", "waiting", "sending", "cancelled"]
    http_status: int | None
    duration_ms: float | None
    result: str | None
    approval_id: str | None
    edited: bool


class ActionRequestOut(BaseModel):
    """An action that waits, in LangChain's words; the description has what the model said apart and marked."""

    name: str
    args: dict[str, Any]
    description: str


class ReviewConfigOut(BaseModel):
    """What may be said of an action, in LangChain's words."""

    action_name: str
    allowed_decisions: list[Literal["approve", "edit", "reject", "respond"]]


class BatchOut(BaseModel):
    """What a run waits for as LangChain's tools ask for it: an answer has a decision for each, in this order."""

    action_requests: list[ActionRequestOut]
    review_configs: list[ReviewConfigOut]


class InboxRequestOut(BaseModel):
    """An action that waits, in Agent Inbox's words."""

    action: str
    args: dict[str, Any]


class QuestionOut(BatchOut):
    """One action as LangGraph's tools ask for it: LangChain's for one call, a batch of this one, and Agent Inbox's."""

    approval_id: str
    proposed_action: str
    service: str
    operation: str
    arguments: dict[str, Any]
    digest: str
    type: Literal["tool_approval"]
    tool_call_id: str
    name: str
    args: dict[str, Any]
    description: str
    action_request: InboxRequestOut
    config: dict[str, bool]


class InterruptOut(BaseModel):
    """A question as LangGraph asks it; `POST /orchestrations/{id}/resume` takes an object of ids and their answers."""

    id: str
    value: QuestionOut
    response_schema: dict[str, Any]


class ApprovalOut(BaseModel):
    """A request to humans: what the control plane knows, and apart from it, in `model_words`, what the model said.

    `arguments` are exactly what is sent when it is approved, `digest` names that action. `service_health` is how the
    service was when humans were asked. `interrupt` is the question in other tools' words, while it is open.
    """

    request_id: str
    orchestration_id: str
    thread_id: str
    requester: str
    approval_type: str
    proposed_action: str
    action: dict[str, Any]
    arguments: dict[str, Any]
    digest: str
    risk_level: RiskLevel
    risk_score: float
    policy_rule: str
    policy_version: str
    reason: str
    kind: Literal["graph", "external"]
    state: ApprovalState
    quorum: int
    groups: list[str]
    requester_may_approve: bool
    on_expiry: OnExpiry
    escalate_to: list[str]
    remind_after_seconds: list[int]
    execute_within_seconds: int
    delegates: list[str]
    delegated_to: str | None
    votes: list[Vote]
    revision: int
    original_digest: str
    round: int
    created_at: datetime
    expires_at: datetime
    execute_by: datetime | None
    decided_at: datetime | None
    seconds_to_decide: float | None
    verdict: Verdict | None
    context: dict[str, Any]
    service_health: ServiceHealth | None
    model_words: str
    interrupt: InterruptOut | None = None


class OrchestrationOut(BaseModel):
    """A run as it stands; the members from `reply` on are there once it has ended or pauses.

    `interrupt` is all that it waits for as one question; once the run has asked before, each request's own has to be
    answered by its id.

    An approver who answered for somebody else's run gets no words of its conversation: `message` and `session_id` are
    empty, and there is no `reply`.
    """

    orchestration_id: str
    thread_id: str
    user_id: int
    session_id: str
    status: RunStatus
    message: str
    created_at: datetime
    updated_at: datetime
    reply: str | None = None
    answered_by: str | None = None
    actions: list[ActionOut] = []
    approvals: list[ApprovalOut] = []
    interrupt: BatchOut | None = None
    sources: list[dict[str, Any]] = []
    degraded: list[Notice] = []
    error: dict[str, Any] | None = None


class OrchestrationsOut(BaseModel):
    """A page of runs, newest first; `next` is the `before` of the page that follows."""

    orchestrations: list[OrchestrationOut]
    next: str | None


class ProblemOut(BaseModel):
    """RFC 9457 problem details. `type` is a path of this server that explains it; some types have further members."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {"type": "/problems/not-found", "title": "Not Found", "status": 404, "detail": "There is no such run."}
            ]
        },
    )

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    detail: str


class ProblemTypeOut(BaseModel):
    """What a type of problem means."""

    type: str
    status: int
    meaning: str


class PortOut(BaseModel):
    """Which form of a port is in use: `networked`, `embedded` (not configured) or `degraded` (did not answer)."""

    port: str
    configured: bool
    healthy: bool
    mode: Literal["networked", "embedded", "degraded"]
    form: str
    since: datetime
    reason: str
    lost: str


class PolicyStatusOut(BaseModel):
    """Which policy is in force on this server; `problem` says why the file as it is now is not."""

    version: str
    since: datetime
    problem: str | None


class FeatureStatusOut(BaseModel):
    """What is there, and what stands in for what is not."""

    available: dict[str, bool]
    fallbacks: dict[str, str | None]
    ports: list[PortOut]
    policy: PolicyStatusOut


class HealthOut(BaseModel):
    """How the server and what it leans on are."""

    status: Literal["healthy", "degraded"]
    timestamp: datetime
    services: dict[str, Literal["healthy", "unhealthy"]]
    details: dict[str, str]


class ConfigOut(BaseModel):
    """Every setting by its name; secrets are masked."""

    model_config = ConfigDict(extra="allow")


class ConnectionStatsOut(BaseModel):
    """The pools: one of HTTP connections for every service."""

    http: dict[str, dict[str, int]]
    redis: dict[str, Any] | None
    mongodb: dict[str, Any] | None
