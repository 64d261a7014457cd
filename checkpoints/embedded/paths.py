"""Dotted paths into documents: what they reach, and how a value gets there."""

from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

from pymongo.errors import WriteError

from domain.errors import UnsupportedQuery

type Document = dict[str, Any]  # BSON knows no narrower type; repositories build domain objects from it


class _Absence(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING: Final = _Absence.MISSING
"""What a path reaches where the document ends too early."""

_CANNOT_CREATE_FIELD: Final = 28
_MOST_PADDING: Final = 1_500_000  # as MongoDB: an index far beyond the end would fill memory with nulls


def split(path: object) -> tuple[str, ...]:
    """Return a path's parts; raises `UnsupportedQuery` for empty parts and positional ones (`$`, `$[]`)."""
    if not isinstance(path, str):
        raise UnsupportedQuery("A field path must be text.")
    parts = tuple(path.split("."))
    if any(not part or part.startswith("$") for part in parts):
        raise UnsupportedQuery(f"The field path {path!r} is not supported.")
    return parts


def leaves(value: object, parts: tuple[str, ...]) -> Iterator[object]:
    """Yield every value a path reaches, through arrays of documents too, and `MISSING` where it ends too early."""
    if not parts:
        yield value
    elif isinstance(value, dict):
        yield from leaves(value[parts[0]], parts[1:]) if parts[0] in value else (MISSING,)
    elif isinstance(value, list):
        yield from _leaves_of_array(value, parts)
    else:
        yield MISSING


def _leaves_of_array(value: list[object], parts: tuple[str, ...]) -> Iterator[object]:
    if parts[0].isdecimal() and int(parts[0]) < len(value):
        yield from leaves(value[int(parts[0])], parts[1:])
    for element in value:
        if isinstance(element, dict):
            yield from leaves(element, parts)


def meets_array(value: object, parts: tuple[str, ...]) -> bool:
    """Tell whether a path ends at an array or passes through one."""
    for part in parts:
        if not isinstance(value, dict):
            break
        value = value.get(part)
    return isinstance(value, list)


def lookup(document: Document, parts: tuple[str, ...]) -> object:
    """Return the one value a path reaches without spreading over arrays, or `MISSING`."""
    value: object = document
    for part in parts:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def assign(document: Document, parts: tuple[str, ...], value: object) -> None:
    """Put a value at a path, creating documents on the way; raises `WriteError` where a scalar stands in the way."""
    holder: object = document
    for part in parts[:-1]:
        found = lookup({"": holder}, ("", part))
        if found is MISSING:
            found = {}
            _put(holder, part, found)
        holder = found
    _put(holder, parts[-1], value)


def remove(document: Document, parts: tuple[str, ...]) -> None:
    """Take a path's value away; in an array null takes its place."""
    holder = lookup(document, parts[:-1])
    if isinstance(holder, dict):
        holder.pop(parts[-1], None)
    elif isinstance(holder, list) and lookup({"": holder}, ("", parts[-1])) is not MISSING:
        holder[int(parts[-1])] = None


def _put(holder: object, part: str, value: object) -> None:
    if isinstance(holder, dict):
        holder[part] = value
    elif isinstance(holder, list) and part.isdecimal() and int(part) < len(holder) + _MOST_PADDING:
        holder.extend([None] * (int(part) + 1 - len(holder)))
        holder[int(part)] = value
    else:
        raise WriteError(f"Cannot create field '{part}' in a value that is no document.", _CANNOT_CREATE_FIELD)
