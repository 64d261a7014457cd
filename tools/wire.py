"""How arguments travel: the URL and the body a call is sent with."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlencode

from domain.actions import Operation
from domain.canonical import JSON, canonical
from domain.errors import InvalidArguments

BODY = "body"
DECODINGS = 8


@dataclass(frozen=True)
class Wire:
    """One call as it is sent.

    Args:
        url: Absolute.
        content: The body, canonical JSON; `None` for none.
    """

    url: str
    content: bytes | None


def body_name(name: str, parameters: Collection[str]) -> str:
    """Return the argument that carries a body property: its own name, or `body_` before it where a parameter has that.

    A property that already looks so prefixed gets one more, so that `property_name` finds every name again.
    """
    return f"{BODY}_{name}" if _without_prefixes(name) & set(parameters) else name


def property_name(argument: str, parameters: Collection[str]) -> str:
    """Return the body property an argument carries: the inverse of `body_name`."""
    inner = argument.removeprefix(f"{BODY}_")
    return inner if inner != argument and _without_prefixes(inner) & set(parameters) else argument


def _without_prefixes(name: str) -> set[str]:
    found = {name}
    while name.startswith(f"{BODY}_"):
        name = name.removeprefix(f"{BODY}_")
        found.add(name)
    return found


def placed(operation: Operation, base_url: str, arguments: Mapping[str, JSON]) -> Wire:
    """Return the URL and body that carry checked arguments, each in its place.

    A query argument that is null is not sent. Raises `InvalidArguments` for values a URL cannot carry, and for path
    arguments that could lead out of their segment.

    Args:
        base_url: Without a slash at its end.
    """
    url = base_url + _path(operation, arguments)
    if query := _query(operation, arguments):
        url = f"{url}?{urlencode(query, quote_via=quote, safe='')}"
    return Wire(url, _body(operation, arguments))


def _path(operation: Operation, arguments: Mapping[str, JSON]) -> str:
    def fill(match: re.Match[str]) -> str:
        return _segment(match[1], arguments.get(match[1]))

    return re.sub(r"\{([A-Za-z0-9_.~-]+)\}", fill, operation.path)


def _segment(name: str, value: JSON) -> str:
    """Return a path argument, percent-encoded; refuse whatever any server might read as more than one segment."""
    sent = _text(name, value)
    text = unicodedata.normalize("NFKC", sent)  # some servers fold characters: a full-width slash becomes a slash
    for _ in range(DECODINGS):
        _refuse_leaving(name, text)
        try:
            decoded = unquote_to_bytes(text).decode()
        except UnicodeDecodeError as error:
            raise InvalidArguments(f'Argument "{name}" holds percent-encoded bytes that are no text.') from error
        if decoded == text:
            return quote(sent, safe="")
        text = unicodedata.normalize("NFKC", decoded)
    raise InvalidArguments(f'Argument "{name}" is percent-encoded too often.')


def _refuse_leaving(name: str, text: str) -> None:
    dots = text.partition(";")[0].strip()  # some servers drop what follows a semicolon
    if not text.strip() or dots in {".", ".."} or re.search(r"[/\\\x00-\x1f\x7f-\x9f]", text):
        raise InvalidArguments(
            f'Argument "{name}" goes into the path of the URL: it must not be empty, ".", "..", '
            "or hold slashes, backslashes or control characters, not even percent-encoded."
        )


def _query(operation: Operation, arguments: Mapping[str, JSON]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in arguments.items():
        if operation.places.get(name) == "query" and value is not None:
            found += [(name, _text(name, each)) for each in (value if isinstance(value, list) else [value])]
    return found


def _text(name: str, value: JSON) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, list | dict):
        raise InvalidArguments(f'Argument "{name}" goes into the URL: it must be a text, a number or a boolean.')
    return canonical(value)


def _body(operation: Operation, arguments: Mapping[str, JSON]) -> bytes | None:
    """Return the body; for none of its arguments, an empty object unless that would lack what the body needs."""
    parameters = [name for name, place in operation.places.items() if place in ("path", "query")]
    kinds = set(operation.places.values())
    for name, value in arguments.items():
        if operation.places.get(name) == "body-whole":
            return canonical(value).encode()
    carried = {
        property_name(name, parameters): value
        for name, value in arguments.items()
        if operation.places.get(name) == "body"
    }
    if carried or ("body" in kinds and "dependentRequired" not in operation.arguments):
        return canonical(carried).encode()
    return None
