"""How a service is asked whether something happened, and what its answer means."""

import pytest

from domain.actions import Lookup, Operation
from domain.canonical import JSON
from tools.lookups import assured, filled, says_yes
from tools.openapi import Offer

PAY = Operation(
    service="shop", name="pay", method="POST", path="/p", arguments={}, places={"order": "body"}, effect="write"
)
FIND = Operation(
    service="shop", name="find", method="GET", path="/p", arguments={}, places={"key": "query"}, effect="read"
)


def lookup(**more: object) -> Lookup:
    return Lookup.model_validate({"operation": "find", "arguments": {"key": "$key"}, **more})


@pytest.mark.parametrize(
    ("found", "answer", "yes"),
    [
        ("", [], False),
        ("", [{"id": 1}], True),
        ("", {}, False),
        ("", None, False),
        ("", True, True),
        ("/0", [0], False),
        ("/0/id", [{"id": "x"}], True),
        ("/1", [{"id": "x"}], False),
        ("/items", {"items": []}, False),
        ("/items/0/paid", {"items": [{"paid": False}]}, False),
        ("/a~1b/~0", {"a/b": {"~": 1}}, True),
        ("/a/b", {"a": "text"}, False),
        ("/total", {"total": 0}, False),
    ],
)
def test_what_stands_at_the_place_means_yes_unless_it_is_nothing(found: str, answer: JSON, *, yes: bool) -> None:
    assert says_yes(lookup(found=found), answer) is yes


def test_key_and_arguments_of_the_action_are_filled_in() -> None:
    asked = lookup(arguments={"key": "$key", "order": "$arguments.order", "limit": 1, "memo": "$arguments.memo"})
    assert filled(asked, key="k1", arguments={"order": 7}) == {"key": "k1", "order": 7, "limit": 1}


def test_an_operation_is_as_sure_as_the_operator_says() -> None:
    offer = assured(Offer((PAY, FIND)), idempotent={"pay": True}, lookups={"pay": lookup()})
    pay, find = offer.operations
    assert (pay.idempotency_key, pay.lookup, find.lookup, offer.skipped) == (True, lookup(), None, {})


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (lookup(operation="search"), "its lookup search is not offered"),
        (lookup(operation="pay"), "its lookup pay is not a read"),
        (lookup(arguments={"ref": "$key"}), 'its lookup find has no argument "ref"'),
        (lookup(arguments={"key": "$arguments.memo"}), 'its lookup names "memo", which is no argument of pay'),
    ],
)
def test_an_operation_whose_lookup_cannot_work_is_not_offered(asked: Lookup, reason: str) -> None:
    offer = assured(Offer((PAY, FIND)), idempotent={}, lookups={"pay": asked})
    assert ([each.name for each in offer.operations], offer.skipped) == (["find"], {"pay": reason})
