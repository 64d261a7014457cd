"""What aggregation stages and projections make of documents, and which are refused."""

from typing import Any

import pytest

from checkpoints.embedded.pipeline import pipeline_of
from checkpoints.embedded.shape import Projection, Shape
from domain.errors import UnsupportedQuery

SALES: list[dict[str, Any]] = [
    {"_id": 1, "shop": "a", "item": {"kind": "x"}, "n": 2, "tags": ["t"]},
    {"_id": 2, "shop": "a", "item": {"kind": "y"}, "n": 4.0, "tags": []},
    {"_id": 3, "shop": "b", "item": {"kind": "x"}, "n": None},
    {"_id": 4, "item": {"kind": "x"}, "n": "many"},
]

RESULTS: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = [
    (
        "groups count",
        [{"$group": {"_id": "$shop", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}],
        [{"_id": None, "n": 1}, {"_id": "a", "n": 2}, {"_id": "b", "n": 1}],
    ),
    ("one group of all", [{"$group": {"_id": None, "n": {"$sum": "$n"}}}], [{"_id": None, "n": 6.0}]),
    (
        "averages leave out what is no number",
        [{"$group": {"_id": None, "n": {"$avg": "$n"}, "none": {"$avg": "$shop"}}}],
        [{"_id": None, "n": 3.0, "none": None}],
    ),
    (
        "ends",
        [{"$match": {"shop": "a"}}, {"$group": {"_id": "$shop", "min": {"$min": "$n"}, "max": {"$max": "$n"}}}],
        [{"_id": "a", "min": 2, "max": 4.0}],
    ),
    (
        "first and last",
        [{"$group": {"_id": None, "first": {"$first": "$shop"}, "last": {"$last": "$shop"}}}],
        [{"_id": None, "first": "a", "last": None}],
    ),
    (
        "lists and sets",
        [{"$group": {"_id": None, "all": {"$push": "$shop"}, "set": {"$addToSet": "$shop"}}}],
        [{"_id": None, "all": ["a", "a", "b"], "set": ["a", "b"]}],
    ),
    (
        "a compound key",
        [{"$group": {"_id": {"s": "$shop", "k": "$item.kind"}, "n": {"$sum": 1}}}, {"$limit": 1}],
        [{"_id": {"s": "a", "k": "x"}, "n": 1}],
    ),
    ("nothing to group", [{"$match": {"_id": 9}}, {"$group": {"_id": None, "n": {"$sum": 1}}}], []),
    ("a count", [{"$match": {"shop": "a"}}, {"$count": "sold"}], [{"sold": 2}]),
    ("nothing to count", [{"$match": {"_id": 9}}, {"$count": "sold"}], []),
    ("a page", [{"$sort": {"_id": -1}}, {"$skip": 1}, {"$limit": 1}, {"$project": {"n": 1}}], [{"_id": 3, "n": None}]),
    (
        "fields under other names",
        [{"$limit": 1}, {"$project": {"_id": 0, "kind": "$item.kind", "n": 1}}],
        [{"n": 2, "kind": "x"}],
    ),
    ("only other names", [{"$limit": 1}, {"$project": {"kind": "$item.kind"}}], [{"_id": 1, "kind": "x"}]),
    ("another id", [{"$limit": 1}, {"$project": {"_id": "$shop"}}], [{"_id": "a"}]),
    ("a missing field stays missing", [{"$skip": 3}, {"$project": {"_id": 0, "shop": "$shop"}}], [{}]),
    ("hidden fields", [{"$limit": 1}, {"$project": {"item": 0, "tags": 0}}], [{"_id": 1, "shop": "a", "n": 2}]),
]

REFUSED: list[Any] = [
    {"$match": {}},
    [{"$lookup": {}}],
    [{"$match": {}, "$limit": 1}],
    [{"$match": {"a": {"$regex": "x"}}}],
    [{"$group": {"n": {"$sum": 1}}}],
    [{"$group": {"_id": "$$ROOT"}}],
    [{"$group": {"_id": {"$toLower": "$a"}}}],
    [{"$group": {"_id": None, "n": {"$stdDevPop": "$a"}}}],
    [{"$group": {"_id": None, "n": {"$sum": {"$add": [1, 2]}}}}],
    [{"$project": {}}],
    [{"$project": {"a": {"$add": [1, 2]}}}],
    [{"$project": {"a": 1, "b": 0}}],
    [{"$project": {"a": "$b", "c": 0}}],
    [{"$limit": 0}],
    [{"$skip": -1}],
    [{"$count": "a.b"}],
    [{"$sort": {}}],
]

SHAPES: list[tuple[str, Projection, dict[str, Any]]] = [
    ("all without a projection", None, {"_id": 1, "a": {"b": 1, "c": 2}, "d": [{"b": 1, "c": 2}, 3]}),
    ("names with the id", ["a"], {"_id": 1, "a": {"b": 1, "c": 2}}),
    ("names without the id", {"a": 1, "_id": 0}, {"a": {"b": 1, "c": 2}}),
    ("part of a document", {"a.b": 1}, {"_id": 1, "a": {"b": 1}}),
    ("part of an array's documents", {"d.b": True}, {"_id": 1, "d": [{"b": 1}]}),
    ("without part of a document", {"a.b": 0, "d": False}, {"_id": 1, "a": {"c": 2}}),
    ("without part of an array's documents", {"a": 0, "d.b": 0}, {"_id": 1, "d": [{"c": 2}, 3]}),
    ("only the id", {"_id": 1}, {"_id": 1}),
    ("without the id", {"_id": 0, "d": 0}, {"a": {"b": 1, "c": 2}}),
]


@pytest.mark.parametrize(("stages", "expected"), [row[1:] for row in RESULTS], ids=[row[0] for row in RESULTS])
def test_results(stages: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert pipeline_of(stages)(SALES) == expected


@pytest.mark.parametrize("stages", REFUSED, ids=str)
def test_a_pipeline_outside_the_common_subset_is_refused(stages: object) -> None:
    with pytest.raises(UnsupportedQuery):
        pipeline_of(stages)


@pytest.mark.parametrize(("projection", "expected"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_shapes(projection: Projection, expected: dict[str, Any]) -> None:
    document = {"_id": 1, "a": {"b": 1, "c": 2}, "d": [{"b": 1, "c": 2}, 3]}
    assert Shape(projection).of(document) == expected


@pytest.mark.parametrize("projection", ["a", {"a": 2}, {"a": "$b"}, {"a": 1, "b": 0}, {"a": 1, "a.b": 1}], ids=str)
def test_a_projection_outside_the_common_subset_is_refused(projection: Any) -> None:
    with pytest.raises(UnsupportedQuery):
        Shape(projection)
