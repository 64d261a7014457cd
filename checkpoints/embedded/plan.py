"""From a filter and an order to SQL: the SQL narrows down what Python then looks at, and never leaves out a match."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from checkpoints.embedded.catalogue import Index, Layout
from checkpoints.embedded.ordering import bracket, key
from checkpoints.embedded.query import is_operators
from checkpoints.embedded.shape import Keys

_MOST_VALUES: Final = 500  # of one `$in`; SQLite takes 32,766 variables in one statement


@dataclass(frozen=True)
class Term:
    """A condition in SQL and the values of its question marks."""

    text: str
    values: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Plan:
    """How to read candidates.

    Args:
        ordered: Whether the rows come in the order asked for.
    """

    statement: str
    values: tuple[bytes, ...]
    ordered: bool


def planned(layout: Layout, conditions: Mapping[str, Any], order: Keys) -> Plan:
    """Return the statement that reads `seq` and `body` of every candidate."""
    terms = _terms(layout.trusted, conditions) + _memberships(layout, conditions)
    where = _joined(" AND ", terms)
    in_order = all(path in layout.trusted for path, _ in order)
    sort = [f"{layout.trusted[path]} {_way(direction)}" for path, direction in order] if in_order else []
    statement = f"SELECT seq, body FROM {layout.table}"  # noqa: S608  # names are quoted, values are bound
    statement += f" WHERE {where.text}" if terms else ""
    statement += f" ORDER BY {', '.join(sort)}" if sort else ""
    return Plan(statement, where.values, in_order)


def _way(direction: int) -> str:
    return "DESC" if direction < 0 else "ASC"


def _joined(word: str, terms: list[Term]) -> Term:
    return Term(word.join(term.text for term in terms), tuple(value for term in terms for value in term.values))


def _memberships(layout: Layout, conditions: Mapping[str, Any]) -> list[Term]:
    """Let SQLite use a partial index where only its members can match."""
    return [
        Term(f"{index.member} = 1") for index in layout.indexes if index.chooses and _only_members(index, conditions)
    ]


def _only_members(index: Index, conditions: Mapping[str, Any]) -> bool:
    if index.partial is None:
        values = [conditions.get(path) for path, _ in index.keys]
        return any(value is not None and not is_operators(value) for value in values)
    # Word for word: whether one filter implies another is not worth finding out in general.
    return all(name in conditions and key(conditions[name]) == key(held) for name, held in index.partial.items())


def _terms(columns: Mapping[str, str], conditions: Mapping[str, Any]) -> list[Term]:
    terms: list[Term] = []
    for name, operand in conditions.items():
        if name == "$and":
            for branch in operand:
                terms += _terms(columns, branch)
        elif name == "$or":
            terms += _alternatives(columns, operand)
        elif name in columns:
            terms += _conditions(columns[name], operand)
    return terms


def _alternatives(columns: Mapping[str, str], operand: list[Mapping[str, Any]]) -> list[Term]:
    branches = [_terms(columns, branch) for branch in operand]
    if not all(branches):  # a branch SQL cannot narrow may match anything
        return []
    either = _joined(" OR ", [_joined(" AND ", terms) for terms in branches])
    return [Term(f"({either.text})", either.values)]


def _conditions(column: str, operand: object) -> list[Term]:
    if not isinstance(operand, dict) or not is_operators(operand):
        return [_equal(column, operand)]
    return [_TERMS[name](column, value) for name, value in operand.items() if name in _TERMS]


def _equal(column: str, operand: object) -> Term:
    return Term(f"{column} = ?", (key(operand),))


def _one_of(column: str, operand: Any) -> Term:
    if len(operand) > _MOST_VALUES:
        return Term("1")
    marks = ", ".join("?" * len(operand))
    return Term(f"{column} IN ({marks})", tuple(map(key, operand)))


def _above(sign: str) -> Callable[[str, object], Term]:
    def term(column: str, operand: object) -> Term:
        limit = key(operand)
        return Term(f"{column} {sign} ? AND {column} < ?", (limit, bracket(limit)[1]))

    return term


def _below(sign: str) -> Callable[[str, object], Term]:
    def term(column: str, operand: object) -> Term:
        limit = key(operand)
        return Term(f"{column} {sign} ? AND {column} >= ?", (limit, bracket(limit)[0]))

    return term


_TERMS: Final[Mapping[str, Callable[[str, Any], Term]]] = {
    "$eq": _equal,
    "$in": _one_of,
    "$gt": _above(">"),
    "$gte": _above(">="),
    "$lt": _below("<"),
    "$lte": _below("<="),
}
