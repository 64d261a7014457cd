"""Numbers that mean another number than their digits: they are understood rightly or not at all."""

from typing import Any

import pytest

from tests.planner_catalogue import ALL, DEMO, NUMBER, decided, said
from tests.planner_catalogue import operation as make
from tools.words.lexing import tokens

NOT_UNDERSTOOD = [
    "-50",
    "\u221250",
    "\u201350",
    "—50",
    "\u2013$50",
    "$\u221250",
    "$-50",
    "minus 50",
    "negative 50",
    "1e3",
    "$1e3",
    "$5e3",
    "$1.5M",
    "$10m",
    "$3bn",
    "5m",
    "5 bn",
    "5 million",
    "$5 million",
    "USD 5 million",
    "$5 thousand",
    "5 hundred",
    "5 hundred thousand",
    "2 dozen",
    "-50 cents",
    "1.5 cents",
    "$50 cents",
    "$5 and 50 cents",
    "50%",
    "$50%",
    "50 per cent",
    "1.000",
    "$1.000",
    "1 000",
    "$1 000",
    "1'000",
    "12,50",
    ".50",
    "$.50",
    "all but $5",
    "everything but $5",
    "all except for $5",
    "half of $10",
    "twice $10",
    "$10 twice",
    "$10 and a half",
    "$10 or more",
    "$5abc",
    "$5-",
    "$50+",
    "$50/2",
    "$5 per item",
    "$5 each",
    "$5/item",
    "- 50",
    "- $50",
    "\u2013 $50",
    "-USD 50",
    "\u2212USD 50",
    "~$50",
    "\u2264 $50",
    "a negative amount of 50",
    "$50 minus $10",
    "about $50",
    "around $50",
    "about 50",
    "approximately 50",
    "roughly $50",
    "almost $50",
    "roughly a $50",
    "$50 less fees",
    "50 less fees",
    "$50 plus tax",
    "$50 plus $10",
    "up to $50",
    "at most $50",
    "at least $50",
    "no more than $50",
]


@pytest.mark.parametrize("amount", NOT_UNDERSTOOD)
def test_an_amount_that_is_not_understood_is_not_proposed(amount: str) -> None:
    decision = decided(f"refund order 1001 with {amount}", operations=DEMO)
    assert decision.calls == ()
    assert decision.text.startswith("I did not understand “")


UNDERSTOOD = [
    ("50", 50),
    ("$50", 50),
    ("$ 50", 50),
    ("$5.", 5),
    ("$5!", 5),
    ("$5 please", 5),
    ("$5 \u2013 thanks", 5),
    ("$5—it was late", 5),
    ("50.-", 50),
    ("+50", 50),
    ("12.5", 12.5),
    ("0.125", 0.125),
    ("$1,200.50", 1200.5),
    ("$1.200,50", 1200.5),
    ("€12,50", 12.5),
    ("1,250", 1250),
    ("10k", 10_000),
    ("$1.5k", 1500),
    ("USD 50", 50),
    ("50 USD", 50),
    ("50 dollars", 50),
    ("50 euros", 50),
    ("500 cents", 5),
    ("50¢", 0.5),
]


@pytest.mark.parametrize(("amount", "value"), UNDERSTOOD)
def test_a_plain_amount_is_understood(amount: str, value: float) -> None:
    decision = decided(f"refund order 1001 with {amount}", operations=DEMO)
    assert said(decision) == [("refundOrder", {"order_id": 1001, "amount": value})]


@pytest.mark.parametrize("dash", ["-", "\u2013", "—", "\u2212"])
def test_a_dash_between_blanks_is_punctuation(dash: str) -> None:
    decision = decided(f"refund order 1001 {dash} $50", operations=DEMO)
    assert said(decision) == [("refundOrder", {"order_id": 1001, "amount": 50})]


PRICES = make("v", "PATCH /vehicles/{vehicle_id}", "updateVehicle", vehicle_id={"type": "integer"}, price=NUMBER)
OTHER_NUMBERS = [
    ("delete pet \u22123", "\u22123"),
    ("delete pet -3", "-3"),
    ("delete pet 1.000", "1.000"),
    ("update vehicle 1 with price \u22121000", "\u22121000"),
    ("update vehicle 1 with price -1000", "-1000"),
    ("update vehicle 1 with price 5 thousand", "5 thousand"),
    ("update vehicle 1 with price 1.000", "1.000"),
    ("place an order for pet 3, quantity \u22122", "\u22122"),
    ("place an order for pet 3, quantity 2 dozen", "2 dozen"),
    ("vehicles under 20 thousand", "20 thousand"),
    ("change the salary of employee 7 to 5 thousand", "5 thousand"),
    ("rooms between 80\u2013150", "80\u2013150"),
]


@pytest.mark.parametrize(("sentence", "odd"), OTHER_NUMBERS)
def test_other_numbers_are_held_to_the_same(sentence: str, odd: str) -> None:
    decision = decided(sentence, operations=(*ALL, PRICES))
    assert decision.calls == ()
    assert decision.text.startswith(f"I did not understand “{odd}”")


def schema(**more: Any) -> dict[str, Any]:
    return {"type": "number", **more}


@pytest.mark.parametrize(
    ("name", "given", "sentence", "value"),
    [
        ("offset", schema(), "offset \u22125", -5),
        ("offset", schema(enum=[-5, 5]), "offset -5", -5),
        ("price", schema(minimum=-10), "price -5", -5),
        ("price", schema(), "price -5", None),
        ("level", schema(enum=[5, 10]), "level -5", None),
        ("level", schema(enum=[-5, -10]), "level 5", None),
        ("amount_cents", {"type": "integer"}, "500 cents", 500),
        ("amount_cents", {"type": "integer"}, "$5", 500),
        ("code", {"type": "string"}, "code 10k", "10000"),
    ],
)
def test_what_an_argument_takes_decides(name: str, given: dict[str, Any], sentence: str, value: Any) -> None:
    arguments: dict[str, Any] = {"probe_id": {"type": "integer"}, name: given}
    made = make("lab", "PATCH /probes/{probe_id}", "updateProbe", **arguments)
    calls = said(decided(f"update probe 7 with {sentence}", operations=(made,)))
    assert calls == ([] if value is None else [("updateProbe", {"probe_id": 7, name: value})])


@pytest.mark.parametrize(
    ("text", "told", "value"),
    [
        ("minus 5", ["minus 5"], None),
        ("half of the 5", ["half of the 5"], None),
        ("all but 5 left", ["all but 5", "left"], None),
        ("5 million dollars", ["5 million", "dollars"], None),
        ("5, million", ["5", ",", "million"], 5),
        ("nobody but 5", ["nobody", "but", "5"], 5),
        ("\u22125", ["\u22125"], -5),
        ("\u20135", ["\u20135"], None),
    ],
)
def test_words_that_make_another_number_belong_to_it(text: str, told: list[str], value: int | None) -> None:
    found = tokens(text)
    assert [token.text for token in found] == told
    assert [token.value for token in found if token.kind == "number"] == [value]
