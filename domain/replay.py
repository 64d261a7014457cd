"""Replay: what a policy would have said to actions that were proposed before."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.actions import Action
from domain.canonical import JSON, canonical, parsed
from domain.errors import InvalidInput
from domain.policy import Policy, Rule
from domain.runs import Run

COUNTS = {"run": "would_run", "ask": "would_ask", "deny": "would_deny"}


@dataclass(frozen=True)
class Proposed:
    """An action as it was proposed, by whom and when."""

    action: Action
    requester: str
    run_id: str
    at: datetime
    status: str


def proposed_in(run: Run) -> list[Proposed]:
    """Return the actions in a run's reply that a policy can judge: not those that never were actions."""
    listed = (run.reply or {}).get("actions", [])
    found = [(each["status"], _action(each)) for each in listed if each["status"] != "invalid"]
    return [Proposed(action, run.requester, run.run_id, run.created_at, status) for status, action in found if action]


def _action(shown: dict[str, Any]) -> Action | None:
    """Return the action of its entry in a reply, which may be of a time when less was kept."""
    try:
        arguments = canonical(shown["arguments"])
    except InvalidInput:
        return None
    kept = {key: shown[key] for key in ("reversibility", "origins", "effect") if key in shown}
    effect = "read" if shown["method"] in ("GET", "HEAD") else "write"
    same = {key: shown[key] for key in ("action_id", "service", "operation", "method", "url", "digest")}
    return Action.model_validate({**same, "arguments": arguments, "effect": effect, "step": 0, **kept})


@dataclass
class Replay:
    """Two policies over the same actions, and where they differ.

    Args:
        skip: How many differences are left out before the first that is shown.
        show: How many differences are shown.
    """

    proposed: Policy
    in_force: Policy
    skip: int = 0
    show: int = 20
    counts: Counter[str] = field(default_factory=Counter)
    counts_now: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    shown: list[dict[str, JSON]] = field(default_factory=list)
    oldest: datetime | None = None
    newest: datetime | None = None

    @property
    def considered(self) -> int:
        """How many actions were judged."""
        return self.counts.total()

    def judge(self, each: Proposed) -> None:
        """Let both policies judge an action."""
        then = self.proposed.judge(each.action, requester=each.requester)
        now = self.in_force.judge(each.action, requester=each.requester)
        self.counts[then.then] += 1
        self.counts_now[now.then] += 1
        self.rules[then.name] += 1
        self.oldest = min(self.oldest or each.at, each.at)
        self.newest = max(self.newest or each.at, each.at)
        if (then.then, then.quorum, then.groups) != (now.then, now.quorum, now.groups):
            if self.skip <= self.changed < self.skip + self.show:
                self.shown.append(_difference(each, then, now))
            self.changed += 1

    def told(self) -> dict[str, Any]:
        """Return counts, differences, and one sentence that says it all."""
        return {
            "considered": self.considered,
            "oldest": self.oldest.isoformat() if self.oldest else None,
            "newest": self.newest.isoformat() if self.newest else None,
            **_counted(self.counts),
            "proposed": {"version": self.proposed.version, "by_rule": dict(self.rules.most_common())},
            "in_force": {"version": self.in_force.version, **_counted(self.counts_now)},
            "changed": self.changed,
            "changes": self.shown,
            "summary": self.summary(),
        }

    def summary(self) -> str:
        """Return the outcome in one sentence."""
        if not self.considered:
            return "No action has been recorded that could be judged."
        return (
            f"Of {_times(self.considered, 'action')} the proposed policy {_sentence(self.counts)}; "
            f"the one in force {_sentence(self.counts_now)}. {_times(self.changed, 'answer')} would change."
        )


def _counted(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[then] for then, name in COUNTS.items()}


def _sentence(counts: Counter[str]) -> str:
    return f"would have asked {_times(counts['ask'], 'time')}, allowed {counts['run']}, denied {counts['deny']}"


def _times(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _difference(each: Proposed, then: Rule, now: Rule) -> dict[str, JSON]:
    action = each.action
    return {
        "action_id": action.action_id,
        "orchestration_id": each.run_id,
        "at": each.at.isoformat(),
        "requester": each.requester,
        "service": action.service,
        "operation": action.operation,
        "arguments": parsed(action.arguments),
        "origins": dict(action.origins),
        "status": each.status,
        "in_force": _answer(now),
        "proposed": _answer(then),
    }


def _answer(rule: Rule) -> dict[str, JSON]:
    return {
        "then": rule.then,
        "rule": rule.name,
        "risk_level": rule.risk_level,
        "risk_score": rule.risk_score,
        "quorum": rule.quorum,
        "groups": list(rule.groups),
        "reason": rule.reason,
    }
