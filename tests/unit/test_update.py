"""What update operators make of a document, and which are refused."""

from typing import Any

import pytest
from pymongo.errors import WriteError

from checkpoints.embedded.update import Update, seed
from domain.errors import UnsupportedQuery

CHANGES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("a field is set", {"a": 1}, {"$set": {"a": 2, "b": 3}}, {"a": 2, "b": 3}),
    ("documents grow on the way", {}, {"$set": {"a.b.c": 1}}, {"a": {"b": {"c": 1}}}),
    ("an element is set", {"a": [{"b": 1}]}, {"$set": {"a.0.b": 2}}, {"a": [{"b": 2}]}),
    ("an array is filled up", {"a": [1]}, {"$set": {"a.2": 3}}, {"a": [1, None, 3]}),
    ("a field goes", {"a": 1, "b": {"c": 1, "d": 2}}, {"$unset": {"a": "", "b.c": ""}}, {"b": {"d": 2}}),
    ("what is missing stays missing", {"a": 1}, {"$unset": {"b.c": ""}}, {"a": 1}),
    ("an element gives way to null", {"a": [1, 2]}, {"$unset": {"a.0": ""}}, {"a": [None, 2]}),
    ("a number grows", {"a": 1}, {"$inc": {"a": 2, "b": -1}}, {"a": 3, "b": -1}),
    ("nothing is set on insert", {"a": 1}, {"$setOnInsert": {"b": 1}}, {"a": 1}),
    ("a value is pushed", {"a": [1]}, {"$push": {"a": 2, "b": [3]}}, {"a": [1, 2], "b": [[3]]}),
    ("several are pushed", {"a": [1]}, {"$push": {"a": {"$each": [2, 3]}}}, {"a": [1, 2, 3]}),
    ("the last stay", {"a": [1, 2]}, {"$push": {"a": {"$each": [3], "$slice": -2}}}, {"a": [2, 3]}),
    ("the first stay", {"a": [1, 2]}, {"$push": {"a": {"$each": [3], "$slice": 2}}}, {"a": [1, 2]}),
    ("none stays", {"a": [1]}, {"$push": {"a": {"$each": [], "$slice": 0}}}, {"a": []}),
    ("a set takes what is new", {"a": [1]}, {"$addToSet": {"a": {"$each": [1.0, 2, 2]}}}, {"a": [1, 2]}),
    ("true is new beside one", {"a": [1]}, {"$addToSet": {"a": True}}, {"a": [1, True]}),
    ("equal values are pulled", {"a": [1, 2, 1]}, {"$pull": {"a": 1}}, {"a": [2]}),
    ("a range is pulled", {"a": [1, 5, 9]}, {"$pull": {"a": {"$gte": 5}}}, {"a": [1]}),
    ("documents are pulled", {"a": [{"b": 1, "c": 2}, {"b": 2}]}, {"$pull": {"a": {"b": 1}}}, {"a": [{"b": 2}]}),
    ("nothing is pulled from nothing", {}, {"$pull": {"a": 1}}, {}),
    ("the lesser stays", {"a": 5, "b": 5}, {"$min": {"a": 3, "b": 9, "c": 1}}, {"a": 3, "b": 5, "c": 1}),
    ("the greater stays", {"a": 5, "b": 5}, {"$max": {"a": 3, "b": 9, "c": 1}}, {"a": 5, "b": 9, "c": 1}),
]

IMPOSSIBLE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a text does not grow", {"a": "1"}, {"$inc": {"a": 1}}),
    ("null does not grow", {"a": None}, {"$inc": {"a": 1}}),
    ("a scalar has no fields", {"a": 1}, {"$set": {"a.b": 1}}),
    ("an array has no names", {"a": [1]}, {"$set": {"a.b": 1}}),
    ("nothing is pushed to a scalar", {"a": 1}, {"$push": {"a": 1}}),
    ("nothing is added to a scalar", {"a": 1}, {"$addToSet": {"a": 1}}),
    ("nothing is pulled from a scalar", {"a": 1}, {"$pull": {"a": 1}}),
    ("one path is changed once", {}, {"$set": {"a": 1}, "$inc": {"a": 1}}),
    ("a path is changed or what is below", {}, {"$set": {"a.b": 1}, "$unset": {"a": ""}}),
    ("an increment is a number", {}, {"$inc": {"a": "1"}}),
]

REFUSED: list[object] = [
    {},
    {"a": 1},
    {"$set": {"a": 1}, "b": 2},
    {"$rename": {"a": "b"}},
    {"$currentDate": {"a": True}},
    {"$set": 1},
    {"$set": {"a.$": 1}},
    {"$set": {"a.$[]": 1}},
    {"$push": {"a": {"$each": [1], "$sort": 1}}},
    {"$push": {"a": {"$each": 1}}},
    {"$push": {"a": {"$slice": 1}}},
    {"$push": {"a": {"$each": [], "$slice": "1"}}},
    {"$addToSet": {"a": {"$each": [1], "$slice": 1}}},
    {"$pull": {"a": {"$regex": "x"}}},
    [{"$set": {"a": 1}}],
]


@pytest.mark.parametrize(("before", "update", "after"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_changes(before: dict[str, Any], update: dict[str, Any], after: dict[str, Any]) -> None:
    assert Update(update).change(before) == after


@pytest.mark.parametrize(("before", "update"), [row[1:] for row in IMPOSSIBLE], ids=[row[0] for row in IMPOSSIBLE])
def test_a_change_the_values_do_not_allow_is_an_error(before: dict[str, Any], update: dict[str, Any]) -> None:
    with pytest.raises(WriteError):
        Update(update).change(before)


@pytest.mark.parametrize("update", REFUSED, ids=str)
def test_an_update_outside_the_common_subset_is_refused(update: object) -> None:
    with pytest.raises(UnsupportedQuery):
        Update(update)


def test_an_upsert_starts_from_what_the_filter_fixes() -> None:
    conditions = {"_id": 1, "a.b": 2, "c": {"$eq": 3}, "d": {"$gt": 4}, "$and": [{"e": 5}], "$or": [{"f": 6}]}
    assert seed(conditions) == {"_id": 1, "a": {"b": 2}, "c": 3, "e": 5}


def test_an_upsert_applies_every_operator() -> None:
    update = Update({"$set": {"a": 2}, "$inc": {"n": 1}, "$setOnInsert": {"b": 3}})
    assert update.create({"_id": 1, "a": 1}) == {"_id": 1, "a": 2, "n": 1, "b": 3}
