"""Whatever goes into a checkpoint comes back equal and of its own type, and nothing in it comes alive."""

from collections import deque
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.types import Command, Interrupt, Send

from checkpoints.lean.packing import keys_of, serializer
from checkpoints.lean.parts import Packer
from checkpoints.probe import MARKERS
from domain.errors import ConfigurationError

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SERIALIZERS = {
    "plain": serializer(),
    "compressed": serializer(compress_above_bytes=0),
    "encrypted": serializer(keys=[KEY]),
    "both": serializer(compress_above_bytes=8, keys=[KEY]),
}
TABLE = [
    Decimal("1.10"), datetime(2026, 11, 3, 4, 5, 6, 7, tzinfo=UTC), date(2026, 11, 3), time(4, 5, tzinfo=UTC),
    timedelta(days=-1, microseconds=3), UUID(int=7), {1, "a"}, frozenset({2}), deque([1, None]), ZoneInfo("Asia/Tokyo"),
    IPv4Address("10.0.0.1"), IPv4Network("10.0.0.0/8"), IPv6Address("::1"), Path("a/b"), b"\x00\xff", 2**53 + 1, -0.0,
    float("inf"), {7: "int key", "deep": [{"x": [1, 2]}]}, Document(page_content="d", metadata={"n": 1}),
    HumanMessage("h", id="1"), AIMessage("a", tool_calls=[{"name": "f", "args": MARKERS, "id": "c"}]),
    ToolMessage("t", tool_call_id="c"), Send("act", MARKERS), Interrupt(value=MARKERS, id="i"),
    Command(resume=MARKERS),
]  # fmt: skip
HOSTILE = st.fixed_dictionaries(
    {},
    optional={
        "lc": st.integers(0, 2),
        "type": st.sampled_from(["constructor", "secret", "not_implemented"]),
        "id": st.just(["this", "s"]),
        "kwargs": st.dictionaries(st.text(max_size=3), st.integers(-9, 9), max_size=2),
        "__send__": st.booleans(),
        "__interrupt__": st.booleans(),
        "__bytes__": st.text(max_size=4),
        "__pydantic__": st.text(max_size=4),
    },
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.just(UTC)).map(lambda each: each.replace(fold=0))
    | st.dates()
    | st.timedeltas()
    | st.uuids()
    | st.sampled_from(TABLE)
    | HOSTILE
)
VALUES = st.recursive(
    LEAVES, lambda deep: st.lists(deep, max_size=3) | st.dictionaries(st.text(max_size=4), deep, max_size=3)
)


def same(found: Any, given: Any) -> bool:
    return repr(found) == repr(given) and type(found) is type(given)


def there_and_back(packer: Packer, value: Any) -> Any:
    return packer.unpacked(packer.packed(value))


@pytest.mark.parametrize("kind", SERIALIZERS)
@settings(max_examples=150, deadline=None)
@given(value=VALUES)
def test_any_value_comes_back_as_it_was(kind: str, value: Any) -> None:
    assert same(there_and_back(Packer(SERIALIZERS[kind]), value), value)


@pytest.mark.parametrize("value", TABLE, ids=lambda each: type(each).__name__)
def test_every_type_of_the_serializers_table_comes_back(value: Any) -> None:
    assert same(there_and_back(Packer(SERIALIZERS["both"]), value), value)


class Stranger:
    """A class of nobody's table."""

    def __init__(self, n: int) -> None:
        self.n = n

    def _asdict(self) -> dict[str, int]:
        return {"n": self.n}


def test_a_class_of_nobodys_table_is_not_brought_to_life() -> None:
    assert there_and_back(Packer(serializer()), Stranger(1)) == {"n": 1}


def test_a_value_nobody_can_pack_is_refused_and_not_pickled() -> None:
    with pytest.raises(TypeError):
        Packer(serializer()).packed(object())


def test_long_values_are_stored_shorter_and_short_ones_as_they_are() -> None:
    packer = Packer(serializer(compress_above_bytes=100))
    assert len(packer.packed("x" * 1000)) < 100
    assert packer.packed("short") == Packer(serializer()).packed("short")


def test_an_encrypted_value_shows_nothing_and_never_looks_the_same() -> None:
    packer = Packer(SERIALIZERS["encrypted"])
    one, other = packer.packed("secret"), packer.packed("secret")
    assert b"secret" not in one
    assert one != other


def test_a_new_key_encrypts_and_the_old_one_still_reads() -> None:
    old = Packer(serializer(keys=[OTHER_KEY])).packed("old")
    rotated = Packer(serializer(keys=[KEY, OTHER_KEY]))
    assert rotated.unpacked(old) == "old"
    assert Packer(serializer(keys=[KEY])).unpacked(rotated.packed("new")) == "new"
    with pytest.raises(ConfigurationError, match="CHECKPOINT_KEY lacks the key"):
        Packer(serializer(keys=[KEY])).unpacked(old)


def test_what_was_stored_in_the_clear_stays_readable_when_a_key_is_set() -> None:
    assert Packer(SERIALIZERS["both"]).unpacked(Packer(serializer()).packed(MARKERS)) == MARKERS


def test_a_key_that_is_none_is_refused() -> None:
    for text in ("short", "c2hvcnQ=", "!" * 44):
        with pytest.raises(ConfigurationError, match="CHECKPOINT_KEY is no key"):
            keys_of(text)
    assert keys_of("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=") == [KEY]
