"""The ledger's words: an action that may be sent, the hold on sending it, and the record of what came of it.

waiting -> intent            its service is asked again, or a human ordered it sent once more
intent -> waiting            its service is not to be reached: nothing was sent, or its word on what was is waited for
intent -> executed | failed | unknown
waiting, intent -> denied    the policy or the clock forbids it by now, and it was not sent
waiting -> cancelled         its run ended before it was sent; unknown, where it may have been
unknown -> executed | failed | waiting      a human, or the service's own records, say what happened
"""

from datetime import datetime
from typing import Any, Literal

from domain.actions import Action, Frozen, Result
from domain.canonical import parsed

type EntryState = Literal["waiting", "intent", "executed", "failed", "unknown", "denied", "cancelled"]
type Finding = Literal["happened", "did_not_happen", "retry"]
type Evidence = Literal["answer", "resend", "lookup", "human", "none"]
"""How an outcome is known: by the service's answer, by its answer to the same key again, by its records, by a human."""


class Order(Frozen):
    """An action that policy, or a human, let go, and for whom.

    Args:
        requester: Who asked, as in the action's digest: `principal/user`.
    """

    action: Action
    run_id: str
    requester: str
    approval_id: str | None = None

    @property
    def entry_id(self) -> str:
        """The entry's id: another action at the same place of a run, planned anew after a loss, has its own."""
        return f"{self.action.action_id}-{self.action.digest[:32]}"

    @property
    def key(self) -> str:
        """The `Idempotency-Key` that the action travels under when it is begun for the first time."""
        return f"{self.approval_id or self.action.action_id}-{self.action.digest[:32]}"


class Hold(Frozen):
    """The right to send one action and to say what came of it; it ends when somebody else takes it over.

    Args:
        holder: A token nobody else has.
        key: The `Idempotency-Key` the action was begun under, whatever approvals or policies say by now.
        may_send: Whether it may be sent outright: nobody can have sent it, or a human ordered it sent once more.
        in_doubt: Whether an earlier send of it may have been applied.
        round: How often somebody has reconciled it before.
        sent_before: How many sends of it, under other holds, may have reached the service.
        result: What came of it, if that is known already.
    """

    entry_id: str
    holder: str
    key: str
    begun_at: datetime
    may_send: bool
    in_doubt: bool
    round: int = 0
    sent_before: int = 0
    result: Result | None = None


class Reconciliation(Frozen):
    """What somebody says about an action whose outcome was unknown.

    Args:
        by: The number the caller gives for the person; None where the service's own records say it.
        decided_by: The principal whose key it came with, or `server`.
    """

    verdict: Finding
    by: int | None
    note: str = ""
    decided_by: str
    decided_at: datetime

    def agrees_with(self, other: "Reconciliation") -> bool:
        """Return whether the same person said the same thing, whenever that was."""
        return (self.verdict, self.by, self.decided_by) == (other.verdict, other.by, other.decided_by)


class Entry(Frozen):
    """One action in the ledger.

    Args:
        owner: The principal whose run it belongs to.
        reason: Why it waits.
        evidence: How its outcome is known.
    """

    entry_id: str
    run_id: str
    owner: str
    requester: str
    approval_id: str | None
    key: str
    action: Action
    state: EntryState
    begun_at: datetime
    finished_at: datetime | None = None
    result: Result | None = None
    evidence: Evidence = "none"
    reason: str = ""
    reconciliations: tuple[Reconciliation, ...] = ()

    @property
    def order(self) -> Order:
        """What was to be sent."""
        return Order(action=self.action, run_id=self.run_id, requester=self.requester, approval_id=self.approval_id)

    def shown(self) -> dict[str, Any]:
        """Return the entry as people and programs see it: JSON."""
        result, action = self.result, self.action
        return {
            "action_id": action.action_id,
            "orchestration_id": self.run_id,
            "requester": self.requester,
            "approval_id": self.approval_id,
            "service": action.service,
            "operation": action.operation,
            "method": action.method,
            "url": action.url,
            "arguments": parsed(action.arguments),
            "digest": action.digest,
            "idempotency_key": self.key,
            "state": self.state,
            "begun_at": self.begun_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "http_status": result.http_status if result else None,
            "duration_ms": round(result.duration_ms, 1) if result else None,
            "result": result.body if result else None,
            "evidence": self.evidence,
            "reason": self.reason,
            "reconciliations": [each.model_dump(mode="json") for each in self.reconciliations],
        }
