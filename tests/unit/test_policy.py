"""Policy: the first rule that fits decides."""

import pytest
import yaml
from pydantic import ValidationError

from domain.actions import Action
from domain.policy import Policy
from tests.running import ROOT

OURS = Policy.model_validate(yaml.safe_load((ROOT / "policy.yaml").read_text()))

ME = "ann/1"


def action(service: str = "shop", operation: str = "listThings", method: str = "GET", effect: str = "read") -> Action:
    return Action.model_validate(
        {
            "action_id": "act_1", "service": service, "operation": operation, "method": method, "url": "http://x/",
            "arguments": "{}", "digest": "d", "effect": effect, "step": 1,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "method", "effect", "rule", "then"),
    [
        ("listPets", "GET", "read", "reads-run", "run"),
        ("segmentCustomers", "POST", "read", "reads-run", "run"),
        ("refundOrder", "POST", "write", "money-asks", "ask"),
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
    assert OURS.version == Policy(rules=OURS.rules).version
    assert OURS.version != Policy(rules=OURS.rules[1:]).version


@pytest.mark.parametrize(
    "rules",
    [[], [{"name": "", "then": "run"}], [{"name": "a", "then": "maybe"}], [{"name": "a", "then": "run", "wen": {}}],
     [{"name": "a", "then": "ask", "on_expiry": "escalate"}], [{"name": "a", "then": "ask", "escalate_to": ["x"]}],
     [{"name": "a", "then": "ask", "expires_in_seconds": 60, "remind_after_seconds": [60]}],
     [{"name": "a", "then": "run", "risk_score": 2}], [{"name": "a", "then": "ask", "expires_in_seconds": 0}]],
)  # fmt: skip
def test_a_policy_that_is_wrong_is_refused_whole(rules: list[dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate({"rules": rules})


@pytest.mark.parametrize(("when", "fits"), [({"requester": "ann/*"}, True), ({"requester": "bob/*"}, False),
    ({"reversibility": "irreversible"}, True), ({"reversibility": "reversible"}, False)])  # fmt: skip
def test_a_rule_looks_at_who_asks_and_at_what_can_be_undone(when: dict[str, str], fits: bool) -> None:
    policy = Policy.model_validate({"rules": [{"name": "one", "when": when, "then": "run"}]})
    assert (policy.judge(action(method="POST", effect="write"), requester=ME).name == "one") is fits


def test_a_call_nobody_declared_cannot_be_undone_unless_it_only_reads() -> None:
    assert [action(effect=effect).reversibility for effect in ("read", "write")] == ["read", "irreversible"]
