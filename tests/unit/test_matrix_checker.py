"""A checker that cannot fail proves nothing: each rule objects to a history that breaks it, and to that alone."""

from dataclasses import replace
from typing import Any

import pytest

from tests.downstream_truth import Event
from tests.matrix.boundaries import Point
from tests.matrix.checker import violations
from tests.matrix.history import Acknowledged, Asked, History, Logged, Sent, Voted
from tests.matrix.table import Cell, failures

DIGEST = "5" * 64
KEY = f"apr_1-{DIGEST[:32]}"
ARGUMENTS = '{"amount":5,"order_id":7}'
YES, NO = Voted(1, True, DIGEST), Voted(1, False, DIGEST)
EFFECT = Event("effect", "r", "refundOrder", KEY, ARGUMENTS, 1)
EXECUTED = Asked("apr_1", "run_1", "executed", DIGEST, ARGUMENTS, 1, (YES,))
DECIDED = Logged("approval.decided/apr_1", "approval.decided", "apr_1", DIGEST, "approved")
SENT = Logged("action.sent/act_1", "action.sent", "apr_1", DIGEST, "sent")
FINISHED = Logged("action.finished/act_1", "action.finished", "apr_1", DIGEST, "executed")
GOOD = History(
    mode="dedupes",
    acknowledged=(Acknowledged("apr_1", 1, True, DIGEST),),
    approvals=(EXECUTED,),
    ledger=(Sent(KEY, DIGEST, "executed"),),
    effects=(EFFECT,),
    audit=(DECIDED, SENT, FINISHED),
    runs=("completed",),
)
UNKNOWN: dict[str, Any] = {
    "approvals": (replace(EXECUTED, state="unknown"),),
    "ledger": (Sent(KEY, DIGEST, "unknown"),),
    "audit": (DECIDED, SENT, replace(FINISHED, outcome="unknown")),
}
REJECTED: dict[str, Any] = {
    "acknowledged": (Acknowledged("apr_1", 1, False, DIGEST),),
    "approvals": (replace(EXECUTED, state="rejected", votes=(NO,)),),
    "ledger": (),
    "effects": (),
    "audit": (DECIDED,),
}


def ended(state: str) -> dict[str, Any]:
    logged = Logged(f"approval.{state}/apr_1", f"approval.{state}", "apr_1", DIGEST, state)
    return {
        **REJECTED,
        "acknowledged": (),
        "approvals": (replace(EXECUTED, state=state, votes=()),),
        "audit": (logged,),
    }


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="approved and carried out once"),
        pytest.param(REJECTED, id="rejected"),
        pytest.param(ended("expired"), id="expired"),
        pytest.param(ended("cancelled"), id="cancelled"),
        pytest.param({**UNKNOWN, "mode": "neither", "was_sending": True}, id="unknown, and it happened"),
        pytest.param({**UNKNOWN, "mode": "neither", "was_sending": True, "effects": ()}, id="unknown, and it did not"),
    ],
)
def test_what_may_happen_is_taken(changes: dict[str, Any]) -> None:
    assert violations(replace(GOOD, **changes)) == []


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("at_most_once", {"effects": (EFFECT, replace(EFFECT, number=2))}),
        ("exactly_once_when_executed", {"effects": ()}),
        ("exactly_once_when_executed", {"approvals": (replace(EXECUTED, state="failed"),)}),
        ("approved_comes_to_an_end", {"approvals": (replace(EXECUTED, state="approved"),)}),
        ("approved_comes_to_an_end", {"approvals": (replace(EXECUTED, state="claimed"),)}),
        ("approved_comes_to_an_end", {"approvals": (replace(EXECUTED, state="failed"),), "effects": ()}),
        ("never_without_a_yes", {**REJECTED, "effects": (EFFECT,)}),
        ("never_without_a_yes", {**ended("expired"), "effects": (EFFECT,)}),
        ("never_without_a_yes", {**ended("cancelled"), "effects": (EFFECT,)}),
        ("every_effect_has_its_quorum", {"effects": (EFFECT, replace(EFFECT, key="apr_2-" + DIGEST[:32]))}),
        ("every_effect_has_its_quorum", {"effects": (EFFECT, replace(EFFECT, key=None))}),
        ("every_effect_has_its_quorum", {"effects": (replace(EFFECT, arguments='{"amount":50,"order_id":7}'),)}),
        ("every_effect_has_its_quorum", {"effects": (replace(EFFECT, key=f"apr_1-{'6' * 32}"),)}),
        ("every_effect_has_its_quorum", {"approvals": (replace(EXECUTED, quorum=2),)}),
        ("every_effect_has_its_quorum", {"approvals": (replace(EXECUTED, quorum=2, votes=(YES, YES)),)}),
        ("every_effect_has_its_quorum", {"approvals": (replace(EXECUTED, votes=(Voted(1, True, "6" * 64),)),)}),
        ("no_acknowledged_decision_is_lost", {"acknowledged": (Acknowledged("apr_2", 1, True, DIGEST),)}),
        ("no_acknowledged_decision_is_lost", {"acknowledged": (Acknowledged("apr_1", 2, True, DIGEST),)}),
        ("no_acknowledged_decision_is_lost", {"acknowledged": (Acknowledged("apr_1", 1, False, DIGEST),)}),
        ("no_acknowledged_decision_is_lost", {"approvals": (replace(EXECUTED, state="rejected"),)}),
        (
            "no_acknowledged_decision_is_lost",
            {**REJECTED, "approvals": (replace(EXECUTED, state="approved", votes=(NO,)),)},
        ),
        ("unknown_only_where_nobody_can_tell", {**UNKNOWN, "was_sending": True}),
        ("unknown_only_where_nobody_can_tell", {**UNKNOWN, "mode": "queryable", "was_sending": True}),
        ("unknown_only_where_nobody_can_tell", {**UNKNOWN, "mode": "neither"}),
        ("the_ledger_is_closed", {"ledger": (Sent(KEY, DIGEST, "intent"),)}),
        ("the_ledger_is_closed", {"ledger": ()}),
        ("the_audit_log_holds_everything", {"broken": "It was changed."}),
        ("the_audit_log_holds_everything", {"audit": (DECIDED, DECIDED, SENT, FINISHED)}),
        ("the_audit_log_holds_everything", {"audit": (SENT, FINISHED)}),
        ("the_audit_log_holds_everything", {"audit": (DECIDED, FINISHED)}),
        ("the_audit_log_holds_everything", {"audit": (DECIDED, SENT)}),
        ("the_audit_log_holds_everything", {**ended("expired"), "audit": ()}),
        ("everything_came_to_rest", {"at_rest": False}),
        ("everything_came_to_rest", {"runs": ("running",)}),
        ("everything_came_to_rest", {"runs": ("failed",)}),
    ],
)
def test_every_rule_objects_to_what_breaks_it(rule: str, changes: dict[str, Any]) -> None:
    assert rule in {sentence.partition(":")[0] for sentence in violations(replace(GOOD, **changes))}


def test_a_control_that_does_not_fail_is_not_green() -> None:
    assert failures([Cell("control", "neither", "the naive graph", wrong=(), must_fail=True)])
    assert failures([Cell("killed once", "neither", "a kill", wrong=("at_most_once: twice",))])
    assert failures([Cell("control", "neither", "the naive graph", wrong=("twice",), must_fail=True)]) == []


@pytest.mark.parametrize("text", ["before act: ledger.insert_one", "after checkpoint.aput 3 (2)", "after send POST"])
def test_a_point_is_read_as_it_is_written(text: str) -> None:
    assert str(Point.parse(text)) == text
