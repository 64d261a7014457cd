"""Replay: what a policy would have said to actions that were proposed before."""

from typing import Any

from domain.policy import Policy, read_policy
from domain.replay import Replay, proposed_in
from tests.records import run

RUN = {"name": "all", "then": "run"}
CAREFUL = read_policy(
    {
        "rules": [
            {"name": "big", "when": {"condition": "args.amount > 100"}, "then": "deny", "reason": "Too much."},
            {"name": "mine", "when": {"requester": "ann/*"}, "then": "ask", "quorum": 2},
            RUN,
        ],
        "raised_by": [{"name": "text", "when": {"origin": "retrieved"}, "then": "ask"}],
    }
)


def shown(name: str, amount: int, **more: Any) -> dict[str, Any]:
    return {
        "action_id": name, "service": "shop", "operation": "refund", "method": "POST", "url": "http://shop/",
        "arguments": {"amount": amount}, "digest": name, "status": "executed", **more,
    }  # fmt: skip


def replayed(*entries: dict[str, Any], proposed: Policy = CAREFUL, owner: str = "bob", **more: Any) -> Replay:
    replay = Replay(proposed, read_policy({"rules": [RUN]}), **more)
    for each in proposed_in(run("run_1", owner=owner, reply={"actions": list(entries)})):
        replay.judge(each)
    return replay


def test_counts_changes_and_one_sentence_tell_what_would_have_been() -> None:
    entries = shown("a", 1), shown("b", 101), shown("c", 2, origins={"amount": "retrieved"}), shown("d", 3)
    told = replayed(*entries).told()
    assert (told["considered"], told["would_run"], told["would_ask"], told["would_deny"]) == (4, 2, 1, 1)
    assert told["in_force"]["would_run"] == 4
    assert told["proposed"]["by_rule"] == {"all": 3, "big": 1}
    assert [(each["action_id"], each["proposed"]["then"]) for each in told["changes"]] == [("b", "deny"), ("c", "ask")]
    assert told["summary"] == (
        "Of 4 actions the proposed policy would have asked 1 time, allowed 2, denied 1; "
        "the one in force would have asked 0 times, allowed 4, denied 0. 2 answers would change."
    )


def test_the_requester_counts() -> None:
    assert replayed(shown("a", 1), owner="ann").counts == {"ask": 1}


def test_changes_are_shown_page_by_page_and_all_counted() -> None:
    replay = replayed(*(shown(str(number), 200) for number in range(5)), skip=2, show=2)
    assert replay.changed == 5
    assert [each["action_id"] for each in replay.shown] == ["2", "3"]


def test_more_people_to_ask_is_another_answer() -> None:
    one, two = (read_policy({"rules": [{"name": "all", "then": "ask", "quorum": n}]}) for n in (1, 2))
    replay = Replay(two, one)
    for each in proposed_in(run("run_1", reply={"actions": [shown("a", 1)]})):
        replay.judge(each)
    assert replay.changed == 1


def test_what_was_no_action_is_not_judged_and_what_is_not_known_is_guessed_from_the_method() -> None:
    bad = {**shown("a", 1), "method": "", "status": "invalid"}
    read = {**shown("b", 1), "method": "GET"}
    (found,) = proposed_in(run("run_1", reply={"actions": [bad, read]}))
    assert (found.action.effect, found.action.reversibility, found.action.origins) == ("read", "read", {})
    assert proposed_in(run("run_2")) == []
    assert replayed().told()["summary"] == "No action has been recorded that could be judged."
