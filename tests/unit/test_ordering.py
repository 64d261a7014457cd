"""Sort keys order values as BSON does."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from checkpoints.embedded.ordering import key
from checkpoints.embedded.paths import Document
from checkpoints.embedded.shape import keys_of, ordered
from domain.errors import UnsupportedQuery

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)

ASCENDING: list[Any] = [
    None,
    math.nan,
    -math.inf,
    -1,
    0,
    2**53,
    2**53 + 1,
    2**63 - 1,
    math.inf,
    "",
    "a",
    "a\0",
    "a\0b",
    "ab",
    "b",
    "é",
    "😀",
    {},
    {"a": 1},
    {"a": 1, "b": 1},
    {"b": 1},
    {"a": "x"},
    [],
    [1],
    [1, 2],
    ["x"],
    b"z",
    b"aa",
    ObjectId("0" * 24),
    ObjectId("f" * 24),
    False,
    True,
    datetime(1, 1, 1, tzinfo=UTC),
    NOON,
    NOON + timedelta(milliseconds=1),
]


def test_values_of_all_types_have_one_order() -> None:
    keys = [key(value) for value in ASCENDING]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@given(NUMBERS, NUMBERS)
def test_numbers_order_by_value_whatever_their_type(left: float, right: float) -> None:
    assert (key(left) < key(right)) == (left < right)
    assert (key(left) == key(right)) == (left == right)


@given(st.text(), st.text())
def test_texts_order_by_code_point(left: str, right: str) -> None:
    assert (key(left) < key(right)) == (left < right)


@pytest.mark.parametrize("value", [object(), 1j, {1, 2}], ids=["an object", "a complex number", "a set"])
def test_a_type_outside_the_common_subset_is_refused(value: object) -> None:
    with pytest.raises(UnsupportedQuery):
        key(value)


def test_a_text_inside_an_array_cannot_pose_as_two() -> None:
    assert key(["a\0\0\x0fb"]) != key(["a", "b"])


def sorted_ids(documents: list[Document], path: str, direction: int) -> list[str]:
    found = ordered(documents, keys_of(path, direction), lambda document: document)
    return [document["_id"] for document in found]


@pytest.mark.parametrize(
    ("direction", "expected"),
    [(1, ["none", "null", "missing", "array", "two"]), (-1, ["array", "two", "null", "missing", "none"])],
    ids=["an array by its least", "an array by its greatest"],
)
def test_arrays_and_missing_values_have_their_place(direction: int, expected: list[str]) -> None:
    documents: list[Document] = [
        {"_id": "two", "a": 2},
        {"_id": "array", "a": [1, 9]},
        {"_id": "null", "a": None},
        {"_id": "missing"},
        {"_id": "none", "a": []},
    ]
    assert sorted_ids(documents, "a", direction) == expected


def test_an_array_of_documents_is_sorted_by_its_least_or_greatest() -> None:
    documents: list[Document] = [{"_id": "one", "a": {"b": 5}}, {"_id": "many", "a": [{"b": 9}, {"b": 1}]}]
    assert sorted_ids(documents, "a.b", 1) == ["many", "one"]
    assert sorted_ids(documents, "a.b", -1) == ["many", "one"]


@pytest.mark.parametrize("keys", [[], [("a", 2)], [("a", "text")], [("a", 1), ("a", -1)], 5, [5]], ids=str)
def test_sort_keys_outside_the_common_subset_are_refused(keys: object) -> None:
    with pytest.raises(UnsupportedQuery):
        keys_of(keys)
