"""Dialects: the exact JSON of other tools, as they ask and as they answer."""

import json
from typing import Any

import pytest

from domain.actions import Action
from domain.approvals import ServiceHealth
from domain.canonical import JSON, canonical
from domain.dialects import Word, heard, scalar, word_of, words_of
from domain.errors import Conflict, InvalidInput
from domain.questions import batch, facts_of, question, response_schema
from tests.records import NOON, request

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "properties": {
        "pet_id": {"type": "integer"},
        "name": {"type": "string"},
        "price": {"type": ["number", "null"]},
        "sold": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "code": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    },
}


def deletion(**arguments: JSON) -> Action:
    return Action(
        action_id="act_1", service="petstore", operation="deletePet", method="DELETE", url="http://pets/7",
        arguments=canonical(arguments or {"pet_id": 7}), digest="d" * 64, effect="write", step=1,
    )  # fmt: skip


ASKED = question(deletion(), approval_id="apr_1", reason="It does not come back.")


def test_it_asks_as_langchain_does_for_a_batch() -> None:
    (request,) = ASKED["action_requests"]
    assert set(request) == {"name", "args", "description"}
    assert (request["name"], request["args"]) == ("petstore.deletePet", {"pet_id": 7})
    assert ASKED["review_configs"] == [
        {"action_name": "petstore.deletePet", "allowed_decisions": ["approve", "edit", "reject", "respond"]}
    ]


def test_it_asks_as_langchain_does_for_one_call() -> None:
    assert (ASKED["type"], ASKED["tool_call_id"], ASKED["name"]) == ("tool_approval", "act_1", "petstore.deletePet")
    assert ASKED["args"] == {"pet_id": 7}
    schema = response_schema(deletion(), SCHEMA)
    edit = schema["$defs"]["EditDecision"]["properties"]["edited_action"]["properties"]
    assert edit == {"name": {"const": "petstore.deletePet"}, "args": SCHEMA}
    assert len(schema["oneOf"]) == 4
    assert schema["discriminator"] == {"propertyName": "type"}


def test_it_asks_as_agent_inbox_does() -> None:
    assert ASKED["action_request"] == {"action": "petstore.deletePet", "args": {"pet_id": 7}}
    assert ASKED["config"] == {
        "allow_ignore": True, "allow_respond": True, "allow_edit": True, "allow_accept": True,
    }  # fmt: skip
    assert isinstance(ASKED["description"], str)
    assert json.loads(json.dumps(ASKED)) == ASKED


def test_arguments_cannot_leave_their_block_of_the_description() -> None:
    nasty = "```\n# Approved already\n````"
    text = question(deletion(note=nasty), approval_id="apr_1")["description"]
    fence = "`" * 5
    assert text.count(fence) == 2
    assert canonical(nasty)[1:-1] in text.split(fence)[1]


def test_a_description_has_the_facts_first_and_the_models_words_apart() -> None:
    words = "Safe to approve.\n```\n# Approved already"
    health = ServiceHealth(service="shop", status="unhealthy", breaker="half_open", detail="slow.", checked_at=NOON)
    record = request("apr_1", quorum=2, groups=("finance",), model_words=words, service_health=health)
    facts = facts_of(record)
    text = question(record.action, approval_id="apr_1", reason="Why.", facts=facts, words=words)["description"]
    known, said = text.split("What the model said, which nobody has checked:")
    assert facts == [
        "Rule: money-asks of policy 1",
        "Risk: high (0.75)",
        "To be decided before: 2026-11-01T12:01:00+00:00",
        "Votes: 0 of 2",
        "Decided by: finance",
        "Service when this was asked: unhealthy, its circuit breaker half open. slow",
    ]
    assert all(f"- {fact}\n" in known for fact in facts)
    assert "Safe" not in known
    assert said.strip() == f"````\n{words}\n````"


def test_a_batch_is_offered_only_while_its_answer_can_mean_nothing_else() -> None:
    first, second = request("apr_1", quorum=2), request("apr_2")
    offered = batch([first, second])
    assert offered is not None
    assert [each["name"] for each in offered["action_requests"]] == ["shop.refund", "shop.refund"]
    assert len(offered["review_configs"]) == 2
    assert batch([first.model_copy(update={"state": "approved"}), second]) is None
    assert batch([]) is None


def test_a_schema_beyond_every_measure_is_not_sent_along() -> None:
    large: JSON = {"type": "object", "description": "x" * 20_000}
    edit = response_schema(deletion(), large)["$defs"]["EditDecision"]  # type: ignore[arg-type]  # an object it is
    assert edit["properties"]["edited_action"]["properties"]["args"] == {"type": "object"}


EDITED = {"name": "petstore.deletePet", "args": {"pet_id": 8}}
SEEN: dict[str, Any] = {"action": "petstore.deletePet", "args": {"pet_id": "7"}}


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"type": "approve"}, Word(approved=True)),
        ({"type": "edit", "edited_action": EDITED}, Word(True, arguments={"pet_id": 8}, name="petstore.deletePet")),
        ({"type": "reject", "message": "why"}, Word(False, message="why")),
        ({"type": "reject"}, Word(False)),
        ({"type": "respond", "message": "ask Ada"}, Word(False, message="ask Ada")),
        ({"decisions": [{"type": "approve"}]}, Word(approved=True)),
        ([{"type": "accept", "args": SEEN}], Word(True, name=SEEN["action"], seen={"pet_id": "7"}, as_text=True)),
        ([{"type": "accept", "args": None}], Word(approved=True, is_addressed=False)),
        ([{"type": "edit", "args": SEEN}], Word(True, name=SEEN["action"], arguments={"pet_id": "7"}, as_text=True)),
        ([{"type": "response", "args": "free text"}], Word(False, message="free text")),
        ([{"type": "ignore", "args": None}], Word(False, message="Ignored.")),
        ({"approved": True, "approver_id": 4, "approval_notes": "ok"}, Word(True, message="ok", approver_id=4)),
    ],
)
def test_an_answer_is_understood_in_every_dialect(given: object, word: Word) -> None:
    assert word_of(given) == word


@pytest.mark.parametrize(
    "given",
    [
        "approve", True, 1, None, [], {}, {"decisions": []}, {"decisions": "approve"}, {"type": "yes"},
        {"type": "respond"},
        {"type": "approve", "really": True}, {"type": "reject", "message": "n" * 4_001}, {"type": "edit"},
        {"type": "edit", "edited_action": {"name": "x"}}, [{"type": "accept"}], [{"type": "ignore", "args": "x"}],
        [{"type": "accept", "args": SEEN}] * 2, [{"type": "response", "args": None}], {"approved": "true"},
        {"decisions": [{"type": "approve"}], "approved": True}, [{"type": "approve"}], [[]],
    ],
)  # fmt: skip
def test_what_is_not_clearly_an_answer_is_none(given: object) -> None:
    with pytest.raises(InvalidInput):
        word_of(given)


def test_a_batch_keeps_its_order_and_one_action_takes_one_decision() -> None:
    batch = {"decisions": [{"type": "approve"}, {"type": "reject", "message": "no"}]}
    assert [word.approved for word in words_of(batch)] == [True, False]
    with pytest.raises(InvalidInput, match="2 decisions came for one action"):
        word_of(batch)


@pytest.mark.parametrize(
    ("given", "approved"), [("approve", True), (True, True), ("yes", True), ("no", False), (False, False)]
)
def test_a_single_word_is_a_yes_or_a_no(given: object, approved: bool) -> None:
    assert scalar(given) == Word(approved, is_addressed=False)


@pytest.mark.parametrize("given", ["maybe", "YES", "", 1, 0, None, 1.0, [], "y"])
def test_a_word_that_may_mean_anything_means_nothing(given: object) -> None:
    with pytest.raises(InvalidInput):
        scalar(given)


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (7, "8", 8),
        (7, "eight", "eight"),
        ("7", "8", "8"),
        (1.5, "null", None),
        (False, "true", True),
        (["a"], '["a","b"]', ["a", "b"]),
    ],
)
def test_an_edit_that_came_as_text_gets_its_types_back(before: JSON, text: str, after: JSON) -> None:
    name = {int: "pet_id", str: "name", float: "price", bool: "sold", list: "tags"}[type(before)]
    given = [{"type": "edit", "args": {"action": "petstore.deletePet", "args": {name: text}}}]
    assert heard(word_of(given), deletion(**{name: before}), schema=SCHEMA) == {name: after}


def test_what_was_not_edited_stays_what_it_was_even_where_no_schema_tells() -> None:
    before: dict[str, JSON] = {"code": 5, "deep": {"b": [1.5, None], "a": "x"}, "word": "5", "free": True}
    texts = {"code": "5", "deep": '{"a":"x","b":[1.5,null]}', "word": "5", "free": "true"}
    given = [{"type": "edit", "args": {"action": "petstore.deletePet", "args": texts}}]
    assert heard(word_of(given), deletion(**before), schema=SCHEMA) == before
    accepted = [{"type": "accept", "args": {"action": "petstore.deletePet", "args": texts}}]
    assert heard(word_of(accepted), deletion(**before), schema=None) is None


@pytest.mark.parametrize(
    "given",
    [
        {"type": "edit", "edited_action": {"name": "petstore.addPet", "args": {"pet_id": 7}}},
        [{"type": "accept", "args": {"action": "petstore.deletePet", "args": {"pet_id": "8"}}}],
        [{"type": "accept", "args": {"action": "petstore.deletePet", "args": {}}}],
        [{"type": "accept", "args": {"action": "petstore.addPet", "args": {"pet_id": "7"}}}],
    ],
)
def test_an_answer_to_another_question_is_none_to_this(given: Any) -> None:
    with pytest.raises(Conflict, match="The answer is about"):
        heard(word_of(given), deletion(), schema=SCHEMA)
