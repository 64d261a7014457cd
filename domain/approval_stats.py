"""What the approvals of a time say about the policy: how many, how fast, and which rules ask for nothing."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain.actions import Frozen

NOISE_APPROVALS = 26
"""So many yeses without a no say, with 95 % confidence, that fewer than 11 % are ever a no: 0.89^26 = 0.05."""


class Counted(Frozen):
    """How many requests are alike."""

    state: str
    approval_type: str
    risk_level: str
    policy_rule: str
    approved: bool | None
    count: int


class RuleStats(Frozen):
    """How the requests of one rule were decided.

    Args:
        edited: Of those approved or rejected, how many had been edited before.
        noise: Whether humans only ever said yes, `NOISE_APPROVALS` times or more: the rule may as well let them run.
    """

    policy_rule: str
    asked: int
    approved: int
    edited: int
    rejected: int
    expired: int
    approve_rate: float | None
    edit_rate: float | None
    reject_rate: float | None
    noise: bool


class Stats(Frozen):
    """Requests since a moment.

    Args:
        seconds_to_decide: The median and the 95th percentile.
        expiry_rate: Of those that were decided or expired, the share that expired.
    """

    since: datetime
    total: int
    by_state: dict[str, int]
    by_type: dict[str, int]
    by_risk: dict[str, int]
    seconds_to_decide: dict[str, float | None]
    expiry_rate: float | None
    rules: tuple[RuleStats, ...]

    def shown(self) -> dict[str, Any]:
        """Return it as JSON."""
        return self.model_dump(mode="json")


def stats_of(
    counted: Sequence[Counted], edited: Sequence[Counted], *, since: datetime, p50: float | None, p95: float | None
) -> Stats:
    """Return the statistics of requests counted by likeness.

    Args:
        edited: The same, of those that were edited.
    """
    decided = sum(each.count for each in counted if each.approved is not None)
    expired = sum(each.count for each in counted if each.state == "expired")
    rules = sorted({each.policy_rule for each in counted})
    return Stats(
        since=since,
        total=sum(each.count for each in counted),
        by_state=_by("state", counted),
        by_type=_by("approval_type", counted),
        by_risk=_by("risk_level", counted),
        seconds_to_decide={"p50": p50, "p95": p95},
        expiry_rate=_rate(expired, decided + expired),
        rules=tuple(_rule(name, counted, edited) for name in rules),
    )


def _rule(name: str, counted: Sequence[Counted], edited: Sequence[Counted]) -> RuleStats:
    of_rule = [each for each in counted if each.policy_rule == name]
    approved = sum(each.count for each in of_rule if each.approved)
    rejected = sum(each.count for each in of_rule if each.approved is False)
    changed = sum(each.count for each in edited if each.policy_rule == name and each.approved is not None)
    return RuleStats(
        policy_rule=name,
        asked=sum(each.count for each in of_rule),
        approved=approved,
        edited=changed,
        rejected=rejected,
        expired=sum(each.count for each in of_rule if each.state == "expired"),
        approve_rate=_rate(approved, approved + rejected),
        edit_rate=_rate(changed, approved + rejected),
        reject_rate=_rate(rejected, approved + rejected),
        noise=approved >= NOISE_APPROVALS and not rejected,
    )


def _by(field: str, counted: Sequence[Counted]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for each in counted:
        counts[getattr(each, field)] += each.count
    return dict(sorted(counts.items()))


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
