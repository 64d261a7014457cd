"""Aggregation: a pipeline of stages over documents that were already read."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from checkpoints.embedded.ordering import key
from checkpoints.embedded.paths import MISSING, Document, split
from checkpoints.embedded.query import matcher
from checkpoints.embedded.shape import Shape, keys_of, ordered
from domain.errors import UnsupportedQuery

type Documents = Iterable[Document]
type Stage = Callable[[Documents], Documents]
type Expression = Callable[[Document], object]


def leading_match(stages: object) -> tuple[object, object]:
    """Return the filter a pipeline begins with, which an index may serve, and the stages after it."""
    if isinstance(stages, list) and stages and isinstance(stages[0], dict) and stages[0].keys() == {"$match"}:
        return _mapping("$match", stages[0]["$match"]), stages[1:]
    return {}, stages


def pipeline_of(stages: object) -> Callable[[Documents], list[Document]]:
    """Return the function a pipeline stands for; raises `UnsupportedQuery` for unknown stages and expressions."""
    if not isinstance(stages, list):
        raise UnsupportedQuery("A pipeline is a list of stages.")
    steps = [_stage(stage) for stage in stages]

    def run(documents: Documents) -> list[Document]:
        for step in steps:
            documents = step(documents)
        return list(documents)

    return run


def _stage(stage: object) -> Stage:
    if not isinstance(stage, Mapping) or len(stage) != 1:
        raise UnsupportedQuery("A stage is a mapping with one operator.")
    ((name, operand),) = stage.items()
    make = _STAGES.get(name)
    if make is None:
        raise UnsupportedQuery(f"The stage {name} is not supported.")
    return make(operand)


def _match(conditions: Any) -> Stage:
    matches = matcher(_mapping("$match", conditions))
    return lambda documents: (document for document in documents if matches(document))


def _sort(operand: Any) -> Stage:
    keys = keys_of(_mapping("$sort", operand))
    return lambda documents: ordered(documents, keys, lambda document: document)


def _skip(operand: Any) -> Stage:
    skipped = _count_of("$skip", operand, least=0)
    return lambda documents: islice(documents, skipped, None)


def _limit(operand: Any) -> Stage:
    limit = _count_of("$limit", operand, least=1)
    return lambda documents: islice(documents, limit)


def _count(name: Any) -> Stage:
    if len(split(name)) > 1:
        raise UnsupportedQuery("$count takes a plain name.")

    def stage(documents: Documents) -> Documents:
        found = sum(1 for _ in documents)
        return [{name: found}] if found else []

    return stage


def _project(operand: Any) -> Stage:
    fields = _mapping("$project", operand)
    renamed = {name: _field(source) for name, source in fields.items() if isinstance(source, str)}
    kept = {name: shown for name, shown in fields.items() if name not in renamed}
    show = _shown_beside(kept, renamed) if renamed else Shape(kept or None).of
    if not fields or any(len(split(name)) > 1 for name in renamed):
        raise UnsupportedQuery("$project names at least one field, and renames to plain names.")

    def projected(document: Document) -> Document:
        shown = {name: value for name, value in show(document).items() if name not in renamed}
        return _present(shown | {name: read(document) for name, read in renamed.items()})

    return lambda documents: map(projected, documents)


def _shown_beside(kept: Mapping[str, Any], renamed: Mapping[str, Expression]) -> Callable[[Document], Document]:
    if not all(shown for name, shown in kept.items() if name != "_id"):
        raise UnsupportedQuery("$project renames beside fields it shows, not beside fields it hides.")
    if set(kept) - {"_id"}:
        return Shape(kept).of
    return Shape({"_id": 1}).of if kept.get("_id", True) and "_id" not in renamed else lambda _: {}


def _group(operand: Any) -> Stage:
    fields = dict(_mapping("$group", operand))
    if "_id" not in fields:
        raise UnsupportedQuery("$group needs an _id.")
    identify = _expression(fields.pop("_id"))
    accumulators = {name: _accumulator(name, given) for name, given in fields.items()}

    def stage(documents: Documents) -> Documents:
        groups: dict[bytes, tuple[object, list[Document]]] = {}
        for document in documents:
            found = identify(document)
            group = None if found is MISSING else found
            groups.setdefault(key(group), (group, []))[1].append(document)
        for group, members in groups.values():
            yield {"_id": group} | {name: gather(members) for name, gather in accumulators.items()}

    return stage


type Gather = Callable[[list[Document]], object]


def _accumulator(name: str, given: object) -> Gather:
    if len(split(name)) > 1 or not isinstance(given, Mapping) or len(given) != 1:
        raise UnsupportedQuery("An accumulator is a plain name and a mapping with one operator.")
    ((operator, operand),) = given.items()
    gather = _ACCUMULATORS.get(operator)
    if gather is None:
        raise UnsupportedQuery(f"The accumulator {operator} is not supported.")
    read = _expression(operand)
    return lambda members: gather([read(member) for member in members])


def _expression(operand: object) -> Expression:
    if isinstance(operand, str) and operand.startswith("$"):
        return _field(operand)
    if isinstance(operand, Mapping):
        if any(name.startswith("$") or "." in name for name in operand):
            raise UnsupportedQuery("Expressions are fields, constants, or documents of them.")
        parts = {name: _expression(inner) for name, inner in operand.items()}
        return lambda document: _present({name: read(document) for name, read in parts.items()})
    if isinstance(operand, list):
        raise UnsupportedQuery("Expressions are fields, constants, or documents of them.")
    return lambda _: operand


def _present(fields: Document) -> Document:
    return {name: value for name, value in fields.items() if value is not MISSING}


def _field(operand: str) -> Expression:
    if not operand.startswith("$") or operand.startswith("$$"):
        raise UnsupportedQuery("A field is named like `$name`; variables are not supported.")
    parts = split(operand[1:])
    return lambda document: _read(document, parts)


def _read(value: object, parts: tuple[str, ...]) -> object:
    if not parts:
        return value
    if isinstance(value, list):
        found = [_read(element, parts) for element in value]
        return [element for element in found if element is not MISSING]
    return _read(value[parts[0]], parts[1:]) if isinstance(value, dict) and parts[0] in value else MISSING


def _mapping(name: str, operand: object) -> Mapping[str, Any]:
    if not isinstance(operand, Mapping):
        raise UnsupportedQuery(f"{name} takes a mapping.")
    return operand


def _count_of(name: str, operand: object, *, least: int) -> int:
    if not isinstance(operand, int) or isinstance(operand, bool) or operand < least:
        raise UnsupportedQuery(f"{name} takes a number from {least}.")
    return operand


def _numbers(values: list[object]) -> list[float]:
    return [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]


def _known(values: list[object]) -> list[object]:
    return [value for value in values if value is not MISSING and value is not None]


def _average(values: list[object]) -> float | None:
    numbers = _numbers(values)
    return sum(numbers) / len(numbers) if numbers else None


def _end(place: int) -> Callable[[list[object]], object]:
    return lambda values: None if values[place] is MISSING else values[place]


_ACCUMULATORS: Final[Mapping[str, Callable[[list[object]], object]]] = {
    "$sum": lambda values: sum(_numbers(values)),
    "$avg": _average,
    "$min": lambda values: min(_known(values), key=key, default=None),
    "$max": lambda values: max(_known(values), key=key, default=None),
    "$first": _end(0),
    "$last": _end(-1),
    "$push": lambda values: [value for value in values if value is not MISSING],
    "$addToSet": lambda values: list({key(value): value for value in values if value is not MISSING}.values()),
}

_STAGES: Final[Mapping[str, Callable[[Any], Stage]]] = {
    "$match": _match,
    "$sort": _sort,
    "$skip": _skip,
    "$limit": _limit,
    "$count": _count,
    "$project": _project,
    "$group": _group,
}
