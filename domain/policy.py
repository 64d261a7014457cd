"""Policy: rules as data that say for an action whether it runs, asks a human, or is denied, and how risky it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from domain.actions import Action, Frozen
from domain.canonical import digest, parsed
from domain.conditions import Condition, Undecided, compiled
from domain.errors import InvalidInput, InvalidPolicy

type Effect = Literal["run", "ask", "deny"]
type RiskLevel = Literal["low", "medium", "high", "critical"]
type OnExpiry = Literal["reject", "escalate", "cancel"]
type Seconds = Annotated[int, Field(ge=1, le=31_536_000)]
type Groups = tuple[Annotated[str, Field(min_length=1, max_length=128)], ...]

DAY: Seconds = 86_400
MOST_PROBLEMS = 20
SEVERITY: dict[Effect, int] = {"run": 0, "ask": 1, "deny": 2}
LEVELS: tuple[tuple[RiskLevel, float], ...] = (("low", 0.0), ("medium", 0.3), ("high", 0.6), ("critical", 0.9))
"""From which score on a raised risk has which level; `risk_of` never lowers the level a rule gives."""


class Match(Frozen):
    """What a rule looks at; every given member must fit, and shell patterns (`*`, `?`) are allowed in the names.

    Args:
        requester: A pattern for who asks, `principal/user`.
        origin: Fits where the value of any argument came from there.
        condition: A question in CEL about `args`, `origins` and the action's other members, see `domain.conditions`.
    """

    service: str = "*"
    operation: str = "*"
    method: str = "*"
    effect: Literal["read", "write", "*"] = "*"
    reversibility: Literal["read", "reversible", "irreversible", "*"] = "*"
    requester: str = "*"
    origin: Literal["user", "service", "retrieved", "model", "*"] = "*"
    condition: str | None = Field(default=None, min_length=1, max_length=2_000)

    _condition: Condition | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        if self.condition is not None:
            try:
                self._condition = compiled(self.condition)
            except InvalidInput as error:
                raise ValueError(error.detail) from error
        return self

    def fits(self, action: Action, *, requester: str) -> bool:
        """Return whether the action falls under this match; raises `Undecided` where its condition cannot tell."""
        return (
            fnmatchcase(action.service, self.service)
            and fnmatchcase(action.operation, self.operation)
            and fnmatchcase(action.method, self.method.upper())
            and self.effect in ("*", action.effect)
            and self.reversibility in ("*", action.reversibility)
            and fnmatchcase(requester, self.requester)
            and (self.origin == "*" or self.origin in action.origins.values())
            and (self._condition is None or self._condition.holds(_asked_about(action, requester)))
        )


def _asked_about(action: Action, requester: str) -> dict[str, object]:
    """Return what a condition can ask about; `domain.conditions.NAMES` lists it."""
    return {
        "args": parsed(action.arguments),
        "origins": action.origins,
        "requester": requester,
        "service": action.service,
        "operation": action.operation,
        "method": action.method,
        "effect": action.effect,
        "reversibility": action.reversibility,
    }


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

    name: str = Field(min_length=1, max_length=128)
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


class Raise(Frozen):
    """What makes an action riskier than its rule says; every one that fits counts.

    Args:
        add: What is added to the rule's score; the sum stays at 1.
        then: What the action becomes at least, whatever its rule says.
    """

    name: str = Field(min_length=1, max_length=128)
    when: Match
    add: float = Field(default=0.0, ge=0, le=1)
    then: Literal["ask", "deny"] | None = None
    reason: str = ""


class Policy(Frozen):
    """An ordered list of rules, what no rule fits is denied; and what raises the risk of whatever a rule says."""

    rules: tuple[Rule, ...] = Field(min_length=1, max_length=1_000)
    raised_by: tuple[Raise, ...] = Field(default=(), max_length=1_000)

    @model_validator(mode="after")
    def _has_one_of_each_name(self) -> Self:
        names = [NOTHING_FITS.name, *(rule.name for rule in self.rules), *(each.name for each in self.raised_by)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two rules are called {twice}" if twice != names[0] else f"{twice} is a name of our own")
        return self

    @cached_property
    def version(self) -> str:
        """The hash of the rules, so that a decision can name what it was made under."""
        return digest(self.model_dump(mode="json"))[:16]

    def judge(self, action: Action, *, requester: str) -> Rule:
        """Return the rule for an action, with the risk as it is here and the reasons why; a denial where none fits.

        It is the first that fits. A rule whose condition cannot be decided never lets an action run: if it asks or
        denies, the strictest of it and what would fit without it counts.

        Args:
            requester: Who asked, as in the action's digest: `principal/user`.
        """
        candidates = list(_fitting(self.rules, action, requester)) or [NOTHING_FITS]
        strictest = max(candidates, key=lambda rule: (SEVERITY[rule.then], rule.quorum))
        return _raised(strictest, [each for each in self.raised_by if _raises(each, action, requester)], action)

    def without_humans(self) -> "Policy":
        """Return this policy for a server without approvals: what would ask is denied."""
        denied = {"then": "deny", "reason": NOBODY}
        return Policy(
            rules=tuple(rule.model_copy(update=denied) if rule.then == "ask" else rule for rule in self.rules),
            raised_by=tuple(each.model_copy(update=denied) if each.then == "ask" else each for each in self.raised_by),
        )


NOTHING_FITS = Rule(name="nothing-fits", then="deny", risk_level="high", reason="No policy rule allows this action.")
NOBODY = "It needs a human's approval, and approvals are switched off (ENABLE_HITL=false)."


def _fitting(rules: tuple[Rule, ...], action: Action, requester: str) -> Iterator[Rule]:
    """Yield the first rule that fits, and before it those that ask or deny and whose condition cannot be decided."""
    for rule in rules:
        try:
            if rule.when.fits(action, requester=requester):
                yield rule
                return
        except Undecided as why:
            if rule.then != "run":
                doubt = f"Its condition cannot be decided: {why}."
                yield rule.model_copy(update={"reason": f"{rule.reason} {doubt}".strip()})


def _raises(each: Raise, action: Action, requester: str) -> bool:
    try:
        return each.when.fits(action, requester=requester)
    except Undecided:
        return True


def _raised(rule: Rule, raises: list[Raise], action: Action) -> Rule:
    """Return a rule with everything that raises its risk; the same rule where nothing does."""
    if not raises:
        return rule
    score = min(1.0, round(rule.risk_score + sum(each.add for each in raises), 4))
    effects: list[Effect] = [rule.then, *(each.then for each in raises if each.then)]
    words = [rule.reason, *(_told(each, action) for each in raises)]
    return rule.model_copy(
        update={
            "then": max(effects, key=SEVERITY.__getitem__),
            "risk_score": score,
            "risk_level": risk_of(score, at_least=rule.risk_level),
            "reason": " ".join(word for word in words if word),
        }
    )


def _told(each: Raise, action: Action) -> str:
    """Return a raise's reason with the arguments it is about."""
    names = [name for name, origin in action.origins.items() if origin == each.when.origin]
    return f"{each.reason or each.name} ({', '.join(names)})" if names else each.reason or each.name


def risk_of(score: float, *, at_least: RiskLevel = "low") -> RiskLevel:
    """Return the level of a score from 0 to 1."""
    names = [level for level, _ in LEVELS]
    reached = [level for level, least in LEVELS if score >= least]
    return max(reached[-1], at_least, key=names.index)


def read_policy(document: object) -> Policy:
    """Return the policy of a document, or raise `InvalidPolicy` that names rule and place: a part of one is none."""
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False)[:MOST_PROBLEMS]
        told = [
            each for each in found if each["type"] != "too_short"
        ] or found  # a refused rule leaves a list too short
        problems = [_problem(each["loc"], each["msg"], document) for each in told]
        first = problems[0]
        named = f"rule {first['rule']}: " if first["rule"] else ""
        detail = f"{named}{first['place'] or 'the policy'}: {first['reason']}."
        raise InvalidPolicy(detail, problems=problems) from error


def _problem(loc: tuple[int | str, ...], message: str, document: Any) -> dict[str, str | None]:
    rule = None
    if len(loc) > 1 and isinstance(loc[1], int):
        entry = document[loc[0]][loc[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        rule = name[:128] if isinstance(name, str) else f"number {loc[1] + 1}"
    reason = message.removeprefix("Value error, ").rstrip(".")
    return {"place": ".".join(str(part) for part in loc), "rule": rule, "reason": reason}


@dataclass(frozen=True)
class Standing:
    """A policy that stays as it is while the process lives."""

    policy: Policy

    def current(self) -> Policy:
        """Return the policy in force."""
        return self.policy
