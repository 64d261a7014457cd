"""Filters: from MongoDB's query language to a function that tells whether a document matches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeGuard

from checkpoints.embedded.ordering import NOT_A_NUMBER, NULL, key
from checkpoints.embedded.paths import MISSING, Document, leaves, split
from domain.errors import UnsupportedQuery


class Reached(NamedTuple):
    """What a path reaches in one document.

    Args:
        values: The values themselves.
        candidates: The values and, where they are arrays, their elements.
    """

    values: Sequence[object]
    candidates: Sequence[object]


type Matcher = Callable[[Document], bool]
type Check = Callable[[Reached], bool]


def matcher(conditions: Mapping[str, Any]) -> Matcher:
    """Return the function that tells whether a document matches; raises `UnsupportedQuery` for unknown operators."""
    clauses = [_clause(name, operand) for name, operand in conditions.items()]
    if len(clauses) == 1:
        return clauses[0]
    return lambda document: all(clause(document) for clause in clauses)


def element_matcher(operand: object) -> Callable[[object], bool]:
    """Return the function that tells whether one element of an array matches, as `$elemMatch` and `$pull` ask it."""
    if is_operators(operand):
        return _alone(_every(operand))
    if not isinstance(operand, dict):
        return _alone(_equal(operand))
    inner = matcher(operand)
    return lambda element: isinstance(element, dict) and inner(element)


def is_operators(operand: object) -> TypeGuard[Mapping[str, Any]]:
    """Tell `{"$gt": 1}` from a document to be compared as a whole; raises `UnsupportedQuery` for a mixture."""
    if not isinstance(operand, dict) or not operand:
        return False
    dollars = sum(str(name).startswith("$") for name in operand)
    if 0 < dollars < len(operand):
        raise UnsupportedQuery("A condition mixes operators and fields.")
    return dollars > 0


def branches(operand: object) -> list[Mapping[str, Any]]:
    """Return the filters `$and`, `$or` or `$nor` joins."""
    if not isinstance(operand, list) or not operand or not all(isinstance(branch, dict) for branch in operand):
        raise UnsupportedQuery("$and, $or and $nor take a non-empty list of filters.")
    return operand


def values_of(operand: object) -> list[object]:
    """Return the list an operator such as `$in` takes."""
    if not isinstance(operand, list):
        raise UnsupportedQuery("$in, $nin and $all take a list.")
    return operand


def _clause(name: str, operand: object) -> Matcher:
    if name.startswith("$"):
        return _joined(name, operand)
    parts = split(name)
    check = _every(operand) if is_operators(operand) else _equal(operand)
    return lambda document: check(_reached(document, parts))


def _joined(name: str, operand: object) -> Matcher:
    if name not in {"$and", "$or", "$nor"}:
        raise UnsupportedQuery(f"The operator {name} is not supported here.")
    matchers = [matcher(branch) for branch in branches(operand)]
    if name == "$and":
        return lambda document: all(matches(document) for matches in matchers)
    if name == "$or":
        return lambda document: any(matches(document) for matches in matchers)
    return lambda document: not any(matches(document) for matches in matchers)


def _reached(document: Document, parts: tuple[str, ...]) -> Reached:
    values = [document.get(parts[0], MISSING)] if len(parts) == 1 else list(leaves(document, parts))
    elements = [element for value in values if isinstance(value, list) for element in value]
    return Reached(values, [*values, *elements] if elements else values)


def _alone(check: Check) -> Callable[[object], bool]:
    return lambda element: check(Reached((element,), (element,)))


def _every(operators: Mapping[str, Any]) -> Check:
    checks = [_operator(name, operand) for name, operand in operators.items()]
    if len(checks) == 1:
        return checks[0]
    return lambda reached: all(check(reached) for check in checks)


def _operator(name: str, operand: object) -> Check:
    make = _OPERATORS.get(name)
    if make is None:
        raise UnsupportedQuery(f"The operator {name} is not supported.")
    return make(operand)


def _key(value: object) -> bytes:
    return NULL if value is MISSING else key(value)


def _equal(operand: object) -> Check:
    wanted = key(operand)
    if isinstance(operand, str):  # by far the most frequent: no key needed
        return lambda reached: operand in reached.candidates
    return lambda reached: any(_key(value) == wanted for value in reached.candidates)


def _one_of(operand: object) -> Check:
    wanted = {key(value) for value in values_of(operand)}
    return lambda reached: any(_key(value) in wanted for value in reached.candidates)


def _compared(holds: Callable[[bytes, bytes], bool]) -> Callable[[object], Check]:
    def make(operand: object) -> Check:
        limit = key(operand)

        def within(value: object) -> bool:
            found = _key(value)
            # Only values of one type compare, and nothing is less or greater than NaN.
            comparable = found[0] == limit[0] and NOT_A_NUMBER not in {found, limit}
            return holds(found, limit) if comparable else found == limit and holds(found, limit)

        return lambda reached: any(within(value) for value in reached.candidates)

    return make


def _exists(operand: object) -> Check:
    if not isinstance(operand, bool):
        raise UnsupportedQuery("$exists takes true or false.")
    return lambda reached: any(value is not MISSING for value in reached.values) is operand


def _size(operand: object) -> Check:
    if not isinstance(operand, int) or isinstance(operand, bool) or operand < 0:
        raise UnsupportedQuery("$size takes a count.")
    return lambda reached: any(isinstance(value, list) and len(value) == operand for value in reached.values)


def _all(operand: object) -> Check:
    if any(is_operators(value) for value in values_of(operand)):
        raise UnsupportedQuery("$all takes values, not operators.")
    checks = [_equal(value) for value in values_of(operand)]
    return lambda reached: bool(checks) and all(check(reached) for check in checks)


def _element(operand: object) -> Check:
    if not isinstance(operand, dict):
        raise UnsupportedQuery("$elemMatch takes a filter.")
    matches = element_matcher(operand)
    return lambda reached: any(isinstance(value, list) and any(map(matches, value)) for value in reached.values)


def _not(operand: object) -> Check:
    if not is_operators(operand):
        raise UnsupportedQuery("$not takes operators.")
    return _negated(_every)(operand)


def _negated(make: Callable[[Any], Check]) -> Callable[[object], Check]:
    def made(operand: object) -> Check:
        check = make(operand)
        return lambda reached: not check(reached)

    return made


_OPERATORS: Final[Mapping[str, Callable[[object], Check]]] = {
    "$eq": _equal,
    "$ne": _negated(_equal),
    "$gt": _compared(lambda found, limit: found > limit),
    "$gte": _compared(lambda found, limit: found >= limit),
    "$lt": _compared(lambda found, limit: found < limit),
    "$lte": _compared(lambda found, limit: found <= limit),
    "$in": _one_of,
    "$nin": _negated(_one_of),
    "$exists": _exists,
    "$not": _not,
    "$size": _size,
    "$all": _all,
    "$elemMatch": _element,
}
