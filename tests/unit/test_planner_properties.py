"""What holds for every message: no failure, valid arguments, no change without its verb, linear time."""

import gc
import json
import time
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.actions import Call, Operation
from domain.canonical import canonical
from domain.conversation import Decision, Message, Turn
from tests.planner_catalogue import ALL, decided, earlier_call, finished, no_token
from tools.planner import EmbeddedPlanner

BY_NAME = {(one.service, one.name): one for one in ALL}
VERBS = {
    "addPet": "add create make new insert register place post",
    "deletePet": "delete remove erase drop destroy",
    "placeOrder": "place add create make new insert register post",
    "reserveVehicle": "reserve reservations book",
    "refundOrder": "refund refunds reimburse",
    "lendBook": "lend borrow loan checkout",
    "renewLoan": "renew extend",
    "bookRoom": "book bookings reserve",
    "cancelBooking": "cancel revoke abort annul",
    "update_employee": "update change modify edit set adjust put patch",
    "create_leave_request": "create add make new insert register place post",
    "invoices_send": "send submit deliver",
    "invoices_create": "create add make new insert register place post",
}
SPOKEN = """
the a an of for with and or to from in is was are not don't if because please can you i want show list find get which
what how many pet pets order orders customer vehicle car room book loan member invoice employee status available sold
red named called it that one again same 5 1001 $500 2030-01-31 INV-7 "Ann" 99999999999999999999 1,250.00 12,50 -3 10%
, . ? ! : = under over between salary amount reason check out check in breakfast
"""
WORDS = sorted({*SPOKEN.split(), *(verb for verbs in VERBS.values() for verb in verbs.split())})
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)
WINDOW = (
    Message(role="user", content="show order 1001"),
    earlier_call("cloudapp", "getOrder", {"order_id": 1001}, {"order_id": 1001}),
    Message(role="assistant", content="To refund an order I need: amount. For example: …"),
)
TEXTS = st.one_of(st.text(max_size=300), st.text(st.characters(), max_size=60), SENTENCES)


def assert_valid(decision: Decision) -> None:
    assert len(decision.calls) <= 5
    assert len({canonical([c.service, c.operation, c.arguments]) for c in decision.calls}) == len(decision.calls)
    for call in decision.calls:
        jsonschema.validate(
            call.arguments,
            BY_NAME[call.service, call.operation].arguments,
            cls=jsonschema.Draft202012Validator,
            format_checker=jsonschema.FormatChecker(),
        )
    assert len(decision.text) <= 2_000 or decision.calls
    decision.text.encode()


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_any_text_is_decided_with_valid_arguments(text: str) -> None:
    assert_valid(decided(text))
    assert_valid(decided(text, window=WINDOW))


@given(SENTENCES)
@settings(max_examples=500, deadline=None)
def test_nothing_is_changed_without_one_of_its_verbs(sentence: str) -> None:
    words = {word.strip("'\"").lower() for word in sentence.split()}
    for call in decided(sentence).calls:
        if BY_NAME[call.service, call.operation].effect == "write":
            assert words & set(VERBS[call.operation].split())


@given(SENTENCES, st.sampled_from(["don't ", "do not ", "never ", "if ", "please never "]))
@settings(max_examples=200, deadline=None)
def test_nothing_is_changed_after_a_refusal_or_condition(sentence: str, opening: str) -> None:
    plain = " ".join(word for word in sentence.split() if word not in {",", ".", "?", "!", "and"})
    assert all(BY_NAME[c.service, c.operation].effect == "read" for c in decided(opening + plain).calls)


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES, st.sampled_from(["is pet 3 sold?", "list customers", "delete pet 5", "what's in the inventory?"]))
@settings(max_examples=200, deadline=None)
def test_any_answer_is_reported(body: Any, sentence: str) -> None:
    call = decided(sentence).calls[0]
    decision = decided(sentence, done=(finished(call, body),))
    assert decision.calls == ()
    assert 0 < len(decision.text) <= 2_000


@given(st.text(max_size=200), st.sampled_from(["executed", "failed", "unknown", "rejected", "denied", "invalid"]))
@settings(max_examples=100, deadline=None)
def test_any_text_from_outside_is_reported(body: str, outcome: Any) -> None:
    call = Call(service="petstore", operation="deletePet", arguments={"petId": 5})
    assert 0 < len(decided("delete pet 5", done=(finished(call, body, outcome=outcome),)).text) <= 2_000


PAST = st.fixed_dictionaries(
    {
        "service": st.just("cloudapp"),
        "operation": st.sampled_from(["getOrder", "listOrders", "refundOrder", "gone"]),
        "arguments": st.dictionaries(st.sampled_from(["order_id", "customer_id", "status", "x"]), JSON_VALUES),
        "body": JSON_VALUES,
    }
)


@given(PAST, st.sampled_from(["refund it with $20", "show it", "and order 7?", "and customer 2?", "show them again"]))
@settings(max_examples=300, deadline=None)
def test_whatever_was_called_before_only_valid_arguments_are_carried_over(past: Any, sentence: str) -> None:
    assert_valid(decided(sentence, window=(Message(role="action", content=json.dumps(past)),)))


@given(st.text(max_size=200))
def test_any_window_entry_is_survived(content: str) -> None:
    window = (Message(role="action", content=content), Message(role="assistant", content=content))
    assert_valid(decided("refund it with $20", window=window))


ODD_SCHEMAS: list[dict[str, Any]] = [
    {},
    {"type": "object"},
    {"type": "object", "properties": {"a": True, "b": {}, "c": {"type": ["integer", "null"]}}, "required": ["a", 3]},
    {
        "type": "object",
        "properties": {"": {"type": "string"}, "😀": {"anyOf": [{"type": "null"}, {"type": "integer"}]}},
    },
    {"type": "object", "properties": {"n": {"enum": [None, 1, "x", [1], {"y": 2}]}}},
    {
        "type": "object",
        "properties": {"l": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}},
    },
    {"type": "object", "properties": {"id": {"const": 5}, "x": {"$ref": "#/nowhere"}}},
    {"type": "object", "properties": {"x": {"type": "integer", "$ref": "#/nowhere"}}},
    {"type": "object", "properties": {"x": {"type": "integer", "minimum": "low"}}},
    {"type": "object", "properties": {"x": {"type": "string", "pattern": "("}, "n": {"type": ["nonsense"]}}},
]


@pytest.mark.parametrize("arguments", ODD_SCHEMAS)
@pytest.mark.parametrize("name", ["x", "-", "getThing", "ÄÖÜ", "1", "by_id"])
def test_odd_documents_are_survived(name: str, arguments: dict[str, Any]) -> None:
    odd = Operation(service="", name=name, method="POST", path="", arguments=arguments, effect="write")
    for sentence in ("help", "list thing 5", f"{name} x 1 id 5 n 1", "create thing with x 5"):
        assert decided(sentence, operations=(odd,)).answered_by == "embedded planner"


BOMBS: list[Callable[[int], str]] = [
    lambda size: "a" * size,
    lambda size: '"a\n' * (size // 3),
    lambda size: "“a" * (size // 2),
    lambda size: "1," * (size // 2),
    lambda size: "a." * (size // 2),
    lambda size: "a@" * (size // 2),
    lambda size: "refund order 1001 with $500 and " * (size // 32),
    lambda size: "delete pet 5 or " * (size // 16),
    lambda size: "http://" * (size // 7),
    lambda size: "\u0301" * size,
]


@pytest.mark.parametrize("bomb", BOMBS)
async def test_hostile_texts_of_any_length_take_bounded_time(bomb: Callable[[int], str]) -> None:
    planner = EmbeddedPlanner()
    await planner.decide(Turn(message="hello", operations=ALL), on_token=no_token)
    gc.collect()  # what other tests left is not collected while this one is timed
    started = time.thread_time()
    await planner.decide(Turn(message=bomb(16_000), operations=ALL), on_token=no_token)
    assert time.thread_time() - started < 0.25
