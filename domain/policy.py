"""Policy: rules as data that say for an action whether it runs, asks a human, or is denied."""

from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field

from domain.actions import Action, Frozen
from domain.canonical import digest

type Effect = Literal["run", "ask", "deny"]
type RiskLevel = Literal["low", "medium", "high", "critical"]


class Match(Frozen):
    """What a rule looks at; every given member must fit, and shell patterns (`*`, `?`) are allowed in the names."""

    service: str = "*"
    operation: str = "*"
    method: str = "*"
    effect: Literal["read", "write", "*"] = "*"

    def fits(self, action: Action) -> bool:
        """Return whether the action falls under this match."""
        return (
            fnmatchcase(action.service, self.service)
            and fnmatchcase(action.operation, self.operation)
            and fnmatchcase(action.method, self.method.upper())
            and self.effect in ("*", action.effect)
        )


class Rule(Frozen):
    """One ordered rule; the first that fits decides.

    Args:
        approval_type: A word approvers filter by, such as `financial`.
        risk_score: From 0 (harmless) to 1.
        expires_in_seconds: How long humans have to decide.
        reason: Shown to the user when the rule denies, and to the approver when it asks.
    """

    name: str = Field(min_length=1)
    when: Match = Match()
    then: Effect
    approval_type: str = "action"
    risk_level: RiskLevel = "medium"
    risk_score: float = Field(default=0.5, ge=0, le=1)
    expires_in_seconds: int = Field(default=86_400, ge=1, le=31_536_000)
    reason: str = ""


class Policy(Frozen):
    """An ordered list of rules; what no rule fits is denied."""

    rules: tuple[Rule, ...] = Field(min_length=1)

    @property
    def version(self) -> str:
        """The hash of the rules, so that a decision can name what it was made under."""
        return digest(self.model_dump(mode="json"))[:16]

    def judge(self, action: Action) -> Rule:
        """Return the first rule that fits the action, or a denial."""
        return next((rule for rule in self.rules if rule.when.fits(action)), NOTHING_FITS)

    def without_humans(self) -> "Policy":
        """Return this policy for a server without approvals: what would ask is denied."""
        reason = "It needs a human's approval, and approvals are switched off (ENABLE_HITL=false)."
        denied = tuple(
            rule.model_copy(update={"then": "deny", "reason": reason}) if rule.then == "ask" else rule
            for rule in self.rules
        )
        return Policy(rules=denied)


NOTHING_FITS = Rule(name="nothing-fits", then="deny", risk_level="high", reason="No policy rule allows this action.")
