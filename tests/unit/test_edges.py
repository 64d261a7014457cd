"""Where a run goes next."""

from typing import Any

from langgraph.types import Send

from domain.state import State
from graph.edges import after_plan, after_review


def action(name: str) -> dict[str, Any]:
    return {
        "action_id": name, "service": "shop", "operation": "do", "method": "POST", "url": "http://x/",
        "arguments": '{"n":1}', "digest": name, "effect": "write", "step": 1, "idempotency_key": False,
    }  # fmt: skip


def state(*names: str, results: dict[str, Any] | None = None, verdicts: dict[str, Any] | None = None) -> State:
    return State(
        message="m",
        run_id="run_1",
        requester="ann/1",
        actions=[action(name) for name in names],
        text="",
        results=results or {},
        verdicts=verdicts or {},
    )


def nodes(sent: list[Send] | str) -> list[str] | str:
    return sent if isinstance(sent, str) else [each.node for each in sent]


async def test_an_answer_goes_to_respond() -> None:
    assert await after_plan({**state(), "text": "done"}) == "respond"


async def test_open_actions_go_to_review() -> None:
    assert await after_plan(state("a")) == "review"


async def test_calls_that_were_all_unusable_go_back_to_plan() -> None:
    assert await after_plan(state("a", results={"a": {"action_id": "a", "outcome": "invalid"}})) == "plan"


async def test_what_waits_is_gated_before_anything_is_sent() -> None:
    verdicts = {"a": {"outcome": "released"}, "b": {"outcome": "waits", "approval_id": "apr_b"}}
    sent = await after_review(state("a", "b", verdicts=verdicts))
    assert nodes(sent) == ["gate"]
    assert isinstance(sent, list)
    assert sent[0].arg["question"]["arguments"] == {"n": 1}


async def test_everything_released_is_sent_at_once_and_what_was_refused_is_not() -> None:
    verdicts = {
        "a": {"outcome": "released"},
        "b": {"outcome": "rejected"},
        "c": {"outcome": "released", "approval_id": "apr_c"},
    }
    sent = await after_review(state("a", "b", "c", verdicts=verdicts))
    assert nodes(sent) == ["act", "act"]
    assert isinstance(sent, list)
    assert [each.arg["action"]["action_id"] for each in sent] == ["a", "c"]
    assert [each.arg["approval_id"] for each in sent] == [None, "apr_c"]


async def test_what_was_done_is_not_sent_again() -> None:
    verdicts = {"a": {"outcome": "released"}, "b": {"outcome": "released"}}
    done = {"a": {"action_id": "a", "outcome": "executed"}}
    sent = await after_review(state("a", "b", verdicts=verdicts, results=done))
    assert isinstance(sent, list)
    assert [each.arg["action"]["action_id"] for each in sent] == ["b"]


async def test_when_everything_is_refused_the_model_is_told() -> None:
    for outcome in ("denied", "rejected", "expired", "cancelled"):
        assert await after_review(state("a", verdicts={"a": {"outcome": outcome}})) == "plan"
