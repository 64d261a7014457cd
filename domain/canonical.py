"""Canonical JSON (RFC 8785) and the digests made of it: what a human saw is byte for byte what is sent."""

import hashlib
import json

import rfc8785

from domain.errors import InvalidInput

type JSON = bool | int | float | str | list[JSON] | dict[str, JSON] | None


def canonical(value: JSON) -> str:
    """Return the one canonical text of a JSON value.

    Raises `InvalidInput` for values JSON cannot carry exactly: NaN, infinities, integers beyond 2**53.
    """
    try:
        return rfc8785.dumps(value).decode()
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError) as error:
        raise InvalidInput("The value cannot be written as canonical JSON.") from error


def parsed(text: str) -> JSON:
    """Return the JSON value a canonical text stands for."""
    value: JSON = json.loads(text, parse_int=_number)
    return value


def _number(digits: str) -> int | float:
    """Return a whole number; beyond 2**53 only a float can have been written, and a float it becomes again."""
    number = int(digits)
    return number if abs(number) < 2**53 else float(number)


def digest(value: JSON) -> str:
    """Return the sha256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
