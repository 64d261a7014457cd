"""Policy: rules as data that say for an action whether it runs, asks a human, or is denied."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.actions import Action, Frozen, Reversibility
from domain.canonical import digest

type Effect = Literal["run", "ask", "deny"]
type RiskLevel = Literal["low", "medium", "high", "critical"]
type OnExpiry = Literal["reject", "escalate", "cancel"]
type Seconds = Annotated[int, Field(ge=1, le=31_536_000)]
type Groups = tuple[Annotated[str, Field(min_length=1, max_length=128)], ...]

DAY: Seconds = 86_400


class Match(Frozen):
    """What a rule looks at; every given member must fit, and shell patterns (`*`, `?`) are allowed in the names."""

    service: str = "*"
    operation: str = "*"
    method: str = "*"
    effect: Literal["read", "write", "*"] = "*"
    reversibility: Reversibility | Literal["*"] = "*"
    requester: str = "*"

    def fits(self, action: Action, *, requester: str) -> bool:
        """Return whether the action falls under this match."""
        return (
            fnmatchcase(action.service, self.service)
            and fnmatchcase(action.operation, self.operation)
            and fnmatchcase(action.method, self.method.upper())
            and self.effect in ("*", action.effect)
            and self.reversibility in ("*", action.reversibility)
            and fnmatchcase(requester, self.requester)
        )


class Rule(Frozen):
    """One ordered rule; the first that fits decides.

    Args:
        approval_type: A word approvers filter by, such as `financial`.
        risk_score: From 0 (harmless) to 1.
        reason: Shown to the user when the rule denies, and to the approver when it asks.
        quorum: How many different approvers have to say yes.
        groups: Who may decide: members of any of these; of none given, every approver.
        requester_may_approve: Whether the one who asked may be among those who decide.
        expires_in_seconds: How long humans have to decide.
        execute_within_seconds: How long an approved action may wait to be sent.
        on_expiry: What happens when nobody decided in time; `escalate` asks `escalate_to` in a second round first.
        remind_after_seconds: When those who may decide are reminded, counted from the request.
    """

    name: str = Field(min_length=1)
    when: Match = Match()
    then: Effect
    approval_type: str = "action"
    risk_level: RiskLevel = "medium"
    risk_score: float = Field(default=0.5, ge=0, le=1)
    reason: str = ""
    quorum: int = Field(default=1, ge=1, le=20)
    groups: Groups = ()
    requester_may_approve: bool = True
    expires_in_seconds: Seconds = DAY
    execute_within_seconds: Seconds = DAY
    on_expiry: OnExpiry = "reject"
    escalate_to: Groups = ()
    remind_after_seconds: tuple[Seconds, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if (self.on_expiry == "escalate") != bool(self.escalate_to):
            raise ValueError("on_expiry: escalate and escalate_to go together")
        if any(seconds >= self.expires_in_seconds for seconds in self.remind_after_seconds):
            raise ValueError("remind_after_seconds: a reminder would come after the request's end")
        return self


class Policy(Frozen):
    """An ordered list of rules; what no rule fits is denied."""

    rules: tuple[Rule, ...] = Field(min_length=1)

    @property
    def version(self) -> str:
        """The hash of the rules, so that a decision can name what it was made under."""
        return digest(self.model_dump(mode="json"))[:16]

    def judge(self, action: Action, *, requester: str) -> Rule:
        """Return the first rule that fits the action, or a denial.

        Args:
            requester: Who asked, as in the action's digest: `principal/user`.
        """
        return next((rule for rule in self.rules if rule.when.fits(action, requester=requester)), NOTHING_FITS)

    def without_humans(self) -> "Policy":
        """Return this policy for a server without approvals: what would ask is denied."""
        reason = "It needs a human's approval, and approvals are switched off (ENABLE_HITL=false)."
        denied = tuple(
            rule.model_copy(update={"then": "deny", "reason": reason}) if rule.then == "ask" else rule
            for rule in self.rules
        )
        return Policy(rules=denied)


NOTHING_FITS = Rule(name="nothing-fits", then="deny", risk_level="high", reason="No policy rule allows this action.")


@dataclass(frozen=True)
class Standing:
    """A policy that stays as it is while the process lives."""

    policy: Policy

    def current(self) -> Policy:
        """Return the policy in force."""
        return self.policy
