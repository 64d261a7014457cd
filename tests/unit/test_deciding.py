"""The rules of deciding: who may, what counts, what an edit and the clock do."""

from typing import Any

import pytest

from domain.approvals import Approval
from domain.deciding import MOST_EDITS, Person, barred, delegated, edited, lapsed, voted
from domain.errors import AlreadyDecided, AlreadyVoted, Conflict, DigestChanged, EditDenied, NotEligible
from domain.policy import Rule
from tests.records import after, person, request, verdict

ANN, BOB, EVE = (person(number, "finance", key=key) for number, key in ((1, "ann"), (2, "bob"), (3, "eve")))
ASK = Rule(name="writes-ask", then="ask")


def vote(record: Approval, who: Person, *, approved: bool = True, at: float = 1, seen: str | None = None) -> Approval:
    said = verdict(approved=approved, approver_id=who.approver_id, by=who.principal.name, at=after(at))
    return voted(record, said, who=who, seen=seen)


def edit(record: Approval, who: Person = BOB, *, to: str = "act_2", rule: Rule = ASK, **more: Any) -> Approval:
    new = record.action.model_copy(update={"digest": to, "arguments": '{"amount":1}', **more})
    return edited(record, new, rule, policy_version="2", who=who, seen=None, at=after(2))


@pytest.mark.parametrize(
    ("who", "rule", "why"),
    [
        (person(1), {"groups": ("cfo",)}, None),
        (person(1), {"requester_may_approve": False}, "Whoever asked"),
        (person(2), {"requester_may_approve": False}, None),
        (person(9, key="ann"), {"requester_may_approve": False}, "Whoever asked"),
        (person(1, key="bob"), {"requester_may_approve": False}, "Whoever asked"),
        (person(9, key="bob"), {"requester_may_approve": False}, None),
        (person(1, key="ann"), {}, None),
        (person(2, key="bob"), {"groups": ("finance",)}, "Only members of finance"),
        (person(2, "finance", key="bob"), {"groups": ("cfo", "finance")}, None),
        (person(2, key="bob"), {"groups": ("cfo",), "delegates": ("approver:2",)}, "Only members of cfo"),
        (person(2, key="bob", vouched=True), {"groups": ("cfo",), "delegates": ("approver:2",)}, None),
        (person(2, "legal", key="bob"), {"groups": ("cfo",), "delegates": ("group:legal",)}, None),
        (person(2, "cfo", key="bob"), {"groups": ("cfo",), "delegators": ("principal:bob",)}, "handed the decision on"),
    ],
)
def test_who_may_decide(who: Person, rule: dict[str, Any], why: str | None) -> None:
    said = barred(request("apr_1", **rule), who)
    assert said is None if why is None else said is not None and why in said


def test_a_key_that_speaks_for_one_person_speaks_for_nobody_else() -> None:
    bob = person(2, key="bob", vouched=True)
    assert barred(request("apr_1"), bob) is None
    assert barred(request("apr_1"), Person(principal=bob.principal, approver_id=3)) == (
        "This key speaks for approver 2 only."
    )


def test_the_last_yes_of_the_quorum_approves_and_starts_the_second_clock() -> None:
    one = vote(request("apr_1", quorum=2, execute_within_seconds=10), ANN)
    two = vote(one, BOB, at=3)
    assert (one.state, one.verdict, one.execute_by) == ("pending", None, None)
    assert (two.state, two.execute_by, two.seconds_to_decide) == ("approved", after(13), 3)
    assert [(step.what, step.by) for step in two.trail] == [("voted", "ann"), ("decided", "bob")]


def test_the_first_no_rejects_whoever_said_yes_before() -> None:
    record = vote(vote(request("apr_1", quorum=3), ANN), BOB, approved=False)
    assert (record.state, record.execute_by) == ("rejected", None)


@pytest.mark.parametrize("again", [person(2, key="ann"), person(1, key="bob"), ANN])
def test_one_person_counts_once_under_whatever_name(again: Person) -> None:
    record = vote(request("apr_1", quorum=2), ANN)
    with pytest.raises(AlreadyVoted):
        vote(record, again, approved=False)
    assert vote(record, ANN, at=5) is record


def test_the_same_vote_after_the_decision_still_counts_as_said() -> None:
    record = vote(vote(request("apr_1", quorum=2), ANN), BOB)
    assert vote(record, ANN, at=99) is record
    assert record.as_left_by(verdict(approver_id=1, by="ann"))["state"] == "pending"
    assert record.as_left_by(verdict(approver_id=2, by="bob"))["state"] == "approved"
    with pytest.raises(AlreadyDecided, match="approved already"):
        vote(record, EVE)


def test_only_what_was_seen_is_approved() -> None:
    with pytest.raises(DigestChanged):
        vote(request("apr_1"), ANN, seen="act_2")
    assert vote(request("apr_1"), ANN, seen="act_1").state == "approved"
    with pytest.raises(DigestChanged, match="send the digest"):
        vote(edit(request("apr_1")), ANN)
    assert vote(edit(request("apr_1")), ANN, seen="act_2").state == "approved"
    assert vote(edit(request("apr_1")), ANN, approved=False).state == "rejected"


def test_no_vote_survives_an_edit() -> None:
    record = edit(vote(request("apr_1", quorum=2), ANN))
    assert (record.votes, record.revision, record.original_digest) == ((), 1, "act_1")
    assert (record.action.digest, record.state) == ("act_2", "pending")
    assert vote(record, ANN, seen="act_2").state == "pending"


@pytest.mark.parametrize("change", [{"operation": "pay"}, {"service": "bank"}, {"method": "PUT"}, {"action_id": "x"}])
def test_an_edit_changes_arguments_alone(change: dict[str, Any]) -> None:
    with pytest.raises(Conflict, match="never what it does"):
        edit(request("apr_1"), **change)


def test_an_edit_that_policy_denies_is_not_made() -> None:
    with pytest.raises(EditDenied, match="too much"):
        edit(request("apr_1"), rule=Rule(name="limit", then="deny", reason="too much"))


def test_of_two_rules_the_stricter_counts_after_an_edit() -> None:
    loose = Rule(name="loose", then="ask", quorum=1, risk_level="low", risk_score=0.1, execute_within_seconds=10)
    strict = Rule(name="strict", then="ask", quorum=3, groups=("cfo",), requester_may_approve=False)
    first = edit(request("apr_1", quorum=2, groups=("finance",)), rule=loose)
    assert (first.quorum, first.groups, first.risk_level, first.risk_score) == (2, ("finance",), "high", 0.75)
    assert (first.execute_within_seconds, first.policy_rule) == (10, "loose")
    second = edit(request("apr_1"), rule=strict)
    assert (second.quorum, second.groups, second.requester_may_approve) == (3, ("cfo",), False)
    kept = edit(request("apr_1", quorum=2), rule=Rule(name="runs", then="run"))
    assert (kept.quorum, kept.policy_rule) == (2, "money-asks")


def test_an_edit_brings_the_other_rules_clock_if_that_ends_first() -> None:
    asked = request("apr_1", lasts=60, expires_in_seconds=60)
    quick = Rule(name="quick", then="ask", expires_in_seconds=5, remind_after_seconds=(2,))
    record = edit(asked, rule=quick)
    assert (record.expires_at, record.remind_after_seconds, record.remind_at) == (after(7), (2,), after(4))
    assert [step.what for step in lapsed(record, after(4)).trail] == ["edited", "reminded"]
    assert lapsed(record, after(7)).state == "expired"
    slow = Rule(name="slow", then="ask", expires_in_seconds=3600, remind_after_seconds=(30, 1800))
    later = edit(asked, rule=slow)
    assert (later.expires_at, later.remind_after_seconds, later.remind_at) == (after(60), (30,), after(30))
    assert edit(record, to="act_3", rule=slow).expires_at == after(7)
    assert edit(record, to="act_3", rule=quick).expires_at == after(7)
    overdue = edit(request("apr_1", remind_after_seconds=(1,), expires_in_seconds=60, remind_at=after(1)), rule=slow)
    assert overdue.remind_at == after(1)
    assert edit(request("apr_1", lasts=60), rule=slow).remind_at == after(30)  # stored without the length of its clock


def test_an_edit_brings_the_other_rules_end() -> None:
    escalates = Rule(name="esc", then="ask", on_expiry="escalate", escalate_to=("cfo",), expires_in_seconds=3)
    record = edit(request("apr_1", expires_in_seconds=60), rule=escalates)
    assert (record.on_expiry, record.escalate_to, record.expires_at) == ("escalate", ("cfo",), after(5))
    second = lapsed(record, after(5))
    assert (second.round, second.groups, second.expires_at) == (2, ("cfo",), after(8))
    again = edit(second, to="act_3", rule=escalates.model_copy(update={"groups": ("finance",)}), who=person(7, "cfo"))
    assert (again.round, again.groups) == (2, ("cfo",))
    back = edit(record, to="act_3")
    assert (back.on_expiry, back.escalate_to) == ("escalate", ("cfo",))
    ends = edit(record, to="act_3", rule=Rule(name="ends", then="ask", on_expiry="cancel"))
    assert ends.on_expiry == "cancel"


def test_a_request_is_not_edited_for_ever() -> None:
    with pytest.raises(Conflict, match="reject it"):
        edit(request("apr_1", revision=MOST_EDITS))


def test_who_hands_a_decision_on_has_none_left() -> None:
    record = delegated(request("apr_1", groups=("finance",)), "group:legal", who=BOB, note="away", at=after(1))
    assert record.delegated_to == "group:legal"
    with pytest.raises(NotEligible, match="handed the decision on"):
        vote(record, BOB)
    assert vote(record, person(7, "legal", key="lou")).state == "approved"
    assert vote(record, EVE).state == "approved"
    assert delegated(record, "group:legal", who=BOB, note="", at=after(9)) is record


def hand(record: Approval, who: Person, to: str, *people: Person) -> Approval:
    return delegated(record, to, who=who, note="", at=after(1), people=[each.principal for each in people])


def test_a_decision_is_handed_only_to_whoever_can_take_it() -> None:
    dora, bob, lou = (
        person(number, group, key=key, vouched=True)
        for number, group, key in ((4, "cfo", "dora"), (2, "finance", "bob"), (7, "legal", "lou"))
    )
    record = hand(request("apr_1", groups=("cfo",)), dora, "approver:2", dora, bob, lou)
    for gone in ("approver:4", "group:cfo", "approver:999", "group:none"):
        with pytest.raises(Conflict, match="could decide"):
            hand(record, bob, gone, dora, bob, lou)
    assert vote(hand(record, bob, "group:legal", dora, bob, lou), lou).state == "approved"
    assert hand(record, bob, "approver:4").delegated_to == "approver:4"  # without keys anybody may be anybody
    asked = request("apr_1", requester_may_approve=False, owner="lou")
    with pytest.raises(Conflict, match="could decide"):
        hand(asked, bob, "group:legal", dora, bob, lou)


def test_a_decision_is_not_handed_on_where_too_few_would_be_left() -> None:
    lou = person(7, "legal", key="lou", vouched=True)
    record = hand(request("apr_1", groups=("finance",), quorum=2), ANN, "group:legal", ANN, BOB, lou)
    with pytest.raises(Conflict, match="Too few"):
        hand(record, BOB, "approver:7", ANN, BOB, lou)
    assert hand(record, BOB, "approver:7", ANN, BOB, EVE, lou).delegated_to == "approver:7"


def test_an_edit_that_brings_other_groups_gives_everybody_their_say_back() -> None:
    record = delegated(request("apr_1", groups=("finance",)), "group:legal", who=BOB, note="", at=after(1))
    moved = edit(record, EVE, rule=Rule(name="both", then="ask", groups=("finance", "cfo")))
    assert vote(moved, BOB, seen="act_2").state == "approved"


def test_who_has_voted_or_asked_is_handed_nothing() -> None:
    with pytest.raises(AlreadyVoted):
        delegated(vote(request("apr_1", quorum=2), BOB), "approver:9", who=BOB, note="", at=after(1))
    with pytest.raises(NotEligible):
        delegated(request("apr_1", requester_may_approve=False), "approver:1", who=BOB, note="", at=after(1))
    with pytest.raises(Conflict):
        delegated(request("apr_1"), "approver:2", who=BOB, note="", at=after(1))


def test_the_clock_ends_reminds_or_asks_a_second_group_once() -> None:
    asked = request("apr_1", on_expiry="escalate", escalate_to=("cfo",), expires_in_seconds=60, quorum=2)
    second = lapsed(vote(asked, BOB), after(61))
    third = lapsed(second, after(121))
    assert (second.state, second.round, second.groups, second.votes) == ("pending", 2, ("cfo",), ())
    assert second.expires_at == after(121)
    assert (third.state, lapsed(third, after(999))) == ("expired", third)
    assert lapsed(request("apr_1"), after(60)).state == "expired"
    assert lapsed(asked, after(59)) is asked


def test_a_yes_that_is_not_used_in_time_is_over() -> None:
    record = vote(request("apr_1", execute_within_seconds=10), ANN, at=1)
    assert lapsed(record, after(10)) is record
    assert lapsed(record, after(11)).state == "execution_expired"
    assert lapsed(record.model_copy(update={"state": "claimed"}), after(99)).state == "claimed"


def test_reminders_come_once_each_and_missed_ones_do_not() -> None:
    record = request("apr_1", remind_after_seconds=(10, 20, 50), expires_in_seconds=60, remind_at=after(10))
    assert lapsed(record, after(9)) is record
    first = lapsed(record, after(25))
    assert (first.remind_at, [step.what for step in first.trail]) == (after(50), ["reminded"])
    assert lapsed(first, after(49)) is first
    assert lapsed(first, after(50)).remind_at is None
