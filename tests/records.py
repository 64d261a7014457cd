"""Records as tests of the stores write them, in one line each."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.actions import Action, Result
from domain.approvals import Approval, Verdict
from domain.deciding import Person
from domain.ledger import Order
from domain.principals import ANYONE, Principal
from domain.runs import Run

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def run(name: str, *, thread: str = "thr_1", owner: str = "ann", at: datetime = NOON, **more: Any) -> Run:
    return Run(
        run_id=name,
        thread_id=thread,
        owner=owner,
        user_id=1,
        session_id="s1",
        message="hello",
        created_at=at,
        updated_at=at,
        **more,
    )


def action(name: str) -> Action:
    return Action(
        action_id=name,
        service="shop",
        operation="refund",
        method="POST",
        url="http://shop/refunds",
        arguments='{"amount":1.10}',
        digest=name,
        effect="write",
        step=1,
    )


def order(name: str, *, run_id: str = "run_1", approval_id: str | None = None, requester: str = "ann/1") -> Order:
    return Order(action=action(name), run_id=run_id, requester=requester, approval_id=approval_id)


def result(name: str, **more: Any) -> Result:
    return Result(**{"action_id": name, "outcome": "executed", "http_status": 200, "body": '{"ok":true}', **more})


def request(
    name: str, *, run_id: str = "run_1", owner: str = "ann", at: datetime = NOON, lasts: float = 60, **more: Any
) -> Approval:
    return Approval(
        request_id=name,
        orchestration_id=run_id,
        thread_id="thr_1",
        owner=owner,
        requester=f"{owner}/1",
        approval_type="financial",
        proposed_action="refund",
        action=action("act_1"),
        risk_level="high",
        risk_score=0.75,
        policy_rule="money-asks",
        policy_version="1",
        reason="Money leaves the company.",
        created_at=at,
        expires_at=at + timedelta(seconds=lasts),
        **more,
    )


def verdict(*, approved: bool = True, approver_id: int = 1, at: datetime = NOON, by: str = "bob") -> Verdict:
    return Verdict(approved=approved, approver_id=approver_id, decided_by=by, decided_at=at)


def person(number: int, *groups: str, key: str = "", vouched: bool = False) -> Person:
    """Return somebody who decides; without a name for the key, a caller of a server without keys."""
    if not key:
        return Person(principal=ANYONE, approver_id=number)
    principal = Principal(
        name=key, roles=frozenset({"approver"}), groups=frozenset(groups), approver_id=number if vouched else None
    )
    return Person(principal=principal, approver_id=number)
