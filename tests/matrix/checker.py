"""What must hold of every history, whatever was killed: pure rules that yield what breaks them, in sentences."""

from collections import Counter
from collections.abc import Callable, Iterator

from domain.approvals import RELEASED
from tests.downstream_truth import Event
from tests.matrix.history import Acknowledged, Asked, History

type Rule = Callable[[History], Iterator[str]]

NEVER = ("rejected", "expired", "cancelled", "superseded", "execution_expired")
OVER = (*NEVER, "executed", "failed", "unknown")
TURNED_OUT = {"executed": "happened", "failed": "did_not_happen"}
"""What a state is called that an unknown outcome turned out to be."""

KEY_DIGEST = 32
"""How much of an action's digest stands at the end of its idempotency key; `nodes.act` agrees."""


def violations(history: History) -> list[str]:
    """Return what is wrong with a history, in sentences; nothing where everything holds."""
    return [f"{rule.__name__.lstrip('_')}: {sentence}" for rule in RULES for sentence in rule(history)]


def at_most_once(history: History) -> Iterator[str]:
    """No approval has two effects."""
    for request_id, count in Counter(_request_of(each) for each in history.effects).items():
        if count > 1:
            yield f"{request_id} was carried out {count} times"


def exactly_once_when_executed(history: History) -> Iterator[str]:
    """What is called executed happened, and what is called failed did not."""
    for asked, effects in _with_effects(history):
        if asked.state == "executed" and not effects:
            yield f"{asked.request_id} is called executed and was not carried out"
        if asked.state == "failed" and effects:
            yield f"{asked.request_id} is called failed and was carried out"


def approved_comes_to_an_end(history: History) -> Iterator[str]:
    """What was approved in time ends as executed; `unknown` is for `unknown_only_where_nobody_can_tell`."""
    for asked in history.approvals:
        if asked.state not in OVER:
            yield f"{asked.request_id} is {asked.state} for good"
        if asked.state == "failed" and _has_quorum(asked):
            yield f"{asked.request_id} was approved, its service is there, and it failed"


def never_without_a_yes(history: History) -> Iterator[str]:
    """What was rejected, expired or cancelled has no effect."""
    for asked, effects in _with_effects(history):
        if asked.state in NEVER and effects:
            yield f"{asked.request_id} is {asked.state} and was carried out"


def every_effect_has_its_quorum(history: History) -> Iterator[str]:
    """Every effect is what enough people said yes to, byte for byte."""
    known = {asked.request_id: asked for asked in history.approvals}
    for effect in history.effects:
        asked = known.get(_request_of(effect))
        if asked is None:
            yield f"an effect under the key {effect.key} belongs to no approval"
        elif effect.arguments != asked.arguments or not (effect.key or "").endswith(asked.digest[:KEY_DIGEST]):
            yield f"{asked.request_id}: what was carried out is not what was approved"
        elif not _has_quorum(asked):
            yield f"{asked.request_id} was carried out without its quorum of {asked.quorum}"


def no_acknowledged_decision_is_lost(history: History) -> Iterator[str]:
    """What a human was told is recorded stays recorded, and nobody is told the opposite of it."""
    known = {asked.request_id: asked for asked in history.approvals}
    for told in history.acknowledged:
        asked = known.get(told.request_id)
        if asked is None:
            yield f"{told.request_id} was decided, and there is no record of it"
        elif reason := _lost(told, asked):
            yield f"{told.request_id}: {reason}"


def unknown_only_where_nobody_can_tell(history: History) -> Iterator[str]:
    """`unknown` is for services that can tell nothing, and for what befell an action while it was being sent."""
    states = [asked.state for asked in history.approvals] + [sent.state for sent in history.ledger]
    if "unknown" in states and history.mode != "neither":
        yield f"an action is unknown though its service {history.mode}"
    if "unknown" in states and not history.was_sending:
        yield "an action is unknown though nothing befell it while it was being sent"


def the_ledger_is_closed(history: History) -> Iterator[str]:
    """At rest no intent is open, and approval and ledger say the same."""
    states = {sent.key.partition("-")[0]: sent.state for sent in history.ledger}
    if "intent" in states.values():
        yield "an intent is still open"
    for asked in history.approvals:
        if asked.state in ("executed", "failed", "unknown") and states.get(asked.request_id) != asked.state:
            yield f"{asked.request_id} is {asked.state}, and the ledger says {states.get(asked.request_id)}"


def the_audit_log_holds_everything(history: History) -> Iterator[str]:
    """The chain verifies, has every fact once, and holds every decision and every effect."""
    if history.broken:
        yield f"the chain is broken: {history.broken}"
    for event_id, count in Counter(each.event_id for each in history.audit).items():
        if count > 1:
            yield f"{event_id} is in it {count} times"
    logged = {(each.event, each.request_id, each.digest) for each in history.audit}
    by_request = {asked.request_id: asked for asked in history.approvals}
    for effect in history.effects:
        asked = by_request.get(_request_of(effect))
        if asked and ("action.sent", asked.request_id, asked.digest) not in logged:
            yield f"the effect of {asked.request_id} is not in it"
    for asked in history.approvals:
        if (asked.state in RELEASED or asked.state == "rejected") and not _is_logged(history, asked, "decided"):
            yield f"the decision on {asked.request_id} is not in it"
        if asked.state in ("expired", "cancelled") and not _is_logged(history, asked, asked.state):
            yield f"{asked.request_id} is {asked.state}, which is not in it"
        if asked.state in ("executed", "failed", "unknown") and not _is_finished(history, asked):
            yield f"what came of {asked.request_id} is not in it"


def everything_came_to_rest(history: History) -> Iterator[str]:
    """No run is left in the middle."""
    if not history.at_rest:
        yield "it did not come to rest in time"
    for status in history.runs:
        if status not in ("completed", "cancelled"):
            yield f"a run is {status}"


RULES: tuple[Rule, ...] = (
    at_most_once,
    exactly_once_when_executed,
    approved_comes_to_an_end,
    never_without_a_yes,
    every_effect_has_its_quorum,
    no_acknowledged_decision_is_lost,
    unknown_only_where_nobody_can_tell,
    the_ledger_is_closed,
    the_audit_log_holds_everything,
    everything_came_to_rest,
)


def _request_of(effect: Event) -> str:
    """Return the approval an effect was made under, as its idempotency key says."""
    return (effect.key or "").rpartition("-")[0]


def _with_effects(history: History) -> Iterator[tuple[Asked, list[Event]]]:
    for asked in history.approvals:
        yield asked, [each for each in history.effects if _request_of(each) == asked.request_id]


def _has_quorum(asked: Asked) -> bool:
    """Return whether enough different people said yes to what the record holds now, and nobody no."""
    votes = [each for each in asked.votes if each.digest == asked.digest]
    return all(each.approved for each in votes) and len({each.approver_id for each in votes}) >= asked.quorum


def _lost(told: Acknowledged, asked: Asked) -> str:
    """Return what became of an acknowledged word that no longer stands; an edit takes the votes before it along."""
    if told.digest != asked.digest:
        return ""
    said = [each.approved for each in asked.votes if each.approver_id == told.approver_id]
    if not said:
        return f"the word of approver {told.approver_id} is lost"
    if told.approved not in said:
        return f"the word of approver {told.approver_id} was turned round"
    if not told.approved and asked.state in RELEASED:
        return f"approver {told.approver_id} was told it is rejected, and it is {asked.state}"
    if told.approved and asked.quorum == 1 and asked.state == "rejected":
        return f"approver {told.approver_id} was told it is approved, and it is rejected"
    return ""


def _is_logged(history: History, asked: Asked, what: str) -> bool:
    return any((each.event, each.request_id) == (f"approval.{what}", asked.request_id) for each in history.audit)


def _is_finished(history: History, asked: Asked) -> bool:
    """Return whether the log holds what came of an action: as it was sent, or as it turned out afterwards."""
    told = ("action.finished", asked.state), ("action.reconciled", TURNED_OUT.get(asked.state, ""))
    return any(each.request_id == asked.request_id and (each.event, each.outcome) in told for each in history.audit)
