"""Turns the schemas of a foreign OpenAPI document into self-contained, bounded JSON Schema 2020-12."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from domain.canonical import JSON
from domain.errors import InvalidInput

MAX_NODES = 20_000
MAX_DEPTH = 40
MAX_TEXT = 600
MAX_PATTERN = 200

type Schema = dict[str, JSON]

TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
ANNOTATIONS = frozenset({"description", "default"})


class Unusable(InvalidInput):
    """A part of a document that cannot be offered; the message says why."""


def plain_text(value: object, limit: int = MAX_TEXT) -> str:
    """Return foreign text on one line, without control and invisible characters, at most `limit` characters long."""
    if not isinstance(value, str):
        return ""
    visible = (" " if unicodedata.category(char)[0] in "CZ" else char for char in value[: 4 * limit])
    text = " ".join("".join(visible).split())
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def is_safe_pattern(value: object) -> bool:
    """Tell whether a foreign regular expression may be run: it compiles, is short, and repeats no group.

    Repeated groups are what makes a match take exponential time; a pattern with one is left to the service to check.
    """
    if not isinstance(value, str) or len(value) > MAX_PATTERN or re.search(r"\)[*+{]", value):
        return False
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_types(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)


CHECKS: dict[str, Callable[[object], bool]] = {
    "type": _is_types,
    "enum": lambda value: isinstance(value, list) and bool(value),
    "const": lambda value: True,
    "default": lambda value: True,
    "required": _is_names,
    "multipleOf": lambda value: _is_number(value) and value > 0,  # type: ignore[operator] # it is a number
    "pattern": is_safe_pattern,
    "format": lambda value: isinstance(value, str) and len(value) <= 40,
    "uniqueItems": lambda value: isinstance(value, bool),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _is_count),
    **dict.fromkeys(("minContains", "maxContains"), _is_count),
}
"""Keywords with a plain value, and what that value must be; any other value is left out, the service checks itself."""

ONE = frozenset({"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"})
MANY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})


@dataclass
class Document:
    """An OpenAPI document whose references are followed for one operation, within that operation's budget."""

    root: Mapping[str, JSON]
    nodes: int = field(default=0)

    def followed(self, node: JSON) -> tuple[Schema, tuple[str, ...]]:
        """Return the object a node stands for, and the references passed on the way.

        Raises `Unusable` for references to other documents, to nothing, and in a circle.
        """
        passed: tuple[str, ...] = ()
        while isinstance(node, dict) and isinstance(ref := node.get("$ref"), str):
            if ref in passed:
                raise Unusable(f"its references run in a circle at {plain_text(ref, 100)}")
            passed = (*passed, ref)
            node = self._target(ref)
        if not isinstance(node, dict):
            raise Unusable("an object was expected and something else found")
        return node, passed

    def schema(self, node: JSON, trail: tuple[str, ...] = ()) -> Schema:
        """Return a schema without references, in 2020-12, without what a request must not carry.

        A recursive schema is unrolled once; what lies deeper may be anything and is the service's to check.
        """
        self.nodes += 1
        if self.nodes > MAX_NODES or len(trail) > MAX_DEPTH:
            raise Unusable("its schema is too large or nested too deeply")
        if node is False:
            return {"not": {}}
        if not isinstance(node, dict):
            return {}
        target, passed = self.followed(node)
        if any(ref in trail for ref in passed):
            return {}
        inner = self._keywords(target, (*trail, *(passed or ("",))))
        if passed:
            inner |= {key: value for key, value in self._keywords(node, trail).items() if key in ANNOTATIONS}
        return _nullable(inner, target) if not passed else _nullable(inner, node, target)

    def _keywords(self, node: Schema, trail: tuple[str, ...]) -> Schema:
        kept: Schema = {key: value for key, value in node.items() if key in CHECKS and CHECKS[key](value)}
        if description := plain_text(node.get("description")):
            kept["description"] = description
        _exclusive_bounds(kept, node)
        for key, value in node.items():
            if key in ONE and isinstance(value, dict | bool):
                kept[key] = value if isinstance(value, bool) else self.schema(value, trail)
            elif key in MANY and isinstance(value, list) and value:
                kept[key] = [self.schema(member, trail) for member in value]
            elif key in NAMED and isinstance(value, dict):
                kept[key] = {name: self.schema(member, trail) for name, member in value.items()}
        return _without_wrapper(_without_read_only(_with_safe_names(kept), self, node))

    def is_read_only(self, node: JSON) -> bool:
        """Tell whether a property is only ever sent by the service."""
        return isinstance(node, dict) and (
            node.get("readOnly") is True or self.followed(node)[0].get("readOnly") is True
        )

    def _target(self, ref: str) -> JSON:
        if not ref.startswith("#/"):
            raise Unusable(f"it refers to another document ({plain_text(ref, 100)})")
        node: JSON = dict(self.root)
        for part in unquote(ref[2:]).split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or name not in node:
                raise Unusable(f"the reference {plain_text(ref, 100)} leads nowhere")
            node = node[name]
        return node


def _exclusive_bounds(kept: Schema, node: Schema) -> None:
    """Turn OpenAPI 3.0's boolean exclusive bounds into 2020-12's numbers."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if node.get(exclusive) is True and bound in kept:
            kept[exclusive] = kept.pop(bound)


def _nullable(schema: Schema, *nodes: Schema) -> Schema:
    """Write OpenAPI 3.0's `nullable` as a type."""
    if not any(node.get("nullable") is True for node in nodes):
        return schema
    if isinstance(schema.get("type"), str) and not MANY & schema.keys():
        widened: Schema = {**schema, "type": [schema["type"], "null"]}
        if isinstance(enum := schema.get("enum"), list) and None not in enum:
            widened["enum"] = [*enum, None]
        return widened
    outer: Schema = {key: schema[key] for key in ANNOTATIONS if key in schema}
    return {**outer, "anyOf": [{key: schema[key] for key in schema if key not in ANNOTATIONS}, {"type": "null"}]}


def _with_safe_names(schema: Schema) -> Schema:
    named = schema.get("patternProperties")
    if isinstance(named, dict) and not all(map(is_safe_pattern, named)):
        raise Unusable("it names properties by a regular expression that may not be run")
    return schema


def _without_read_only(schema: Schema, document: Document, node: Schema) -> Schema:
    """Leave out the properties only the service sends: a request must not carry them, nor need them."""
    named, properties = node.get("properties"), schema.get("properties")
    if not isinstance(named, dict) or not isinstance(properties, dict):
        return schema
    dropped = {name for name, member in named.items() if document.is_read_only(member)}
    required = schema.get("required")
    schema["properties"] = {name: member for name, member in properties.items() if name not in dropped}
    if isinstance(required, list):
        schema["required"] = [name for name in required if name not in dropped]
    return schema


def _without_wrapper(schema: Schema) -> Schema:
    """Unwrap an `allOf` of one, which documents use to put a description beside a reference."""
    members = schema.get("allOf")
    if not isinstance(members, list) or len(members) != 1 or not isinstance(only := members[0], dict):
        return schema
    rest = {key: value for key, value in schema.items() if key != "allOf"}
    return schema if (rest.keys() - ANNOTATIONS) & only.keys() else {**only, **rest}
