"""Which documents a filter matches, and which filters are refused."""

import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Decimal128, Regex

from checkpoints.embedded.body import copied
from checkpoints.embedded.query import matcher
from domain.errors import UnsupportedQuery

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
ONE = datetime(2026, 11, 1, 13, tzinfo=UTC)

MATCHES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("equal values match", {"a": 1}, {"a": 1}),
    ("an integer equals a float", {"a": 1}, {"a": 1.0}),
    ("a large integer equals itself", {"a": 2**60 + 1}, {"a": 2**60 + 1}),
    ("null matches null", {"a": None}, {"a": None}),
    ("null matches what is missing", {}, {"a": None}),
    ("null matches below a scalar", {"a": 5}, {"a.b": None}),
    ("null matches an element without the field", {"a": [{"b": 1}, {}]}, {"a.b": None}),
    ("a path reaches into documents", {"a": {"b": {"c": 1}}}, {"a.b.c": 1}),
    ("a path spreads over arrays", {"a": [{"b": 1}, {"b": 2}]}, {"a.b": 2}),
    ("a path names a place in an array", {"a": [5, 6]}, {"a.1": 6}),
    ("a value matches an element", {"a": [1, 2]}, {"a": 2}),
    ("an array matches as a whole", {"a": [1, 2]}, {"a": [1, 2]}),
    ("an array matches an element", {"a": [[1, 2], 3]}, {"a": [1, 2]}),
    ("a document matches as a whole", {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}),
    ("every condition holds", {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    ("a range holds", {"a": 5}, {"a": {"$gt": 4, "$lt": 6}}),
    ("different elements may meet the two ends of a range", {"a": [1, 9]}, {"a": {"$gt": 4, "$lt": 6}}),
    ("bounds are included", {"a": 5}, {"a": {"$gte": 5, "$lte": 5}}),
    ("null is at least null", {}, {"a": {"$gte": None}}),
    ("times compare", {"a": NOON}, {"a": {"$lt": ONE}}),
    (
        "times are equal to the millisecond",
        {"a": NOON.replace(microsecond=1500)},
        {"a": NOON.replace(microsecond=1999)},
    ),
    ("NaN equals NaN", {"a": math.nan}, {"a": math.nan}),
    ("one of several", {"a": 2}, {"a": {"$in": [1, 2]}}),
    ("one of several may be missing", {}, {"a": {"$in": [None]}}),
    ("an element may be one of several", {"a": [3, 2]}, {"a": {"$in": [1, 2]}}),
    ("none of several", {"a": 3}, {"a": {"$nin": [1, 2]}}),
    ("what is missing is none of several", {}, {"a": {"$nin": [1, 2]}}),
    ("what is missing differs", {}, {"a": {"$ne": 1}}),
    ("what exists exists, even null", {"a": None}, {"a": {"$exists": True}}),
    ("what is missing does not exist", {}, {"a": {"$exists": False}}),
    ("either of two", {"b": 2}, {"$or": [{"a": 1}, {"b": 2}]}),
    ("both of two", {"a": 1, "b": 2}, {"$and": [{"a": 1}, {"b": 2}]}),
    ("neither of two", {"a": 3}, {"$nor": [{"a": 1}, {"b": 2}]}),
    ("not greater, so also missing", {}, {"a": {"$not": {"$gt": 1}}}),
    ("so many elements", {"a": [1, 2]}, {"a": {"$size": 2}}),
    ("all of several", {"a": [1, 2, 3]}, {"a": {"$all": [3, 1]}}),
    ("one element meets all", {"a": [1, 5]}, {"a": {"$elemMatch": {"$gt": 4, "$lt": 6}}}),
    ("one document meets all", {"a": [{"b": 1, "c": 2}]}, {"a": {"$elemMatch": {"b": 1, "c": {"$gt": 1}}}}),
    ("everything matches nothing asked", {"a": 1}, {}),
]

DIFFERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("true is not one", {"a": True}, {"a": 1}),
    ("one is not true", {"a": 1}, {"a": True}),
    ("neighbours beyond 2**53 differ", {"a": 2**60}, {"a": 2**60 + 1}),
    ("a number is never above a text", {"a": "5"}, {"a": {"$gt": 4}}),
    ("a text is never below a number", {"a": 5}, {"a": {"$lt": "9"}}),
    ("what is missing is above nothing", {}, {"a": {"$gt": 0}}),
    ("null is above nothing", {"a": None}, {"a": {"$lte": 0}}),
    ("NaN is below nothing", {"a": math.nan}, {"a": {"$lt": 5}}),
    ("null differs from a value", {"a": 0}, {"a": None}),
    ("null does not match below an array of scalars", {"a": [1]}, {"a.b": None}),
    ("the order of fields counts", {"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}),
    ("part of a document is another document", {"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}),
    ("an element that equals is no difference", {"a": [1, 2]}, {"a": {"$ne": 2}}),
    ("no element meets both ends", {"a": [1, 9]}, {"a": {"$elemMatch": {"$gt": 4, "$lt": 6}}}),
    ("elements are asked for, not the value", {"a": 5}, {"a": {"$elemMatch": {"$gt": 4}}}),
    ("a scalar has no size", {"a": 1}, {"a": {"$size": 1}}),
    ("all of nothing", {"a": [1]}, {"a": {"$all": []}}),
    ("one is missing from all", {"a": [1]}, {"a": {"$all": [1, 2]}}),
    ("an empty array exists", {"a": []}, {"a": {"$exists": False}}),
]

REFUSED: list[dict[str, Any]] = [
    {"a": {"$regex": "x"}},
    {"a": re.compile("x")},
    {"a": Regex("x")},
    {"a": Decimal128("1")},
    {"a": {"$gt": 1, "b": 2}},
    {"a": {"$type": "string"}},
    {"a": {"$in": 1}},
    {"a": {"$in": [re.compile("x")]}},
    {"a": {"$exists": 1}},
    {"a": {"$size": -1}},
    {"a": {"$not": 1}},
    {"a": {"$all": [{"$elemMatch": {"b": 1}}]}},
    {"a": {"$elemMatch": 1}},
    {"$and": []},
    {"$or": {"a": 1}},
    {"$nor": [1]},
    {"$expr": {"$eq": ["$a", "$b"]}},
    {"$where": "true"},
    {"$text": {"$search": "x"}},
    {"a..b": 1},
    {"": 1},
    {"a.$": 1},
]


@pytest.mark.parametrize(("document", "conditions"), [row[1:] for row in MATCHES], ids=[row[0] for row in MATCHES])
def test_matches(document: dict[str, Any], conditions: dict[str, Any]) -> None:
    assert matcher(copied(conditions))(copied(document))


@pytest.mark.parametrize(("document", "conditions"), [row[1:] for row in DIFFERS], ids=[row[0] for row in DIFFERS])
def test_does_not_match(document: dict[str, Any], conditions: dict[str, Any]) -> None:
    assert not matcher(copied(conditions))(copied(document))


@pytest.mark.parametrize("conditions", REFUSED, ids=str)
def test_a_filter_outside_the_common_subset_is_refused(conditions: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedQuery):
        matcher(copied(conditions))
