"""Checks what a model wants to send against the operation's schema, and says how to put it right."""

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.actions import Operation
from domain.canonical import JSON, canonical
from domain.errors import InvalidArguments, InvalidInput
from tools.schemas import Schema, plain_text

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

MAX_CHARACTERS = 262_144
MAX_PATTERNED = 1_000
MAX_PROBLEMS = 3
MAX_LISTED = 30
EXACT = 2**53
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?")

type Check = Callable[[Mapping[str, JSON]], dict[str, JSON]]


def checker(operation: Operation) -> Check:
    """Compile an operation's schema once and return the function that checks arguments against it.

    It returns the arguments as they will be sent; only numbers are ever read differently from how they were written:
    `5.0` where only integers fit, and `"5"` where numbers fit and texts do not. Defaults are not filled in. It raises
    `InvalidArguments` naming each argument, the rule it breaks and the arguments the operation knows.
    """
    from jsonschema import Draft202012Validator  # 150 ms: only where something is proposed
    from jsonschema.validators import extend

    bounded = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call] # so typed by its stubs
    return functools.partial(_checked, operation, bounded(operation.arguments))


def _pattern(validator: object, rule: str, value: object, schema: object) -> "Iterator[ValidationError]":
    """Match a foreign pattern against short texts only: its cost grows with the text."""
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and (len(value) > MAX_PATTERNED or not re.search(rule, value)):
        yield ValidationError(f"does not match the pattern {rule}")


def _checked(operation: Operation, validator: "Validator", arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    try:
        size = len(canonical(dict(arguments)))
        read: Schema = {name: _read(value, _property(operation, name)) for name, value in arguments.items()}
        errors = sorted(validator.iter_errors(read), key=lambda error: [str(part) for part in error.path])
    except (InvalidInput, RecursionError) as error:
        raise _refused(operation, ["a value cannot be written as JSON exactly"]) from error
    if size > MAX_CHARACTERS:
        raise _refused(operation, [f"they are larger than {MAX_CHARACTERS} characters"])
    if errors:
        raise _refused(operation, [_problem(error, operation) for error in errors[:MAX_PROBLEMS]])
    return read


def nearest(wanted: str, known: Iterable[str]) -> str:
    """Return the names a misspelt one may stand for, as words for an error message."""
    names = list(known)
    near = difflib.get_close_matches(wanted, names, n=5, cutoff=0.5) or names[:MAX_LISTED]
    return ", ".join(near) or "none"


def _property(operation: Operation, name: str) -> JSON:
    properties = operation.arguments.get("properties")
    return properties.get(name) if isinstance(properties, dict) else None


def _read(value: JSON, schema: JSON) -> JSON:
    """Return a value as its schema means it where that is unambiguous, else unchanged."""
    schema = _without_null(schema)
    if not isinstance(schema, dict):
        return value
    match value:
        case dict():
            inner = schema.get("properties")
            members = inner if isinstance(inner, dict) else {}
            return {name: _read(member, members.get(name)) for name, member in value.items()}
        case list():
            return [_read(member, schema.get("items")) for member in value]
        case float() if _types(schema) - {"null"} == {"integer"} and value.is_integer() and abs(value) <= EXACT:
            return int(value)
        case str():
            return _number(value, _types(schema))
        case _:
            return value


def _number(text: str, types: set[str]) -> JSON:
    """Return the number a text stands for, if only numbers fit and no digit would be lost."""
    if not types & {"integer", "number"} or types - {"integer", "number", "null"} or not NUMBER.fullmatch(text):
        return text
    if "." not in text:
        return int(text) if abs(int(text)) <= EXACT else text
    exact = "number" in types and Decimal(repr(float(text))) == Decimal(text)
    return float(text) if exact else text


def _types(schema: Schema) -> set[str]:
    """Return the types a schema admits as far as it says so plainly, else a set that forbids any reading."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return {declared}
    if isinstance(declared, list):
        return {str(each) for each in declared}
    members = schema.get("anyOf") or schema.get("oneOf")
    if not isinstance(members, list):
        return {"any"}
    return set().union(*(_types(member) if isinstance(member, dict) else {"any"} for member in members))


def _without_null(schema: JSON) -> JSON:
    """Return the one alternative to null of a nullable schema."""
    members = (schema.get("anyOf") or schema.get("oneOf")) if isinstance(schema, dict) else None
    if not isinstance(members, list):
        return schema
    others = [member for member in members if not isinstance(member, dict) or member.get("type") != "null"]
    return others[0] if len(others) == 1 else schema


def _problem(error: "ValidationError", operation: Operation) -> str:
    """Return one broken rule as words, with the path of the argument that breaks it."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    at = f'argument "{plain_text(where, 120)}"' if where else "the arguments"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict) and not where:
        unknown = sorted(error.instance.keys() - operation.places.keys())
        return "; ".join(f'there is no argument "{plain_text(name, 60)}"' for name in unknown[:MAX_PROBLEMS])
    if error.validator == "required" and isinstance(error.instance, dict) and isinstance(error.validator_value, list):
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{at} lack{'s' if where else ''} {', '.join(map(str, missing[:MAX_LISTED]))}"
    return f"{at}: {plain_text(error.message, 200)} ({error.validator})"


def _refused(operation: Operation, problems: list[str]) -> InvalidArguments:
    unique = list(dict.fromkeys(problems))
    return InvalidArguments(
        f"{operation.service}.{operation.name}: {'; '.join(unique)}. Its arguments: {_known(operation)}.",
        extra={"service": operation.service, "operation": operation.name, "problems": unique},
    )


def _known(operation: Operation) -> str:
    required = operation.arguments.get("required")
    needed = required if isinstance(required, list) else []
    names = list(operation.places)[:MAX_LISTED]
    return (
        ", ".join(f"{name}{_kind(operation, name)}{' (required)' if name in needed else ''}" for name in names)
        or "none"
    )


def _kind(operation: Operation, name: str) -> str:
    schema = _property(operation, name)
    types = _types(schema) if isinstance(schema, dict) else {"any"}
    return "" if "any" in types else f": {' or '.join(sorted(types))}"
