"""What a page of results looks like: in which order, and which fields of each document."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from checkpoints.embedded.ordering import NULL, array_key, key
from checkpoints.embedded.paths import MISSING, Document, leaves, split
from domain.errors import UnsupportedQuery

type Keys = tuple[tuple[str, int], ...]

_DIRECTIONS: Final = (1, -1)
_SHOWN: Final = (0, 1)


def keys_of(given: object, direction: object = None) -> Keys:
    """Return sort or index keys given in any of pymongo's forms; raises `UnsupportedQuery` for others."""
    if isinstance(given, str):
        given = [(given, 1 if direction is None else direction)]
    elif direction is not None:
        raise UnsupportedQuery("A direction is given beside a list of keys.")
    pairs = given.items() if isinstance(given, Mapping) else given
    if not isinstance(pairs, Iterable):
        raise UnsupportedQuery("Sort and index keys are a name, a list of pairs, or a mapping.")
    keys = tuple(_pair(pair) for pair in pairs)
    if not keys or len(dict(keys)) < len(keys):
        raise UnsupportedQuery("Sort and index keys must be there, and each only once.")
    return keys


def _pair(pair: object) -> tuple[str, int]:
    match pair:
        case str(path):
            name, direction = path, 1
        case (str(path), int(way)) if way in _DIRECTIONS:
            name, direction = path, way
        case _:
            raise UnsupportedQuery("A sort or index key is a name and 1 or -1.")
    split(name)
    return name, direction


def ordered[T](items: Iterable[T], keys: Keys, document_of: Callable[[T], Document]) -> list[T]:
    """Return items in the order of their documents; those that are equal keep their order."""
    result = list(items)
    for path, direction in reversed(keys):
        parts, descending = split(path), direction < 0
        result.sort(key=lambda item: _sort_key(document_of(item), parts, descending), reverse=descending)
    return result


def _sort_key(document: Document, parts: tuple[str, ...], descending: bool) -> bytes:
    found = [_value_key(value, descending) for value in leaves(document, parts)]
    return max(found, default=NULL) if descending else min(found, default=NULL)


def _value_key(value: object, descending: bool) -> bytes:
    if value is MISSING:
        return NULL
    return array_key(value, descending=descending) if isinstance(value, list) else key(value)


type Projection = Mapping[str, Any] | Sequence[str] | None


class Shape:
    """Which fields of a document are shown.

    Args:
        projection: As pymongo takes it: names to show, or a mapping of names to 1 or to 0.
    """

    def __init__(self, projection: Projection) -> None:
        fields = _fields(projection)
        self._shows_id = bool(fields.pop("_id", True))
        if len({bool(shown) for shown in fields.values()}) > 1:
            raise UnsupportedQuery("A projection either names what is shown or what is not.")
        # Only `_id` named: {"_id": 1} shows nothing else, {"_id": 0} everything else.
        self._shows = any(fields.values()) if fields else bool(projection) and self._shows_id
        self._tree = _tree(fields)

    def of(self, document: Document) -> Document:
        """Return the document with what is shown of it."""
        if not self._tree and not self._shows and self._shows_id:
            return document
        shown: Document = _only(document, self._tree) if self._shows else _without(document, self._tree)
        if not self._shows_id:
            shown.pop("_id", None)
        elif "_id" in document:
            shown = {"_id": document["_id"], **shown}
        return shown


def _fields(projection: Projection) -> dict[str, bool]:
    if projection is None:
        return {}
    if isinstance(projection, str):
        raise UnsupportedQuery("A projection is a list of names or a mapping.")
    if not isinstance(projection, Mapping):
        return dict.fromkeys(projection, True)
    if not all(isinstance(shown, int) and shown in _SHOWN for shown in projection.values()):
        raise UnsupportedQuery("A projection only takes 1 and 0.")
    return {name: bool(shown) for name, shown in projection.items()}


def _tree(names: Iterable[str]) -> Document:
    tree: Document = {}
    for name in names:
        branch = tree
        *way, last = split(name)
        for part in way:
            branch = branch.setdefault(part, {})
            if branch is None:
                raise UnsupportedQuery(f"The projection of {name!r} collides with another.")
        if last in branch:
            raise UnsupportedQuery(f"The projection of {name!r} collides with another.")
        branch[last] = None
    return tree


def _only(value: Any, tree: Document | None) -> Any:
    if tree is None:
        return value
    if isinstance(value, list):
        return [_only(element, tree) for element in value if isinstance(element, dict | list)]
    kept = {name: held for name, held in value.items() if name in tree and _goes_on(held, tree[name])}
    return {name: _only(held, tree[name]) for name, held in kept.items()}


def _goes_on(held: object, tree: Document | None) -> bool:
    return tree is None or isinstance(held, dict | list)


def _without(value: Any, tree: Document) -> Any:
    if isinstance(value, list):
        return [_without(element, tree) for element in value]
    if not isinstance(value, dict):
        return value
    kept = {name: held for name, held in value.items() if tree.get(name, MISSING) is not None}
    return {name: _without(held, tree[name]) if name in tree else held for name, held in kept.items()}
