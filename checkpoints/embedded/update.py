"""Updates: from MongoDB's update operators to a function that changes one document."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

from pymongo.errors import WriteError

from checkpoints.embedded.ordering import key
from checkpoints.embedded.paths import MISSING, Document, assign, lookup, remove, split
from checkpoints.embedded.query import branches, element_matcher, is_operators
from domain.errors import UnsupportedQuery

type Parts = tuple[str, ...]
type Step = Callable[[Document, Parts, Any], None]

_BAD_VALUE: Final = 2
_TYPE_MISMATCH: Final = 14
_CONFLICTING_OPERATORS: Final = 40


class Update:
    """A checked update.

    Args:
        operators: MongoDB's update operators. Anything else, a replacement or a pipeline too, raises
            `UnsupportedQuery`; two operators on one path raise pymongo's `WriteError`.
    """

    def __init__(self, operators: object) -> None:
        if not isinstance(operators, Mapping) or not operators:
            raise UnsupportedQuery("An update is a mapping of operators.")
        self._changes: list[tuple[Step, Parts, Any]] = []
        self._on_insert: list[tuple[Step, Parts, Any]] = []
        for name, fields in operators.items():
            self._add(name, fields)
        _refuse_conflicts(sorted(parts for _, parts, _ in self._changes + self._on_insert))

    def _add(self, name: str, fields: object) -> None:
        step = _STEPS.get(name)
        if step is None or not isinstance(fields, Mapping):
            raise UnsupportedQuery(f"The update operator {name} is not supported.")
        steps = self._on_insert if name == "$setOnInsert" else self._changes
        check = _CHECKS.get(name, _anything)
        for path, operand in fields.items():
            check(operand)
            steps.append((step, split(path), operand))

    def change(self, document: Document) -> Document:
        """Change a document in place and return it; raises `WriteError` where its values do not allow it."""
        for step, parts, operand in self._changes:
            step(document, parts, operand)
        return document

    def create(self, conditions: Mapping[str, Any]) -> Document:
        """Return the document an upsert inserts when nothing met the conditions."""
        document = seed(conditions)
        for step, parts, operand in self._changes + self._on_insert:
            step(document, parts, operand)
        return document


def seed(conditions: Mapping[str, Any]) -> Document:
    """Return the fields a filter fixes by equality: what an upsert starts from."""
    document: Document = {}
    for name, operand in conditions.items():
        if name == "$and":
            for branch in branches(operand):
                for path, value in seed(branch).items():
                    assign(document, (path,), value)
        elif not name.startswith("$") and not is_operators(operand):
            assign(document, split(name), operand)
        elif not name.startswith("$") and "$eq" in operand:
            assign(document, split(name), operand["$eq"])
    return document


def _refuse_conflicts(paths: list[Parts]) -> None:
    for first, second in pairwise(paths):
        if second[: len(first)] == first:
            name = ".".join(second)
            message = f"Updating the path '{name}' would create a conflict at '{'.'.join(first)}'"
            raise WriteError(message, _CONFLICTING_OPERATORS)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _increment(document: Document, parts: Parts, amount: Any) -> None:
    found = lookup(document, parts)
    if found is MISSING:
        found = 0
    if not _is_number(found):
        raise WriteError(f"Cannot apply $inc to '{'.'.join(parts)}', which is no number", _TYPE_MISMATCH)
    assign(document, parts, found + amount)


def _least(document: Document, parts: Parts, value: Any) -> None:
    found = lookup(document, parts)
    if found is MISSING or key(value) < key(found):
        assign(document, parts, value)


def _greatest(document: Document, parts: Parts, value: Any) -> None:
    found = lookup(document, parts)
    if found is MISSING or key(value) > key(found):
        assign(document, parts, value)


def _array_at(document: Document, parts: Parts, name: str) -> list[Any]:
    found = lookup(document, parts)
    if found is MISSING:
        return []
    if not isinstance(found, list):
        raise WriteError(f"Cannot apply {name} to '{'.'.join(parts)}', which is no array", _BAD_VALUE)
    return found


def _push(document: Document, parts: Parts, operand: Any) -> None:
    array = _array_at(document, parts, "$push") + _each(operand)
    if is_operators(operand) and "$slice" in operand:
        kept = operand["$slice"]
        array = array[:kept] if kept >= 0 else array[kept:]
    assign(document, parts, array)


def _add_to_set(document: Document, parts: Parts, operand: Any) -> None:
    array = _array_at(document, parts, "$addToSet")
    known = {key(value) for value in array}
    for value in _each(operand):
        if key(value) not in known:
            known.add(key(value))
            array = [*array, value]
    assign(document, parts, array)


def _pull(document: Document, parts: Parts, operand: Any) -> None:
    if lookup(document, parts) is not MISSING:
        matches = element_matcher(operand)
        kept = [value for value in _array_at(document, parts, "$pull") if not matches(value)]
        assign(document, parts, kept)


def _each(operand: Any) -> list[Any]:
    return list(operand["$each"]) if is_operators(operand) else [operand]


def _anything(operand: object) -> None:
    """Accept every operand."""


def _check_number(operand: object) -> None:
    if not _is_number(operand):
        raise WriteError("$inc takes a number", _TYPE_MISMATCH)


def _check_modifiers(allowed: frozenset[str]) -> Callable[[object], None]:
    def check(operand: object) -> None:
        if not isinstance(operand, dict) or not is_operators(operand):
            return
        if not set(operand) <= allowed or not isinstance(operand.get("$each"), list):
            raise UnsupportedQuery(f"Arrays grow with $each and only these beside it: {sorted(allowed)}.")
        if type(operand.get("$slice", 0)) is not int:
            raise UnsupportedQuery("$slice takes a count.")

    return check


_STEPS: Final[Mapping[str, Step]] = {
    "$set": assign,
    "$setOnInsert": assign,
    "$unset": lambda document, parts, _: remove(document, parts),
    "$inc": _increment,
    "$min": _least,
    "$max": _greatest,
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pull": _pull,
}

_CHECKS: Final[Mapping[str, Callable[[object], object]]] = {
    "$inc": _check_number,
    "$push": _check_modifiers(frozenset({"$each", "$slice"})),
    "$addToSet": _check_modifiers(frozenset({"$each"})),
    "$pull": element_matcher,
}
