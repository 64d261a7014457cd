"""Retyping: arguments that came back as text get the types again that they had, or that their schema asks for."""

import json
from collections.abc import Mapping

from domain.canonical import JSON, canonical
from domain.errors import InvalidInput


def retyped(
    texts: Mapping[str, JSON], before: Mapping[str, JSON], schema: Mapping[str, JSON] | None
) -> dict[str, JSON]:
    """Return arguments with each text read as what it was before if it says the same, else as the schema means it.

    What neither of them explains stays a text, and is refused where no text fits.

    Args:
        schema: Of the arguments, an object's.
    """
    properties = (schema or {}).get("properties")
    members = properties if isinstance(properties, dict) else {}
    return {
        name: before[name] if name in before and _says(value, before[name]) else _read(value, members.get(name))
        for name, value in texts.items()
    }


def _says(text: JSON, before: JSON) -> bool:
    """Return whether a text is how a value is written where every value is text."""
    if not isinstance(text, str) or isinstance(before, str):
        return text == before and type(text) is type(before)
    return (meant := _parsed(text)) is not None and canonical(meant[0]) == canonical(before)


def _read(value: JSON, schema: JSON) -> JSON:
    types = _types(schema) if isinstance(schema, dict) else set()
    if not isinstance(value, str) or not types or "string" in types:
        return value
    meant = _parsed(value)
    return meant[0] if meant is not None and _types_of(meant[0]) & types else value


def _parsed(text: str) -> tuple[JSON] | None:
    try:
        value: JSON = json.loads(text)
        canonical(value)
    except (ValueError, RecursionError, InvalidInput):
        return None
    return (value,)


def _types(schema: Mapping[str, JSON]) -> set[str]:
    """Return the types a schema admits as far as it says so plainly; none where it does not."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return {declared}
    if isinstance(declared, list):
        return {str(each) for each in declared}
    members = schema.get("anyOf") or schema.get("oneOf")
    found = [_types(each) for each in members if isinstance(each, dict)] if isinstance(members, list) else []
    return set().union(*found) if found and all(found) else set()


def _types_of(value: JSON) -> set[str]:
    match value:
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"number"} | ({"integer"} if value.is_integer() else set())
        case str():
            return {"string"}
        case list():
            return {"array"}
        case dict():
            return {"object"}
        case None:
            return {"null"}
