"""Policy: the rules in force, those that were, and what others would have said."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from api.access import Caller, Opened
from api.document import refusals
from api.shapes import Given, whole
from boot.dry_run import dry_run
from boot.policies import proposed_policy
from domain.actions import Origin
from domain.policy import Effect, Raise, RiskLevel, Rule
from domain.replay import Replay

router = APIRouter(prefix="/policy", tags=["policy"])

type Version = Annotated[str, Path(description="The `policy_version` of an approval", max_length=64)]


def _written(given: object) -> object:
    """Return a time that was written down; a bare number is none."""
    if not isinstance(given, str):
        raise ValueError("a time is text")  # noqa: TRY004  # pydantic wants a ValueError
    return given


Count = Annotated[int, Field(strict=True, ge=0, le=10_000), BeforeValidator(whole)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written)]

EXAMPLE: JsonDict = {
    "policy": {"rules": [{"name": "reads-run", "when": {"effect": "read"}, "then": "run"}]},
    "limit": 1_000,
}


class RefusalOut(BaseModel):
    """Why the file as it is now is not in force: every mistake with its place, the rule and the reason."""

    detail: str
    problems: list[dict[str, Any]]
    since: datetime


class PolicyOut(BaseModel):
    """The policy in force; `problem` says why the file as it is now is not."""

    version: str
    since: datetime
    file: str
    problem: RefusalOut | None
    rules: list[Rule]
    raised_by: list[Raise]


class PolicyVersionOut(BaseModel):
    """A policy as it was, with every default filled in; the version is its hash."""

    version: str
    first_seen_at: datetime
    rules: list[dict[str, Any]]
    raised_by: list[dict[str, Any]]


class DryRunIn(Given):
    """A proposed policy: an object, or YAML as in the policy file."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    policy: dict[str, Any] | str
    limit: Annotated[Count, Field(ge=1, description="How many of the newest actions are replayed at most")] = 1_000
    since: Annotated[Moment | None, Field(description="Runs that began before are left out")] = None
    skip: Annotated[Count, Field(description="How many of the changes to leave out")] = 0
    show: Annotated[Count, Field(le=100, description="How many of the changes to show at most")] = 20


class AnswerOut(BaseModel):
    """What a policy says to an action."""

    then: Effect
    rule: str
    risk_level: RiskLevel
    risk_score: float
    quorum: int
    groups: list[str]
    reason: str


class ChangeOut(BaseModel):
    """An action to which the two policies say something else: another answer, another quorum, or other groups."""

    action_id: str
    orchestration_id: str
    at: datetime
    requester: str
    service: str
    operation: str
    arguments: dict[str, Any]
    origins: dict[str, Origin]
    status: str
    in_force: AnswerOut
    proposed: AnswerOut


class DryRunOut(BaseModel):
    """What the proposed policy would have said. `complete` says whether `limit` left no older action out."""

    considered: int
    oldest: datetime | None
    newest: datetime | None
    would_run: int
    would_ask: int
    would_deny: int
    proposed: dict[str, Any]
    in_force: dict[str, Any]
    changed: int
    changes: list[ChangeOut]
    summary: str
    complete: bool


@router.get("", response_model=PolicyOut)
async def get_policy(container: Opened, principal: Caller) -> Response:
    """Return the policy in force on this server, and why the file is refused where it is."""
    principal.require("operator", "approver")
    return JSONResponse(container.policies.shown())


@router.get("/versions/{version}", response_model=PolicyVersionOut, responses=refusals(404))
async def get_policy_version(version: Version, container: Opened, principal: Caller) -> Response:
    """Return a policy that is or was in force: what an approval's `policy_version` means."""
    principal.require("operator", "approver")
    return JSONResponse((await container.policies.recorded(version)).shown())


@router.post("/dry-run", response_model=DryRunOut)
async def dry_run_policy(given: DryRunIn, container: Opened, principal: Caller) -> Response:
    """Replay recorded actions against a proposed policy; nothing is changed."""
    principal.require("operator")
    policies = container.policies
    proposed = await asyncio.to_thread(proposed_policy, given.policy)
    replay = Replay(policies.as_here(proposed), policies.current(), skip=given.skip, show=given.show)
    return JSONResponse(await dry_run(container.runs, replay, limit=given.limit, since=given.since))
