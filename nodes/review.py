"""Review: apply the policy to every open action, and ask humans where it says so. No effect besides the requests."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from domain.actions import Action
from domain.approvals import RELEASED, Approval, Verdict, one_line, request_id_of
from domain.policy import Policy, Rule
from domain.ports import Approvals
from domain.state import Entry, State, Update, open_actions


async def review(state: State, *, policy: Policy, approvals: Approvals, clock: Callable[[], datetime]) -> Update:
    """Return a verdict for every open action: released, waits, denied, or what a human said.

    It runs before the gates and again after them: the second time it finds the humans' answers in the records.
    """
    verdicts = {}
    for action in open_actions(state):
        rule = policy.judge(action)
        if rule.then == "ask":
            verdicts[action.action_id] = await _asked(state, action, rule, policy, approvals, clock())
        else:
            outcome = "released" if rule.then == "run" else "denied"
            verdicts[action.action_id] = {"outcome": outcome, "message": rule.reason, "rule": rule.name}
    return {"verdicts": verdicts}


async def _asked(
    state: State, action: Action, rule: Rule, policy: Policy, approvals: Approvals, now: datetime
) -> Entry:
    record = await approvals.ask(_request(state, action, rule, policy, now))
    if record.state == "pending" and (answer := state.get("answers", {}).get(action.action_id)):
        record = await approvals.settle(record.request_id, _verdict(answer, now))
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


def _verdict(answer: dict[str, Any], now: datetime) -> Verdict:
    """Return an answer given straight to the graph (LangGraph Studio); anything but a clear yes is a no."""
    return Verdict(
        approved=answer.get("approved") is True,
        approver_id=int(answer.get("approver_id", 0)),
        approval_notes=str(answer.get("approval_notes", "")),
        decided_by="studio",
        decided_at=now,
    )


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
        created_at=now,
        expires_at=now + timedelta(seconds=rule.expires_in_seconds),
    )
