"""Review: apply the policy to every open action, and ask humans where it says so. No effect besides the requests."""

from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.actions import Action
from domain.approvals import RELEASED, Approval, Verdict, one_line, request_id_of
from domain.policy import Policy, Rule
from domain.ports import Approvals, Policies
from domain.state import Entry, State, Update, open_actions

NOTE_CHARS = 4_000
"""Longest note that comes with an answer; `VerdictIn` in `api/shapes.py` agrees."""

EXAMPLE = 'A yes reads {"approved": true, "approver_id": 1}.'


class Answer(BaseModel):
    """What a human says straight to the graph (LangGraph Studio): as strict as the route that takes a decision."""

    model_config = ConfigDict(strict=True, extra="forbid")

    approved: bool
    approver_id: int = Field(0, ge=0, le=2**53 - 1)
    approval_notes: str = Field("", max_length=NOTE_CHARS)


async def review(state: State, *, policies: Policies, approvals: Approvals, clock: Callable[[], datetime]) -> Update:
    """Return a verdict for every open action: released, waits, denied, or what a human said.

    It runs before the gates and again after them: the second time it finds the humans' answers in the records. What was
    asked once stays asked, whatever the policy says by then: nothing runs that somebody has said no to.
    """
    policy, before = policies.current(), state.get("verdicts", {})
    verdicts = {}
    for action in open_actions(state):
        rule = policy.judge(action, requester=state["requester"])
        if rule.then == "ask" or "approval_id" in before.get(action.action_id, {}):
            verdicts[action.action_id] = await _asked(state, action, rule, policy, approvals, clock())
        else:
            outcome = "released" if rule.then == "run" else "denied"
            verdicts[action.action_id] = {"outcome": outcome, "message": rule.reason, "rule": rule.name}
    return {"verdicts": verdicts}


async def _asked(
    state: State, action: Action, rule: Rule, policy: Policy, approvals: Approvals, now: datetime
) -> Entry:
    request = _request(state, action, rule, policy, now)
    record = await approvals.ask(request)
    if record.state == "pending" and action.action_id in (answers := state.get("answers", {})):
        record = await approvals.settle(record.request_id, _verdict(answers[action.action_id], now))
        if record.state == "pending":  # the answer came too late, and asking again would never end
            await approvals.advance(record.request_id, of="pending", to="expired")
            record = await approvals.ask(request)
    return {
        "outcome": _outcome(record),
        "approval_id": record.request_id,
        "message": _message(record),
        "rule": record.policy_rule,
    }


def _outcome(record: Approval) -> str:
    if record.state in RELEASED:
        return "released"
    return "waits" if record.state == "pending" else record.state


def _message(record: Approval) -> str:
    if record.state == "expired":
        return "Nobody decided in time."
    return record.verdict.approval_notes if record.verdict else record.reason


def _verdict(given: object, now: datetime) -> Verdict:
    """Return an answer given straight to the graph as a verdict; whatever is not a clear yes is a no that says why."""
    try:
        answer = Answer.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(_wrong(each["loc"], each["msg"]) for each in error.errors()[:3])
        answer = Answer(approved=False, approval_notes=f"Taken for a no: {wrong}. {EXAMPLE}"[:NOTE_CHARS])
    return Verdict(**answer.model_dump(), decided_by="studio", decided_at=now)


def _wrong(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place))}: {message}" if place else "the answer is not an object"


def _request(state: State, action: Action, rule: Rule, policy: Policy, now: datetime) -> Approval:
    return Approval(
        request_id=request_id_of(run_id=state["run_id"], action=action),
        orchestration_id=state["run_id"],
        thread_id=state["thread_id"],
        owner=state["requester"].rpartition("/")[0],
        requester=state["requester"],
        approval_type=rule.approval_type,
        proposed_action=one_line(action),
        action=action,
        risk_level=rule.risk_level,
        risk_score=rule.risk_score,
        policy_rule=rule.name,
        policy_version=policy.version,
        reason=rule.reason,
        quorum=rule.quorum,
        groups=rule.groups,
        requester_may_approve=rule.requester_may_approve,
        on_expiry=rule.on_expiry,
        escalate_to=rule.escalate_to,
        remind_after_seconds=rule.remind_after_seconds,
        expires_in_seconds=rule.expires_in_seconds,
        execute_within_seconds=rule.execute_within_seconds,
        created_at=now,
        expires_at=now + timedelta(seconds=rule.expires_in_seconds),
    )
