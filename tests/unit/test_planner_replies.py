"""What is told about results: the data's own words, and never more than it says."""

from typing import Any

import pytest

from domain.actions import Call, Outcome
from domain.conversation import Notice, Passage, Turn
from tests.planner_catalogue import ALL, decided, finished, replied
from tools.planner import UNCONFIGURED, EmbeddedPlanner

LUNA = {"id": 3, "name": "Luna", "category": {"id": 1, "name": "Cats"}, "photoUrls": [], "status": "available"}
CAR = {"vehicle_id": 4, "make": "Toyota", "color": "red", "price": 18000.5, "available": False}
ORDER = {"order_id": 1001, "customer_id": 1, "status": "shipped", "total": 49.9, "refunded": 0, "refunds": []}

REPLIES: list[tuple[str, Any, str]] = [
    (
        "is there a red car?",
        [CAR],
        "Yes, 1 vehicle matches color red:\n- vehicle id 4: make Toyota, color red, price 18000.5, available false",
    ),
    ("is there a red car?", [], "No vehicles match color red."),
    ("list customers", [], "There are no customers."),
    (
        "is pet 3 still available?",
        LUNA,
        "Yes, pet 3 (Luna) is available.\n- Luna (id 3): category Cats, status available",
    ),
    ("is pet 3 sold?", LUNA, "No, pet 3 (Luna) is available.\n- Luna (id 3): category Cats, status available"),
    ("isn't pet 3 sold?", LUNA, "pet 3 (Luna): category Cats, status available"),
    ("is pet 3 happy?", LUNA, "pet 3 (Luna): category Cats, status available"),
    (
        "is vehicle 4 available?",
        CAR,
        "No, vehicle 4 is not available.\n- vehicle id 4: make Toyota, color red, price 18000.5, available false",
    ),
    ("was order 1001 refunded?", ORDER, "order 1001: customer id 1, status shipped, total 49.9, refunded 0"),
    ("show pet 3", LUNA, "pet 3 (Luna): category Cats, status available"),
    ("what's in the inventory?", {"sold": 3, "available": 7}, "getInventory: sold 3, available 7"),
    ("what segment is customer 2 in?", {"customer_id": 2, "segment": "loyal"}, "customer 2: segment loyal"),
    (
        "list invoices",
        {"items": [{"invoice_id": "INV-1", "state": "paid"}], "total": 135, "next": "abc"},
        "1 of 135 invoices:\n- invoice id INV-1: state paid",
    ),
    (
        "list customers",
        [{"customer_id": 1, "name": "Ann", "password": "hidden"}],
        "1 customer:\n- Ann (customer id 1)",
    ),
    ("list rooms with balcony", "not json", "listRooms (balcony true): not json"),
    ("list members", "", "listMembers: the service answered without content."),
    (
        "refund order 1001 with $500",
        {"refund_id": 7, "amount": 500},
        "Done: refundOrder (amount 500, order_id 1001); answer: refund id 7: amount 500.",
    ),
    ("delete pet 5", "", "Done: deletePet (petId 5); the service answered with status 200 and no content."),
]


@pytest.mark.parametrize(("sentence", "body", "reply"), REPLIES)
def test_a_reply_names_the_data(sentence: str, body: Any, reply: str) -> None:
    assert replied(sentence, body) == reply


OUTCOMES: list[tuple[Outcome, int | None, str, str]] = [
    ("rejected", None, "Too much.", "{} was not approved: Too much. Nothing was sent."),
    ("rejected", None, "", "{} was not approved. Nothing was sent."),
    ("denied", None, "Above 100", "{} is not allowed here: Above 100. Nothing was sent."),
    ("failed", 409, '{"detail": "Too much."}', "{} failed: the service answered 409: Too much."),
    ("failed", None, "No connection.", "{} failed: No connection."),
    ("unknown", None, "", "I could not find out whether {} happened; a person must check."),
    ("invalid", None, "amount is 0", "{} was not sent, because its arguments do not fit: amount is 0."),
]


@pytest.mark.parametrize(("outcome", "status", "body", "reply"), OUTCOMES)
def test_what_did_not_succeed_is_told_as_it_is(outcome: Outcome, status: int | None, body: str, reply: str) -> None:
    told = replied("refund order 1001 with $500", body, outcome=outcome, status=status)
    assert told == reply.format("refundOrder (amount 500, order_id 1001)")


def test_two_questions_are_answered_in_the_order_asked() -> None:
    told = replied("is there a red car, and is pet 3 still available?", [], {**LUNA, "status": "sold"})
    assert told.split("\n")[:2] == ["No vehicles match color red.", "No, pet 3 (Luna) is sold."]


def test_long_lists_are_bounded_and_say_how_much_is_left_out() -> None:
    told = replied("how many pets are sold?", [{"id": number, "status": "sold"} for number in range(1, 28)])
    lines = told.split("\n")
    assert (lines[0], lines[-1], len(lines)) == ("27 pets match status sold:", "… and 7 more", 22)


def test_no_reply_is_longer_than_two_thousand_characters() -> None:
    wide = {f"field_{number}": "x" * 500 for number in range(50)}
    assert len(replied("list customers and orders", [wide] * 40, [wide] * 40)) <= 2_000
    assert len(replied("show pet 3", wide)) <= 2_000


def test_what_could_not_be_called_is_told_beside_the_results() -> None:
    told = replied("show order 1001 and refund order 1002", ORDER)
    assert told.split("\n")[1].startswith("To refund an order I need: amount.")


def test_an_action_whose_arguments_a_human_edited_is_reported_with_the_edited_ones() -> None:
    call = decided("refund order 1001 with $500").calls[0]
    edited = call.model_copy(update={"arguments": {"order_id": 1001, "amount": 20}})
    decision = decided("refund order 1001 with $500", done=(finished(edited, {"refund_id": 7}),))
    assert decision.text == "Done: refundOrder (amount 20, order_id 1001); answer: refund id 7."
    assert decision.calls == ()


def test_actions_another_model_proposed_are_reported_without_own_notes() -> None:
    call = Call(service="cloudapp", operation="refundOrder", arguments={"order_id": 1001, "amount": 20})
    decision = decided("refund order 1001 in full", done=(finished(call, {"refund_id": 7}),))
    assert decision.text == "Done: refundOrder (amount 20, order_id 1001); answer: refund id 7."


POLICY = Passage(document_id="d1", chunk_id="c1", title="Terms", text="Our refund policy: 30 days.", score=0.9)


def test_a_document_answers_what_no_operation_fits() -> None:
    told = "From the connected documents:\n\n“Our refund policy: 30 days.” — Terms [c1]"
    assert decided("what is the refund policy?", passages=(POLICY,)).text == told


def test_a_long_document_is_quoted_in_part() -> None:
    long = POLICY.model_copy(update={"text": POLICY.text + " And so on." * 1_000})
    told = decided("what is the refund policy?", passages=(long,)).text
    assert len(told) < 700
    quote = told.partition("“")[2].partition("”")[0]
    assert quote in long.text
    assert quote.endswith("And so on.")


def test_a_quote_begins_with_what_is_said_not_with_the_heading_above_it() -> None:
    page = POLICY.model_copy(
        update={"text": "# Terms\n\n## Refunds\n\nOur refund policy:\n30 days. Paid back.\n\n## End"}
    )
    heading = POLICY.model_copy(update={"text": "# Refund policy", "chunk_id": "c2"})
    told = decided("what is the refund policy?", passages=(heading, page)).text
    assert told == "From the connected documents:\n\n“Our refund policy:\n30 days. Paid back.” — Terms [c1]"


def test_a_passage_that_answers_much_worse_than_the_first_is_not_quoted() -> None:
    other = POLICY.model_copy(update={"text": "Something else.", "score": 0.4, "chunk_id": "c2"})
    told = decided("what is the refund policy?", passages=(POLICY, other)).text
    assert ("[c1]" in told, "[c2]" in told) == (True, False)


@pytest.mark.parametrize("sentence", ["tell me a joke", "hello", "refund order 1001"])
def test_a_document_that_does_not_fit_is_not_quoted(sentence: str) -> None:
    unsure = POLICY.model_copy(update={"score": 0.1})
    assert "Terms" not in decided(sentence, passages=(unsure,)).text


def test_a_document_is_quoted_for_what_it_means_though_it_has_other_words() -> None:
    told = decided("how long may I bring goods back?", passages=(POLICY,)).text
    assert told.endswith("“Our refund policy: 30 days.” — Terms [c1]")


def test_a_document_does_not_keep_a_command_from_being_carried_out() -> None:
    assert [call.operation for call in decided("refund order 1001 with $500", passages=(POLICY,)).calls] == [
        "refundOrder"
    ]


async def test_a_reply_is_streamed_in_pieces_that_join_to_it() -> None:
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    decision = await EmbeddedPlanner().decide(Turn(message="help", operations=ALL), on_token=hear)
    assert "".join(heard) == decision.text
    assert len(heard) > 3


async def test_calls_are_decided_in_silence() -> None:
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    await EmbeddedPlanner().decide(Turn(message="list customers", operations=ALL), on_token=hear)
    assert heard == []


def test_it_says_what_it_is() -> None:
    decision = decided("hello")
    assert (decision.answered_by, decision.notices) == ("embedded planner", (UNCONFIGURED,))


async def test_the_notices_are_those_it_was_made_with() -> None:
    down = Notice(port="model", mode="degraded", reason="It does not answer.", lost="Free-form understanding.")

    async def hear(_: str) -> None:
        return None

    decision = await EmbeddedPlanner(notices=(down,)).decide(Turn(message="hello"), on_token=hear)
    assert decision.notices == (down,)


def test_a_message_too_long_to_read_is_marked() -> None:
    assert decided("list customers").truncated is False
    assert decided("list customers " + "please " * 1_000).truncated is True
