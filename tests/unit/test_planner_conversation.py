"""What a message takes from earlier turns, and what is answered from them without a call."""

from typing import Any

import pytest

from domain.conversation import Message
from tests.planner_catalogue import DEMO, decided, earlier_call, said

type Window = tuple[Message, ...]


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(text: str) -> Message:
    return Message(role="assistant", content=text)


SHOWN_ORDER: Window = (
    user("show order 1001"),
    earlier_call("cloudapp", "getOrder", {"order_id": 1001}),
    assistant("…"),
)
SHOWN_PET: Window = (user("is pet 3 sold?"), earlier_call("petstore", "getPetById", {"petId": 3}), assistant("No."))
LISTED: Window = (user("orders of customer 1"), earlier_call("cloudapp", "listOrders", {"customer_id": 1}, []))
REFUNDED: Window = (
    user("refund order 1001 with $20"),
    earlier_call("cloudapp", "refundOrder", {"order_id": 1001, "amount": 20}, {"refund_id": 7}),
    assistant("Done."),
)
ADDED: Window = (user("add a pet named Rex"), earlier_call("petstore", "addPet", {"name": "Rex"}, {"id": 10}))
ASKED_AMOUNT: Window = (
    user("refund order 1001"),
    assistant("To refund an order I need: amount. For example: refund order 1 with amount 10.5"),
)
ASKED_TWICE: Window = (
    user("refund"),
    assistant("To refund an order I need: order_id, amount. For example: …"),
    user("order_id 1001"),
    assistant("To refund an order I need: amount. For example: …"),
)
ASKED_NAME: Window = (user("add a pet"), assistant('To add a pet I need: name. For example: add pet with name "…"'))

CARRIED: list[tuple[Window, str, str, dict[str, Any], str]] = [
    (SHOWN_ORDER, "refund it with $20", "refundOrder", {"order_id": 1001, "amount": 20}, "order_id 1001"),
    (SHOWN_ORDER, "refund the same order with $5", "refundOrder", {"order_id": 1001, "amount": 5}, "order_id 1001"),
    (SHOWN_ORDER, "what is its status?", "getOrder", {"order_id": 1001}, "order_id 1001"),
    (SHOWN_PET, "is that one still available?", "getPetById", {"petId": 3}, "petId 3"),
    (SHOWN_PET, "delete it", "deletePet", {"petId": 3}, "petId 3"),
    (SHOWN_PET, "and pet 4?", "getPetById", {"petId": 4}, "getPetById"),
    (SHOWN_PET, "what about 4?", "getPetById", {"petId": 4}, "getPetById"),
    (LISTED, "and customer 2?", "listOrders", {"customer_id": 2}, "listOrders"),
    (LISTED, "show them again", "listOrders", {"customer_id": 1}, "customer_id 1"),
    (REFUNDED, "show it", "getOrder", {"order_id": 1001}, "order_id 1001"),
    (ADDED, "delete it", "deletePet", {"petId": 10}, "petId 10"),
]


@pytest.mark.parametrize(("window", "sentence", "operation", "arguments", "taken"), CARRIED)
def test_what_was_said_before_is_carried_over_and_told(
    window: Window, sentence: str, operation: str, arguments: dict[str, Any], taken: str
) -> None:
    decision = decided(sentence, operations=DEMO, window=window)
    assert said(decision) == [(operation, arguments)]
    assert decision.text == f"{taken} taken from earlier in this conversation."


COMPLETED: list[tuple[Window, str, str, dict[str, Any]]] = [
    (ASKED_AMOUNT, "$500", "refundOrder", {"order_id": 1001, "amount": 500}),
    (ASKED_AMOUNT, "500", "refundOrder", {"order_id": 1001, "amount": 500}),
    (
        ASKED_AMOUNT,
        "with $20 because broken",
        "refundOrder",
        {"order_id": 1001, "amount": 20, "reason": "broken"},
    ),
    (ASKED_AMOUNT, "show order 1002", "getOrder", {"order_id": 1002}),
    (ASKED_TWICE, "$20", "refundOrder", {"order_id": 1001, "amount": 20}),
    (ASKED_NAME, "Rex", "addPet", {"name": "Rex"}),
]


@pytest.mark.parametrize(("window", "sentence", "operation", "arguments"), COMPLETED)
def test_the_answer_to_a_question_for_arguments_completes_the_request(
    window: Window, sentence: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert said(decided(sentence, operations=DEMO, window=window)) == [(operation, arguments)]


ANSWERED: list[tuple[Window, str, str]] = [
    (REFUNDED, "what did I ask before?", "Your last message was: “refund order 1001 with $20”."),
    (REFUNDED, "What was my last message?", "Your last message was: “refund order 1001 with $20”."),
    (
        SHOWN_PET + REFUNDED,
        "what was my first question?",
        "Your earliest message I still have was: “is pet 3 sold?”.",
    ),
    (REFUNDED, "what did you say?", "My last reply was: “Done.”."),
    (
        REFUNDED,
        "what did you do?",
        "In what I remember of this conversation I proposed these calls:\n"
        "- refundOrder (amount 20, order_id 1001): executed",
    ),
    (
        REFUNDED,
        "summarize our conversation",
        "What I remember of this conversation:\nuser: refund order 1001 with $20\nassistant: Done.",
    ),
    ((), "what did I ask before?", "I remember no earlier message of this conversation."),
    ((), "what did you do?", "In what I remember of this conversation I called no service."),
    ((), "is that one still available?", "I do not know which one you mean: name it, with its number."),
    (
        REFUNDED,
        "the same for order 1002",
        "I change nothing without being told what to do. Say it in full: refund order 1002 with amount 20",
    ),
]


@pytest.mark.parametrize(("window", "sentence", "answer"), ANSWERED)
def test_questions_about_the_conversation_are_answered_from_it(window: Window, sentence: str, answer: str) -> None:
    decision = decided(sentence, operations=DEMO, window=window)
    assert (decision.calls, decision.text) == ((), answer)


def test_a_refusal_does_not_complete_a_request() -> None:
    assert decided("never mind", operations=DEMO, window=ASKED_AMOUNT).calls == ()
    assert decided("no", operations=DEMO, window=ASKED_AMOUNT).calls == ()


@pytest.mark.parametrize("number", [2**60, "5", None, 1.5, True, [1]])
def test_a_number_that_cannot_be_carried_over_is_asked_for(number: Any) -> None:
    window = (earlier_call("petstore", "addPet", {"name": "Rex"}, {"id": number}),)
    decision = decided("delete it", operations=DEMO, window=window)
    assert decision.calls == ()
    assert decision.text.startswith("To delete a pet I need: petId.")


def test_window_entries_that_cannot_be_read_are_passed_over() -> None:
    broken = (*SHOWN_ORDER, Message(role="action", content='{"service": "cloudapp", "opera …'))
    decision = decided("refund it with $20", operations=DEMO, window=broken)
    assert said(decision) == [("refundOrder", {"order_id": 1001, "amount": 20})]
