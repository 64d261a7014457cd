"""Decisions: what humans do with a request, each one atomic step on its record; the run behind it goes on by itself."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from checkpoints.approvals import Approvals
from domain.actions import Action
from domain.amending import amended, decided
from domain.approvals import Approval, Verdict
from domain.canonical import JSON, canonical, digest
from domain.deciding import Person, delegated
from domain.errors import InvalidInput, KeyReused
from domain.policy import RiskLevel
from domain.ports import Policies, Toolbox
from domain.principals import Principal
from graph.runs import Orchestrations

EXTERNAL = "external"
"""The service and the policy rule that requests of other systems name."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What somebody said about a request.

    Args:
        edited_arguments: What the action is to be sent with instead.
        digest: Of the action as the human saw it.
    """

    approver_id: int
    approved: bool
    approval_notes: str = ""
    edited_arguments: dict[str, JSON] | None = None
    digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What another system asks humans about.

    Args:
        proposed_action: Words, or an object, exactly as they are shown and digested.
        idempotency_key: The same key with the same request asks once.
    """

    orchestration_id: str
    approval_type: str
    proposed_action: JSON
    risk_level: RiskLevel
    risk_score: float
    requester_id: str
    expires_in_seconds: int
    context: dict[str, JSON] = field(default_factory=dict)
    quorum: int = 1
    groups: tuple[str, ...] = ()
    requester_may_approve: bool = True
    idempotency_key: str | None = None


ASKED = (
    "risk_level",
    "risk_score",
    "quorum",
    "groups",
    "requester_may_approve",
    "expires_in_seconds",
    "context",
)
"""What belongs to another system's request beside its action: all of it that no later step changes."""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Where humans and other systems meet the records.

    Args:
        people: Everybody there is a key for; none where the server is open to everybody.
    """

    approvals: Approvals
    orchestrations: Orchestrations
    toolbox: Toolbox
    policies: Policies
    clock: Callable[[], datetime]
    people: tuple[Principal, ...] = ()

    async def decide(self, request_id: str, said: Said, *, by: Principal) -> tuple[Approval, Verdict]:
        """Record a verdict, after an edit where one comes with it, and return the record and the verdict.

        Raises `NotFound`, `NotEligible`, `DigestChanged`, `AlreadyDecided`, and with an edit what `edit` raises.
        """
        if said.edited_arguments is not None and not said.approved:
            raise InvalidInput("A rejection cannot carry edited arguments: approve them, or reject the action.")
        who, now = Person(principal=by, approver_id=said.approver_id), self.clock()
        verdict = Verdict(
            approved=said.approved,
            approver_id=said.approver_id,
            approval_notes=said.approval_notes,
            decided_by=by.name,
            decided_at=now,
        )

        change = partial(
            decided,
            verdict=verdict,
            arguments=said.edited_arguments,
            who=who,
            seen=said.digest,
            toolbox=self.toolbox,
            policy=self.policies.current(),
        )
        record = await self.approvals.change(request_id, change, owner=by.sees("approver"))
        self._wake(record)
        return record, verdict

    async def edit(
        self, request_id: str, arguments: dict[str, JSON], *, approver_id: int, seen: str | None, by: Principal
    ) -> Approval:
        """Put other arguments into a pending action; nobody's vote survives that. The same edit again changes nothing.

        Raises `NotFound`, `InvalidArguments` where they do not fit the operation, `EditDenied` where policy denies it,
        `NotEligible`, `DigestChanged`, `AlreadyDecided` and `Conflict`.
        """
        who, now = Person(principal=by, approver_id=approver_id), self.clock()
        change = partial(
            amended,
            arguments=arguments,
            who=who,
            seen=seen,
            at=now,
            toolbox=self.toolbox,
            policy=self.policies.current(),
        )
        return await self.approvals.change(request_id, change, owner=by.sees("approver"))

    async def delegate(self, request_id: str, to: str, *, approver_id: int, note: str, by: Principal) -> Approval:
        """Hand a decision on; raises `NotFound`, `NotEligible`, `AlreadyDecided` and `Conflict`.

        Args:
            to: `group:NAME` or `approver:NUMBER`.
        """
        who = Person(principal=by, approver_id=approver_id)
        change = partial(delegated, to=to, who=who, note=note, at=self.clock(), people=self.people)
        return await self.approvals.change(request_id, change, owner=by.sees("approver"))

    async def request(self, wanted: Wanted, *, by: Principal) -> Approval:
        """Ask humans on behalf of another system, and return the record; raises `KeyReused`."""
        request = _external(wanted, by=by, now=self.clock())
        record = await self.approvals.ask(request)
        differs = [name for name in ASKED if getattr(record, name) != getattr(request, name)]
        if differs or record.proposed_digest != request.proposed_digest:
            raise KeyReused("This Idempotency-Key came with another request before.")
        return record

    def _wake(self, record: Approval) -> None:
        if record.kind == "graph" and record.state != "pending":
            self.orchestrations.wake(record.orchestration_id)


def _external(wanted: Wanted, *, by: Principal, now: datetime) -> Approval:
    proposed = wanted.proposed_action
    asked: dict[str, Any] = {
        "orchestration_id": wanted.orchestration_id,
        "approval_type": wanted.approval_type,
        "proposed_action": proposed,
        "requester": f"{by.name}/{wanted.requester_id}",
    }
    action = Action(
        action_id=f"ext_{digest(asked)[:24]}",
        service=EXTERNAL,
        operation=wanted.approval_type,
        method="",
        url="",
        arguments=canonical(proposed if isinstance(proposed, dict) else {"proposed_action": proposed}),
        digest=digest(asked),
        effect="write",
        step=0,
    )
    key = wanted.idempotency_key
    name = digest({"principal": by.name, "key": key})[:32] if key else secrets.token_hex(16)
    return Approval(
        request_id=f"apr_{name}",
        orchestration_id=wanted.orchestration_id,
        thread_id="",
        owner=by.name,
        requester=asked["requester"],
        kind="external",
        approval_type=wanted.approval_type,
        proposed_action=proposed if isinstance(proposed, str) else canonical(proposed),
        action=action,
        risk_level=wanted.risk_level,
        risk_score=wanted.risk_score,
        policy_rule=EXTERNAL,
        policy_version="",
        reason="",
        quorum=wanted.quorum,
        groups=wanted.groups,
        requester_may_approve=wanted.requester_may_approve,
        expires_in_seconds=wanted.expires_in_seconds,
        context=wanted.context,
        created_at=now,
        expires_at=now + timedelta(seconds=wanted.expires_in_seconds),
    )
