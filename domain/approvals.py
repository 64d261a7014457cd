"""Approvals: requests to humans about one action, and the states they pass through.

pending -> approved | rejected | expired | cancelled | superseded
approved -> claimed -> executed | failed | unknown
approved -> cancelled | execution_expired

`domain.deciding` holds the transitions.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from domain.actions import Action, Frozen
from domain.canonical import digest, parsed
from domain.policy import DAY, Groups, OnExpiry, RiskLevel

type ApprovalState = Literal[
    "pending",
    "approved",
    "rejected",
    "expired",
    "cancelled",
    "superseded",
    "claimed",
    "executed",
    "failed",
    "unknown",
    "execution_expired",
]
type Happening = Literal[
    "voted",
    "edited",
    "delegated",
    "escalated",
    "reminded",
    "decided",
    "expired",
    "cancelled",
    "superseded",
    "execution_expired",
]

RELEASED: tuple[ApprovalState, ...] = ("approved", "claimed", "executed", "failed", "unknown")
"""States in which a human said yes, and the yes still stands."""

OVER: tuple[ApprovalState, ...] = ("expired", "cancelled", "superseded", "execution_expired")
"""States that no human's word led to, though there may have been one."""

ENDS = {
    "expired": "Nobody decided in time.",
    "execution_expired": "It was approved, and not sent in time.",
    "superseded": "Another action has taken its place.",
}
"""What is said of a request that no human's word ended."""

NOBODY = "server"
"""Who did what nobody did, such as letting a request expire."""


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


class Vote(Verdict):
    """One person's verdict on what the request held then.

    Args:
        digest: Of the action voted on; an edit makes another, and takes every vote with it.
    """

    digest: str


class Step(Frozen):
    """Something that happened to a request, as it is remembered for good.

    Args:
        by: The principal, or `server`.
        approver_id: The person, where there was one.
        digest: Of the action as it was after the step; empty where nobody looked at it.
        said: What belongs to the step: the verdict and notes of a vote, the arguments of an edit, whom it went to.
    """

    what: Happening
    at: datetime
    by: str
    approver_id: int | None = None
    digest: str = ""
    said: dict[str, Any] = Field(default_factory=dict)


class ServiceHealth(Frozen):
    """What the control plane knows of the service an action goes to.

    Args:
        breaker: The state of its circuit breaker; while it is open nothing is sent.
        detail: One sentence: what is wrong; empty where nothing is.
    """

    service: str
    status: Literal["healthy", "unhealthy"]
    breaker: str
    detail: str
    checked_at: datetime


class Approval(Frozen):
    """One request to humans.

    Args:
        proposed_action: One line for people, made from the frozen action, never from a model's words.
        action: The frozen action whose arguments the human releases; byte for byte what is sent.
        owner: The principal whose thread asked.
        requester: Who asked, as in the action's digest: `principal/user`.
        kind: `graph` for the agent's own actions, `external` for what another system asks about.
        quorum: How many different people have to say yes to the present action.
        groups: Whose members decide; of none given, every approver.
        delegates: Who decides beside them, because somebody who may decide asked for it: `group:…` or `approver:…`.
        delegators: The people who gave their vote away, by every name `domain.deciding.names` knows them by.
        delegated_to: The last of the delegates.
        votes: The verdicts on the present action, in the order given.
        revision: How often the action was edited.
        original_digest: Of the action as it was first proposed; empty while nobody has edited it.
        round: 1, and one more with every escalation.
        execute_by: When the yes is over, if nothing was sent by then; known once there is one.
        seconds_to_decide: From the request to the verdict.
        remind_at: When those who may decide are reminded next.
        context: What another system sent along.
        service_health: What the control plane knew when it asked.
        model_words: What the model said when it proposed the action. Nothing in it is checked.
        trail: What happened so far.
        version: Grows with every change: a change counts only on the version it was made from.
    """

    request_id: str
    orchestration_id: str
    thread_id: str
    owner: str
    requester: str
    kind: Literal["graph", "external"] = "graph"
    approval_type: str
    proposed_action: str
    action: Action
    risk_level: RiskLevel
    risk_score: float
    policy_rule: str
    policy_version: str
    reason: str
    quorum: int = 1
    groups: Groups = ()
    requester_may_approve: bool = True
    on_expiry: OnExpiry = "reject"
    escalate_to: Groups = ()
    remind_after_seconds: tuple[int, ...] = ()
    expires_in_seconds: int | None = None
    execute_within_seconds: int = DAY
    delegates: tuple[str, ...] = ()
    delegators: tuple[str, ...] = ()
    delegated_to: str | None = None
    votes: tuple[Vote, ...] = ()
    revision: int = 0
    original_digest: str = ""
    round: int = 1
    state: ApprovalState = "pending"
    created_at: datetime
    expires_at: datetime
    execute_by: datetime | None = None
    decided_at: datetime | None = None
    seconds_to_decide: float | None = None
    remind_at: datetime | None = None
    verdict: Verdict | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    service_health: ServiceHealth | None = None
    model_words: str = ""
    trail: tuple[Step, ...] = ()
    version: int = 0

    @property
    def ends_run(self) -> bool:
        """Whether the run ends with it, because nobody decided and the rule says so."""
        return self.state == "expired" and self.on_expiry == "cancel" and self.kind == "graph"

    @property
    def proposed_digest(self) -> str:
        """Of the action as it was first proposed."""
        return self.original_digest or self.action.digest

    @property
    def digests(self) -> set[str]:
        """What a human can have seen of the action: as it is, and as it was before it was edited."""
        seen = (self.proposed_digest, *(step.digest for step in self.trail), *(vote.digest for vote in self.votes))
        return {self.action.digest, *seen} - {""}

    @property
    def message(self) -> str:
        """What is to be said of it: how it ended, the words of whoever decided, or why it asks."""
        if self.state in ENDS:
            return ENDS[self.state]
        return self.verdict.approval_notes if self.verdict else self.reason

    @property
    def user_id(self) -> str:
        """The number of the user who asked, as text."""
        return self.requester.rpartition("/")[2]

    def shown(self) -> dict[str, Any]:
        """Return the record as people and programs see it: JSON, with the canonical arguments in full."""
        record = self.model_dump(mode="json", exclude=HIDDEN)
        record["arguments"] = parsed(self.action.arguments)
        record["digest"] = self.action.digest
        return record

    def history(self) -> list[dict[str, Any]]:
        """Return what happened so far, as JSON."""
        return [step.model_dump(mode="json") for step in self.trail]

    def decided(self) -> dict[str, Any]:
        """Return the record as the decision left it, whatever has come of the action since: the same at every call."""
        said_yes = self.verdict is not None and self.verdict.approved
        return {**self.shown(), "state": "approved" if said_yes else "rejected"}

    def as_left_by(self, verdict: Verdict) -> dict[str, Any]:
        """Return the record as this person's vote left it, whatever others have said since."""
        if self.verdict is not None and self.verdict.agrees_with(verdict):
            return self.decided()
        place = next(number for number, vote in enumerate(self.votes, 1) if vote.agrees_with(verdict))
        then = {"votes": self.votes[:place], "state": "pending", **UNDECIDED}
        return self.model_copy(update=then).shown()


HIDDEN = {"owner", "version", "expires_in_seconds", "delegators", "trail", "remind_at"}
"""What a record holds for the server alone, or shows elsewhere."""

UNDECIDED: dict[str, None] = dict.fromkeys(("verdict", "execute_by", "decided_at", "seconds_to_decide"))
"""What only a decision fills in."""


def request_id_of(*, run_id: str, action: Action) -> str:
    """Return the approval's id: the same for the same action of the same run, so that asking twice asks once."""
    return "apr_" + digest({"run": run_id, "action": action.action_id, "digest": action.digest})[:32]


def one_line(action: Action) -> str:
    """Return the action for people, in one line: what, where, and with exactly which arguments."""
    return f"{action.service}.{action.operation} {action.method} {action.url} {action.arguments}"
