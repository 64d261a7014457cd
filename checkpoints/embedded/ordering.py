"""The order of BSON values, written as bytes that compare the same way.

The ranks and rules are MongoDB's ("Comparison/Sort Order" in its manual): values of different types compare by type,
numbers of all kinds by value, strings by code point, documents by type, name and value of their fields in order.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bson import Binary, Int64, ObjectId

from domain.errors import UnsupportedQuery

_EMPTY_ARRAY: Final = b"\x00"
NULL: Final = b"\x05"
_NUMBER: Final = 0x0A
_STRING: Final = b"\x0f"
_OBJECT: Final = b"\x14"
_ARRAY: Final = b"\x19"
_BYTES: Final = b"\x1e"
_OBJECT_ID: Final = b"\x23"
_BOOLEAN: Final = b"\x28"
_DATE: Final = b"\x2d"

_SIGN: Final = 1 << 63
_EVERY_BIT: Final = (1 << 64) - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def key(value: object) -> bytes:
    """Return the sort key of a value; two values are equal exactly when their keys are.

    The keys are prefix-free, so that they can be put one behind the other. Raises `UnsupportedQuery` for types
    outside the common subset.
    """
    write = _KEYS.get(type(value))
    if write is None:
        write = next((found for base, found in _KEYS.items() if isinstance(value, base)), _unsupported)
    return write(value)


def bracket(value_key: bytes) -> tuple[bytes, bytes]:
    """Return the keys between which all values of the same type lie: the first included, the second not."""
    rank = value_key[0]
    return bytes((rank,)), bytes((rank + 1,))


def array_key(values: Sequence[object], *, descending: bool) -> bytes:
    """Return what an array is sorted by: its least value, or its greatest where the order is descending."""
    if not values:
        return _EMPTY_ARRAY
    return max(map(key, values)) if descending else min(map(key, values))


def _number(value: float) -> bytes:
    nearest = float(value)
    if math.isnan(nearest):
        return struct.pack(">BQH", _NUMBER, 0, 0)
    (bits,) = struct.unpack(">Q", struct.pack(">d", nearest + 0.0))  # -0.0 + 0.0 is 0.0
    ordered = bits ^ _EVERY_BIT if bits & _SIGN else bits | _SIGN
    # Integers beyond 2**53 round to the same float: what was rounded off decides between them.
    rest = value - int(nearest) if isinstance(value, int) else 0
    return struct.pack(">BQH", _NUMBER, ordered, rest + 0x8000)


def _text(value: str) -> bytes:
    return value.encode().replace(b"\0", b"\0\xff") + b"\0\0"


def _string(value: str) -> bytes:
    return _STRING + _text(value)


def _object(value: Mapping[str, object]) -> bytes:
    return _OBJECT + b"".join(_field(name, key(held)) for name, held in value.items()) + b"\0"


def _field(name: str, held: bytes) -> bytes:
    return held[:1] + _text(name) + held


def _array(value: Sequence[object]) -> bytes:
    return _ARRAY + b"".join(map(key, value)) + b"\0"


def _bytes(value: bytes) -> bytes:
    subtype = value.subtype if isinstance(value, Binary) else 0
    return struct.pack(">cQB", _BYTES, len(value), subtype) + value


def _date(value: datetime) -> bytes:
    return struct.pack(">cQ", _DATE, (value - _EPOCH) // _MILLISECOND + _SIGN)


def _unsupported(value: object) -> bytes:
    raise UnsupportedQuery(f"Values of type {type(value).__name__} cannot be compared.")


# A boolean is an integer to Python and not to BSON: it stands first.
_KEYS: Final[dict[type, Callable[..., bytes]]] = {
    bool: lambda value: _BOOLEAN + (b"\1" if value else b"\0"),
    type(None): lambda _: NULL,
    int: _number,
    Int64: _number,
    float: _number,
    str: _string,
    dict: _object,
    list: _array,
    bytes: _bytes,
    ObjectId: lambda value: _OBJECT_ID + value.binary,
    datetime: _date,
}

NOT_A_NUMBER: Final = _number(math.nan)
