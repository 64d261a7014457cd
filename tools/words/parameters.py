"""Read one argument of an operation from its JSON Schema: what it takes, what it is called, what it names."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import UnknownType
from referencing.exceptions import Unresolvable

from domain.canonical import JSON
from tools.words import english
from tools.words.english import parts, stem

type Kind = Literal["integer", "number", "string", "boolean", "date", "date-time", "array", "object"]

UNUSABLE = (re.error, Unresolvable, UnknownType, TypeError)
"""What a schema that is none raises: a pattern of another dialect, a dangling reference, a limit that is no number."""
PLAIN_KEYWORDS = frozenset({"type", "title", "description", "default", "format", "example", "examples", "enum"})
SIMPLE = frozenset({"integer", "number", "string", "boolean", "array", "object"})
ID_WORDS = frozenset({"id", "ids", "number", "no", "key", "code", "uuid"})


@dataclass(frozen=True, eq=False)
class Parameter:
    """One argument of an operation.

    Args:
        words: Stems of its name's words.
        nouns: What it names, where it is an identifier: `petId` names a pet.
        values: Its enumerated values by their plain form.
        items: For arrays, one element as a parameter of its own.
    """

    name: str
    kind: Kind
    schema: dict[str, JSON]
    required: bool
    words: frozenset[str]
    nouns: frozenset[str]
    identifies: bool
    values: dict[str, JSON]
    items: "Parameter | None" = None
    place: str = "query"

    @cached_property
    def value_stems(self) -> dict[str, JSON]:
        """Enumerated values by their stems, where a stem means one value only."""
        found: dict[str, list[JSON]] = {}
        for plain, value in self.values.items():
            found.setdefault(stem(plain), []).append(value)
        return {one: values[0] for one, values in found.items() if len(values) == 1}

    @cached_property
    def bound(self) -> str:
        """Whether it is a `max` or `min` of something, by its name."""
        if self.words & english.stems(english.MAX_LIKE):
            return "max"
        return "min" if self.words & english.stems(english.MIN_LIKE) else ""

    @cached_property
    def free_text(self) -> bool:
        """Whether any words could be its value."""
        return self.kind == "string" and not self.values and not self.identifies

    @cached_property
    def _validator(self) -> Draft202012Validator | None:
        plain = self.schema.keys() <= PLAIN_KEYWORDS and isinstance(self.schema.get("type"), str)
        return None if plain else Draft202012Validator(self.schema)

    def like(self, words: frozenset[str]) -> bool:
        """Tell whether its name holds one of these words."""
        return not self.words.isdisjoint(english.stems(words))

    def takes(self, value: JSON) -> bool:
        """Tell whether a value of the right type also keeps to the schema's limits; none does to an unusable schema."""
        if self.values and value not in self.values.values():
            return False
        try:
            return self._validator is None or self._validator.is_valid(value)
        except UNUSABLE:
            return False


def parameter(
    name: str, schema: dict[str, JSON], *, required: bool, place: str, nouns: frozenset[str], depth: int = 0
) -> Parameter:
    """Return one argument, read from its schema.

    Args:
        nouns: What it identifies when its name alone does not tell.
    """
    schema, words = _chosen(schema), parts(name)
    kind = _kind(schema)
    named = frozenset(stem(word) for word in words if word not in ID_WORDS)
    identifies = kind in {"integer", "string"} and (
        place == "path" or words[-1:] in {("id",), ("ids",), ("uuid",)} or (len(words) > 1 and words[-1] in ID_WORDS)
    )
    items = schema.get("items")
    item = None
    if kind == "array" and isinstance(items, dict) and depth == 0:
        item = parameter(name, items, required=False, place=place, nouns=nouns, depth=1)
    enumerated = schema.get("enum", [schema["const"]] if "const" in schema else [])
    values: dict[str, JSON] = (
        {_plain(one): one for one in enumerated if one is not None} if isinstance(enumerated, list) else {}
    )
    about = (named or nouns) | (nouns if place == "path" else frozenset()) if identifies else frozenset()
    spoken = frozenset(stem(word) for word in words) - {"id"}
    return Parameter(name, kind, schema, required, spoken, about, identifies, values, item, place)


def _plain(value: JSON) -> str:
    return re.sub(r"[\s_-]+", "", value.lower()) if isinstance(value, str) else str(value).lower()


def _chosen(schema: dict[str, JSON]) -> dict[str, JSON]:
    """Return the first simple alternative of a schema that offers several, such as a number or null."""
    for keyword in ("anyOf", "oneOf"):
        options = schema.get(keyword)
        for option in options if isinstance(options, list) else ():
            if isinstance(option, dict) and option.get("type") in SIMPLE:
                return {**{key: value for key, value in schema.items() if key == "default"}, **option}
    return schema


def _kind(schema: dict[str, JSON]) -> Kind:
    stated = schema.get("type")
    names = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    simple = next((name for name in names if name in SIMPLE), "string" if "enum" in schema else "object")
    if simple == "string" and schema.get("format") in {"date", "date-time"}:
        return "date" if schema["format"] == "date" else "date-time"
    return simple  # type: ignore[return-value]  # SIMPLE holds kinds only
