"""Canonical JSON: one text per value, and nothing JSON cannot carry exactly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import canonical, digest, parsed
from domain.errors import InvalidInput

SAFE = 2**53 - 1
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_the_text_stands_for_the_value_and_is_its_own_canonical_form(value: Any) -> None:
    text = canonical(value)
    assert parsed(text) == value
    assert canonical(parsed(text)) == text


def test_the_order_of_members_does_not_matter() -> None:
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1}) == '{"a":2,"b":1}'
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {"a": [2**60]}, "\ud800"])
def test_what_json_cannot_carry_exactly_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        canonical(value)


def test_numbers_have_one_form() -> None:
    assert canonical(500.0) == canonical(500) == "500"
    assert json.loads(canonical(1.10)) == 1.1
