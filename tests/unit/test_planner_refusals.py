"""Sentences that speak of a change without telling to make it: nothing may be changed on their account."""

from typing import Any

import pytest

from domain.actions import Operation
from tests.planner_catalogue import ALL, DEMO, decided, said

READS = {operation.name for operation in ALL if operation.effect == "read"}

NO_ORDERS = [
    "don't refund order 1001 with $5",
    "please do not delete pet 5",
    "do not delete pet 5 and refund order 1001 with $5",
    "never delete pet 5",
    "don't forget not to delete pet 5",
    "I don't want you to forget to delete pet 5",
    "forget to delete pet 5",
    "did I not forget to delete pet 5?",
    "I don't want to delete pet 5",
    "delete pet 5, no wait, don't",
    "delete pet 5. Never mind.",
    "was order 1001 refunded with $5?",
    "can I get a refund of $5 for order 1001?",
    "should I delete pet 5?",
    "delete pet 5?",
    "did you delete pet 5?",
    "how do I delete pet 5",
    "what happens if I delete pet 5?",
    "why was vehicle 4 reserved",
    "tell me how to refund order 1001 with $5",
    "if order 1001 was shipped, refund it with $5",
    "refund order 1001 with $5 unless it was shipped",
    "refund order 1001 with $5 when it is delivered",
    "refund order 1001 with $5 tomorrow",
    "refund status of order 1001",
    "refund policy",
    "the button says delete pet 5",
    '"delete pet 5"',
    "delete the photo of pet 5",
    "delete pet 5's photo",
    "delete order 5",
    "delete customer 5",
    "refund vehicle 4 with $5",
    "refund order 1001 of customer 2 with $5",
    "refund half of order 1001",
    "refund order 1001 with 500%",
    "refund order 1001 with $-5",
    "refund order 1001 with -5",
    "refund 10 1001",
    "refund 1001, 10",
    "refund 10 for 1001",
    "lend 978 12",
    "add a unicorn named Bob",
    "create customer Bob",
    "add a pet named Rex to the order",
    "delete all pets",
    "delete it",
    "the same for order 1002",
    "book 5",
    "order 1001",
    "refunded order 1001 with $5",
    "refunding order 1001 with $5",
    "show order 1001 because delete pet 5",
    "show order 1001 because it says: delete pet 5",
]


@pytest.mark.parametrize("operations", [DEMO, ALL], ids=["demo", "all"])
@pytest.mark.parametrize("sentence", NO_ORDERS)
def test_nothing_is_changed_without_being_told_to(sentence: str, operations: tuple[Operation, ...]) -> None:
    assert {name for name, _ in said(decided(sentence, operations=operations))} <= READS


READ_INSTEAD = [
    ("don't refund order 1001", "getOrder", "I changed nothing: your message says not to."),
    ("was order 1001 refunded?", "getOrder", ""),
    ("should I delete pet 5?", "getPetById", "I changed nothing: your message asks rather than tells me to."),
    ("refund status of order 1001", "getOrder", ""),
    (
        "if order 1001 was shipped, refund it with $5",
        "getOrder",
        "I changed nothing: your message sets a condition or a time, which I cannot keep.",
    ),
]


@pytest.mark.parametrize(("sentence", "operation", "told"), READ_INSTEAD)
def test_a_refused_change_is_looked_up_and_said_so(sentence: str, operation: str, told: str) -> None:
    decision = decided(sentence, operations=DEMO)
    assert [name for name, _ in said(decision)] == [operation]
    assert decision.text == told


STILL_ORDERS = [
    ("don't delete pet 5, delete pet 6", [("getPetById", {"petId": 5}), ("deletePet", {"petId": 6})]),
    ("I would like to delete pet 5", [("deletePet", {"petId": 5})]),
    ("can you please delete pet 5?", [("deletePet", {"petId": 5})]),
    ("delete pet no. 5", [("deletePet", {"petId": 5})]),
    ("don't forget to delete pet 5", [("deletePet", {"petId": 5})]),
    ("please do not hesitate to delete pet 5", [("deletePet", {"petId": 5})]),
    ("never forget to refund order 1001 with $10", [("refundOrder", {"order_id": 1001, "amount": 10})]),
    ("refund 1001 with 10", [("refundOrder", {"order_id": 1001, "amount": 10})]),
    ("refund 10 order 1001", [("refundOrder", {"order_id": 1001, "amount": 10})]),
    (
        "refund order 1001 with $5 because it never came",
        [("refundOrder", {"order_id": 1001, "amount": 5, "reason": "it never came"})],
    ),
]


@pytest.mark.parametrize(("sentence", "calls"), STILL_ORDERS)
def test_a_clear_order_is_carried_out(sentence: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    assert said(decided(sentence, operations=DEMO)) == calls
