"""Policy: the first rule that fits decides."""

from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from domain.actions import Action
from domain.errors import InvalidPolicy
from domain.policy import Policy, read_policy
from tests.running import ROOT

OURS = Policy.model_validate(yaml.safe_load((ROOT / "policy.yaml").read_text()))

ME = "ann/1"


def action(
    service: str = "shop", operation: str = "listThings", method: str = "GET", effect: str = "read", **more: object
) -> Action:
    return Action.model_validate(
        {
            "action_id": "act_1", "service": service, "operation": operation, "method": method, "url": "http://x/",
            "arguments": "{}", "digest": "d", "effect": effect, "step": 1, **more,
        }
    )  # fmt: skip


def refund(arguments: str = "{}", **origins: str) -> Action:
    return action(operation="refund", method="POST", effect="write", arguments=arguments, origins=origins)


def policy_of(*rules: dict[str, Any], raised_by: Sequence[dict[str, Any]] = ()) -> Policy:
    return read_policy({"rules": rules, "raised_by": raised_by})


@pytest.mark.parametrize(
    ("operation", "method", "effect", "rule", "then"),
    [
        ("listPets", "GET", "read", "reads-run", "run"),
        ("segmentCustomers", "POST", "read", "reads-run", "run"),
        ("refundOrder", "POST", "write", "large-refunds-ask-two", "ask"),
        ("findRefunds", "GET", "read", "reads-run", "run"),
        ("deletePet", "DELETE", "write", "deletions-ask", "ask"),
        ("addPet", "POST", "write", "writes-ask", "ask"),
    ],
)
def test_our_policy_lets_reads_run_and_writes_ask(
    operation: str, method: str, effect: str, rule: str, then: str
) -> None:
    judged = OURS.judge(action(operation=operation, method=method, effect=effect), requester=ME)
    assert (judged.name, judged.then) == (rule, then)


@pytest.mark.parametrize(
    ("arguments", "rule", "quorum", "level"),
    [('{"amount":500}', "money-asks", 1, "high"), ('{"amount":1000.5}', "large-refunds-ask-two", 2, "critical"),
     ("{}", "large-refunds-ask-two", 2, "critical")],
)  # fmt: skip
def test_our_policy_asks_two_for_a_large_refund_and_for_one_of_no_stated_amount(
    arguments: str, rule: str, quorum: int, level: str
) -> None:
    judged = OURS.judge(refund(arguments), requester=ME)
    assert (judged.name, judged.quorum, judged.risk_level) == (rule, quorum, level)


def test_what_no_rule_fits_is_denied() -> None:
    policy = Policy.model_validate({"rules": [{"name": "one", "when": {"service": "other"}, "then": "run"}]})
    assert policy.judge(action(), requester=ME).then == "deny"


def test_the_first_rule_that_fits_decides() -> None:
    rules = [{"name": "no", "when": {"operation": "list*"}, "then": "deny"}, {"name": "yes", "then": "run"}]
    policy = Policy.model_validate({"rules": rules})
    assert policy.judge(action(operation="listThings"), requester=ME).name == "no"
    assert policy.judge(action(operation="getThing"), requester=ME).name == "yes"


def test_without_humans_what_would_ask_is_denied() -> None:
    policy = OURS.without_humans()
    assert policy.judge(action(operation="refundOrder", method="POST", effect="write"), requester=ME).then == "deny"
    assert policy.judge(action(), requester=ME).then == "run"


def test_a_version_names_the_rules() -> None:
    same, other = OURS.model_copy(), Policy(rules=OURS.rules[1:], raised_by=OURS.raised_by)
    assert OURS.version == Policy(**same.model_dump()).version
    assert OURS.version != other.version


@pytest.mark.parametrize(
    "rules",
    [[], [{"name": "", "then": "run"}], [{"name": "a", "then": "maybe"}], [{"name": "a", "then": "run", "wen": {}}],
     [{"name": "a", "then": "ask", "on_expiry": "escalate"}], [{"name": "a", "then": "ask", "escalate_to": ["x"]}],
     [{"name": "a", "then": "ask", "expires_in_seconds": 60, "remind_after_seconds": [60]}],
     [{"name": "a", "then": "run"}, {"name": "a", "then": "deny"}], [{"name": "nothing-fits", "then": "run"}],
     [{"name": "a", "then": "run", "when": {"condition": ""}}], [{"name": "a", "then": "run", "risk_score": 2}],
     [{"name": "a", "then": "ask", "expires_in_seconds": 0}]],
)  # fmt: skip
def test_a_policy_that_is_wrong_is_refused_whole(rules: list[dict[str, object]]) -> None:
    with pytest.raises(InvalidPolicy):
        read_policy({"rules": rules})


@pytest.mark.parametrize(("when", "fits"), [({"requester": "ann/*"}, True), ({"requester": "bob/*"}, False),
    ({"reversibility": "irreversible"}, True), ({"reversibility": "reversible"}, False)])  # fmt: skip
def test_a_rule_looks_at_who_asks_and_at_what_can_be_undone(when: dict[str, str], fits: bool) -> None:
    policy = Policy.model_validate({"rules": [{"name": "one", "when": when, "then": "run"}]})
    assert (policy.judge(action(method="POST", effect="write"), requester=ME).name == "one") is fits


def test_a_call_nobody_declared_cannot_be_undone_unless_it_only_reads() -> None:
    assert [action(effect=effect).reversibility for effect in ("read", "write")] == ["read", "irreversible"]


SHOUT = {"name": "big", "when": {"condition": "args.amount > 100"}}


@pytest.mark.parametrize(
    ("then", "arguments", "outcome"),
    [
        ("run", '{"amount":101}', ("big", "run")),
        ("run", '{"amount":100}', ("rest", "ask")),
        ("run", "{}", ("rest", "ask")),
        ("run", '{"amount":"101"}', ("rest", "ask")),
        ("deny", '{"amount":101}', ("big", "deny")),
        ("deny", '{"amount":100}', ("rest", "ask")),
        ("deny", "{}", ("big", "deny")),
        ("ask", '{"amount":null}', ("big", "ask")),
    ],
)
def test_a_condition_that_cannot_be_decided_never_lets_an_action_run(
    then: str, arguments: str, outcome: tuple[str, str]
) -> None:
    judged = policy_of({**SHOUT, "then": then}, {"name": "rest", "then": "ask"}).judge(refund(arguments), requester=ME)
    assert (judged.name, judged.then) == outcome


def test_of_rules_in_doubt_and_the_one_that_fits_the_strictest_decides_and_says_why() -> None:
    rules = {**SHOUT, "then": "ask", "reason": "Much."}, {"name": "rest", "then": "deny"}
    assert policy_of(*rules).judge(refund(), requester=ME).name == "rest"
    judged = policy_of(rules[0], {"name": "rest", "then": "run"}).judge(refund(), requester=ME)
    assert (judged.name, judged.then) == ("big", "ask")
    assert judged.reason == "Much. Its condition cannot be decided: there is no amount."
    assert policy_of(rules[0]).judge(refund(), requester=ME).then == "ask"
    assert policy_of({**SHOUT, "then": "run"}).judge(refund(), requester=ME).then == "deny"


TEXT = {
    "name": "text",
    "when": {"effect": "write", "origin": "retrieved"},
    "add": 0.4,
    "then": "ask",
    "reason": "Text.",
}


def test_a_value_from_elsewhere_raises_the_risk_and_asks_where_its_rule_would_let_it_run() -> None:
    policy = policy_of({"name": "all", "then": "run", "risk_level": "low", "risk_score": 0.3}, raised_by=[TEXT])
    said = policy.judge(refund(amount="user"), requester=ME)
    assert (said.then, said.risk_score, said.risk_level, said.reason) == ("run", 0.3, "low", "")
    read = policy.judge(refund(order="user", amount="retrieved"), requester=ME)
    assert (read.name, read.then, read.risk_score, read.risk_level) == ("all", "ask", 0.7, "high")
    assert read.reason == "Text. (amount)"
    assert policy.without_humans().judge(refund(amount="retrieved"), requester=ME).then == "deny"


def test_raises_add_up_to_one_and_never_soften_a_rule() -> None:
    more = {"name": "doubtful", "when": {"condition": "args.none == 1"}, "add": 0.5}
    rule = {"name": "all", "then": "deny", "risk_level": "critical", "risk_score": 0.3}
    judged = policy_of(rule, raised_by=[TEXT, more]).judge(refund(amount="retrieved"), requester=ME)
    assert (judged.then, judged.risk_score, judged.risk_level) == ("deny", 1.0, "critical")


def test_a_refusal_names_the_rule_the_place_and_the_reason() -> None:
    broken = {"name": "odd", "then": "run", "when": {"condition": "args.amount >"}}
    with pytest.raises(InvalidPolicy) as refused:
        policy_of({"name": "fine", "then": "run"}, broken, raised_by=[{"when": {"origin": "nowhere"}}])
    assert refused.value.detail.startswith("rule odd: rules.1.when: the condition is not CEL: line 1, column 14: ")
    problems: Any = refused.value.extra["problems"]
    assert [(each["place"], each["rule"]) for each in problems[1:]] == [
        ("raised_by.0.name", "number 1"),
        ("raised_by.0.when.origin", "number 1"),
    ]


@pytest.mark.parametrize("document", [None, [], "rules", {"rules": "x"}, {"rules": [1]}, {1: 2}, {"rules": None}])
def test_what_is_no_policy_at_all_is_refused_in_words(document: object) -> None:
    with pytest.raises(InvalidPolicy):
        read_policy(document)
