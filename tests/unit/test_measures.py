"""What a run is measured by, and whether its model was really called as its variant says."""

from collections.abc import Sequence
from typing import Any

import pytest

from domain.conversation import Called, Decision, Tuning
from domain.measures import approval_measures, latency_ms, outcome
from domain.variants import Given, differences, frozen, use_of, used
from tests.planner_catalogue import operation
from tests.records import NOON, after, run

WANTED = Tuning(model="m", temperature=0.2, system_prompt="You are Ada.")
OPERATIONS = (operation("shop", "GET /items", "listItems"), operation("bank", "POST /payments", "pay"))
CALLED = Called(model="m", temperature=0.2, system_prompt="You are Ada.\nRules.")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"model": "live"}, ("model",)),
        ({"temperature": 0.7}, ("temperature",)),
        ({"temperature": None}, ("temperature",)),
        ({"system_prompt": "You are the live prompt.\nRules."}, ("system_prompt",)),
        ({"model": "live", "system_prompt": ""}, ("model", "system_prompt")),
    ],
)
def test_a_model_called_with_something_else_is_found_out(changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert differences(WANTED, CALLED.model_copy(update=changes)) == expected


def test_what_a_variant_leaves_open_is_no_difference() -> None:
    assert differences(Tuning(temperature=0.2), Called(model="x", temperature=0.2, system_prompt="y")) == ()


def variants(**config: Any) -> dict[str, Any]:
    return frozen([Given(experiment_id="exp_1", variant="calm", phase=1, config=config)])


def decision(**more: Any) -> Decision:
    return Decision(text="hi", answered_by="ollama/m", **more)


def test_a_use_remembers_every_call_of_the_run() -> None:
    called = Called(model="m", temperature=0.9, system_prompt="")
    first = used(variants(temperature=0.2), decision(called=called, tokens=10), (), missed=None)
    second = used(first, decision(called=called.model_copy(update={"temperature": 0.2}), tokens=5), (), missed=None)
    use = use_of(second)
    assert use
    assert (use.mismatched, use.tokens, use.without_effect) == (("temperature",), 15, ())


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (("shop__listItems",), ()),
        (("shop__listItems_0123abcd",), ()),
        (("shop__listItems", "bank__pay"), ("tools",)),
        (("bank__pay",), ("tools",)),
        ((), ("tools",)),
        (None, ()),
    ],
)
def test_a_model_that_was_offered_other_tools_is_found_out(
    sent: tuple[str, ...] | None, expected: tuple[str, ...]
) -> None:
    called = CALLED.model_copy(update={"tools": sent})
    use = use_of(used(variants(tools=["shop"]), decision(called=called), OPERATIONS, missed=None))
    assert use
    assert use.mismatched == expected


def test_the_fingerprint_is_that_of_what_was_really_called() -> None:
    uses = [
        use_of(used(variants(temperature=0.2), decision(called=each), (), missed=None))
        for each in (CALLED, CALLED, CALLED.model_copy(update={"temperature": 0.3}))
    ]
    assert len({use.fingerprint for use in uses if use}) == 2


def request(created: float, decided: float | None, *, approved: bool = True, **more: Any) -> dict[str, Any]:
    verdict = None if decided is None else {"approved": approved, "decided_at": after(decided)}
    return {"created_at": after(created), "verdict": verdict, "state": "approved", **more}


def step(at: float, what: str) -> dict[str, Any]:
    return {"what": what, "at": after(at)}


def over(created: float, ended: float, state: str, *, before: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return request(created, None, state=state, trail=[*before, step(ended, state)])


@pytest.mark.parametrize(
    ("requests", "seconds"),
    [
        ([], 10),
        ([request(1, 4)], 7),
        ([request(1, 4), request(1, 6)], 5),  # side by side
        ([request(1, 4), request(6, 8)], 5),  # one after the other
        ([request(2, 3), request(1, 6)], 5),  # one within the other
        ([request(1, None)], 10),
        ([over(1, 4, "expired")], 7),
        ([over(1, 4, "cancelled")], 7),
        ([over(1, 4, "superseded")], 7),
        ([over(1, 9, "expired", before=[step(5, "escalated"), step(6, "delegated")])], 2),
        ([request(1, None, state="expired", expires_at=after(4))], 7),  # a record without a trail
        ([{**request(1, 4), "trail": [step(9, "execution_expired")]}], 7),
    ],
)
def test_waiting_for_humans_is_no_latency(requests: list[dict[str, Any]], seconds: float) -> None:
    assert latency_ms(NOON, after(10), requests) == seconds * 1_000


def test_what_requests_to_humans_say() -> None:
    requests = [
        request(0, 2),
        request(0, 4, approved=False),
        request(0, None, state="expired"),
        request(0, 6, revision=1),
    ]
    assert approval_measures(requests) == {
        "approval_asked_rate": (1, 1),
        "approval_approved_rate": (4, 2),
        "approval_rejected_rate": (4, 1),
        "approval_edited_rate": (4, 1),
        "approval_expired_rate": (4, 1),
        "decide_seconds": (3, 12),
    }
    assert approval_measures([]) == {"approval_asked_rate": (1, 0)}


def result(outcome: str, body: str = "") -> dict[str, Any]:
    return {"outcome": outcome, "body": body}


def test_an_ended_run_says_what_went_wrong() -> None:
    refused = "The call was refused by the circuit breaker of shop, which is open; nothing was sent."
    values = {
        "variants": used(variants(temperature=0.2), decision(called=CALLED), (), missed=True),
        "actions": [{}, {}],
        "results": {"a": result("executed"), "b": result("failed", refused)},
    }
    reply = {"degraded": [{"port": "model", "mode": "degraded"}]}
    found = outcome(run("run_1"), "completed", values, reply)
    assert found["unmeasured"] == "ended"
    assert found["measures"] == {
        "error_rate": [1, 1],
        "breaker_refusals": [1, 1],
        "degraded_rate": [1, 1],
        "actions_per_run": [1, 2],
        "config_mismatch_rate": [1, 0],
        "config_without_effect_rate": [1, 0],
        "retrieval_miss_rate": [1, 1],
    }


@pytest.mark.parametrize(("status", "mark"), [("awaiting_approval", "exposed"), ("cancelled", "exposed")])
def test_a_run_that_pauses_or_is_cancelled_is_an_exposure_alone(status: Any, mark: str) -> None:
    found = outcome(run("run_1"), status, {"variants": variants(top_k=3)}, {})
    assert (found["unmeasured"], found["measures"]) == (mark, {})


def test_a_run_without_variants_leaves_nothing() -> None:
    assert outcome(run("run_1"), "completed", {"variants": {}}, {}) == {}
