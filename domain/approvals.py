"""Approvals: requests to humans about one action, and the states they pass through.

pending -> approved | rejected | expired | cancelled
approved -> claimed -> executed | failed | unknown
"""

from datetime import datetime
from typing import Any, Literal

from domain.actions import Action, Frozen
from domain.canonical import digest, parsed
from domain.policy import RiskLevel

type ApprovalState = Literal[
    "pending", "approved", "rejected", "expired", "cancelled", "claimed", "executed", "failed", "unknown"
]

RELEASED: tuple[ApprovalState, ...] = ("approved", "claimed", "executed", "failed", "unknown")
"""States in which a human said yes."""


class Verdict(Frozen):
    """What a human said.

    Args:
        approver_id: The number the caller gives for the person.
        decided_by: The principal whose key the decision came with.
    """

    approved: bool
    approver_id: int
    approval_notes: str = ""
    decided_by: str
    decided_at: datetime

    def agrees_with(self, other: "Verdict") -> bool:
        """Return whether the same person said the same thing, whenever that was."""
        return (self.approved, self.approver_id, self.decided_by) == (
            other.approved,
            other.approver_id,
            other.decided_by,
        )


class Approval(Frozen):
    """One request to humans.

    Args:
        proposed_action: One line for people, made from the frozen action, never from a model's words.
        action: The frozen action whose arguments the human releases; byte for byte what is sent.
        owner: The principal whose thread asked.
        requester: Who asked, as in the action's digest: `principal/user`.
    """

    request_id: str
    orchestration_id: str
    thread_id: str
    owner: str
    requester: str
    approval_type: str
    proposed_action: str
    action: Action
    risk_level: RiskLevel
    risk_score: float
    policy_rule: str
    policy_version: str
    reason: str
    state: ApprovalState = "pending"
    created_at: datetime
    expires_at: datetime
    verdict: Verdict | None = None

    def shown(self) -> dict[str, Any]:
        """Return the record as people and programs see it: JSON, with the canonical arguments in full."""
        record = self.model_dump(mode="json", exclude={"owner"})
        record["arguments"] = parsed(self.action.arguments)
        return record

    def decided(self) -> dict[str, Any]:
        """Return the record as the decision left it, whatever has come of the action since: the same at every call."""
        said_yes = self.verdict is not None and self.verdict.approved
        return {**self.shown(), "state": "approved" if said_yes else "rejected"}


def request_id_of(*, run_id: str, action: Action) -> str:
    """Return the approval's id: the same for the same action of the same run, so that asking twice asks once."""
    return "apr_" + digest({"run": run_id, "action": action.action_id, "digest": action.digest})[:32]


def one_line(action: Action) -> str:
    """Return the action for people, in one line: what, where, and with exactly which arguments."""
    return f"{action.service}.{action.operation} {action.method} {action.url} {action.arguments}"
