"""Read a service's operations once into what the embedded planner compares messages with."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from jsonschema import Draft202012Validator

from domain.actions import Operation
from domain.canonical import JSON
from tools.words import english
from tools.words.english import parts, stem
from tools.words.parameters import UNUSABLE, Parameter, parameter

WORD = re.compile(r"[^\W\d_]+")
PLAIN_KEYWORDS = frozenset({"type", "properties", "required", "additionalProperties", "title", "description"})
IN_PASSING = 0.5
"""What a word of the description weighs: too little to choose an operation by it alone."""
PREFIXES = frozenset({"api", "rest", "v", *"0123456789"})


@dataclass(frozen=True, eq=False)
class Entry:
    """One operation as the planner sees it.

    Args:
        weights: How much each stem says about this operation.
        title: Stems of the words of its name and path, read verbs and small words left out.
        verbs: Stems of the verbs that ask for it; empty for reads.
        kin: The same verbs' synonyms.
        nouns: Stems of the things it is about.
    """

    operation: Operation
    parameters: tuple[Parameter, ...]
    weights: dict[str, float]
    title: frozenset[str]
    verbs: frozenset[str]
    kin: frozenset[str]
    nouns: frozenset[str]
    own: frozenset[str] = field(default_factory=frozenset)

    @property
    def reads(self) -> bool:
        """Whether a call of it has no effect."""
        return self.operation.effect == "read"

    @cached_property
    def required(self) -> tuple[Parameter, ...]:
        """The arguments it cannot do without."""
        return tuple(one for one in self.parameters if one.required)

    @cached_property
    def lists(self) -> bool:
        """Whether it asks for many things rather than for one, as far as its path tells."""
        return self.reads and not self.operation.path.rstrip("/").endswith("}")

    @cached_property
    def plain(self) -> bool:
        """Whether arguments that fit one by one fit together."""
        return self.operation.arguments.keys() <= PLAIN_KEYWORDS

    def accepts(self, arguments: dict[str, JSON]) -> bool:
        """Tell whether arguments fit the operation's whole schema; none does an unusable one."""
        try:
            return self._validator.is_valid(arguments)
        except UNUSABLE:
            return False

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(self.operation.arguments)


class Index:
    """All operations, and for every stem the operations it speaks for.

    Args:
        operations: What the agent may propose.
    """

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self.entries = tuple(map(entry, operations))
        count = len(self.entries)
        frequency: dict[str, int] = {}
        for one in self.entries:
            for word in one.weights:
                frequency[word] = frequency.get(word, 0) + 1
        self.rarity = {word: math.log(1 + count / often) for word, often in frequency.items()}
        self.rarest = math.log(1 + count) or 1.0
        self.postings: dict[str, list[tuple[int, float]]] = {}
        for position, one in enumerate(self.entries):
            for word, weight in one.weights.items():
                self.postings.setdefault(word, []).append((position, weight * self.rarity[word]))
        self.nouns = frozenset(noun for one in self.entries for noun in one.nouns)
        self.things = frozenset(
            noun for one in self.entries if one.reads and not one.lists for noun in _item_nouns(one.operation.path)
        )
        self.verbs = frozenset(verb for one in self.entries for verb in one.verbs | one.kin)
        self.labels = frozenset(
            tuple(stem(word) for word in parts(one.name)[:2]) for entry in self.entries for one in entry.parameters
        )
        self.by_name = {(one.operation.service, one.operation.name): one for one in self.entries}


def entry(operation: Operation) -> Entry:
    """Return an operation as the planner sees it."""
    words = parts(operation.name) or (operation.method.lower(),)
    nouns = _nouns(operation, words)
    verbs = _verbs(operation, words, nouns) if operation.effect == "write" else frozenset()
    kin = frozenset(one for verb in verbs for one in english.verb_kin().get(verb, ())) - verbs
    title = frozenset(stem(word) for word in words if word not in english.READ_VERBS) - english.silent()
    parameters = tuple(_parameters(operation, nouns))
    own = title | nouns | {word for one in parameters for word in one.words | one.value_stems.keys()}
    weights = _weights(operation, words, nouns, parameters)
    places = {word for segment in _static(operation.path) for word in segment} - english.READ_VERBS - PREFIXES
    said = title | frozenset(map(stem, places))
    return Entry(operation, parameters, weights, said - verbs - english.silent(), verbs, kin, nouns, frozenset(own))


def _static(path: str) -> list[tuple[str, ...]]:
    return [() if "{" in segment else parts(segment) for segment in path.strip("/").split("/") if segment]


def _item_nouns(path: str) -> frozenset[str]:
    segments = _static(path)
    return frozenset(stem(words[-1]) for words, following in pairwise(segments) if words and not following)


def _nouns(operation: Operation, words: tuple[str, ...]) -> frozenset[str]:
    """Return what the operation is about: collections in its path, and its name up to the first small word."""
    segments = _static(operation.path)
    found = set(_item_nouns(operation.path))
    acts = operation.effect == "write" and len(segments) > 1 and not segments[-2]
    if segments and len(segments[-1]) == 1 and not acts:
        found.add(stem(segments[-1][0]))
    later = () if stem(words[0]) in english.verb_kin() else english.verb_kin()
    for place, word in enumerate(words):
        if word in english.PREPOSITIONS:
            break
        verb = word in english.READ_VERBS or (place == 0 and len(words) > 1) or stem(word) in later
        if not verb and not word.isdigit():
            found.add(stem(word))
    return frozenset(found - english.silent())


def _verbs(operation: Operation, words: tuple[str, ...], nouns: frozenset[str]) -> frozenset[str]:
    """Return what one must say to ask for a write: its name's verb, its path's, or what its method means."""
    known = english.verb_kin()
    first = stem(words[0]) if len(words) > 1 else ""
    found = {first} if first and (first not in nouns or first in known) else set()
    segments = _static(operation.path)
    if len(segments) > 1 and segments[-1] and not segments[-2]:
        found.add(stem(segments[-1][0]))
    summary = WORD.findall(operation.summary.lower())[:1]
    others = summary if first in known else [*words, *summary]
    found |= {stem(word) for word in others if stem(word) in known and stem(word) not in nouns}
    meant = {"DELETE": "delete", "PUT": "update", "PATCH": "update"}.get(operation.method.upper())
    if meant and not found & known.keys():
        found.add(stem(meant))
    return frozenset(found or {first or stem("create")})


def _weights(
    operation: Operation, words: tuple[str, ...], nouns: frozenset[str], parameters: tuple[Parameter, ...]
) -> dict[str, float]:
    weights: dict[str, float] = {}

    def add(found: Iterator[str], weight: float) -> None:
        for one in found:
            if one not in english.silent() and weights.get(one, 0.0) < weight:
                weights[one] = weight

    add((stem(word) for word in WORD.findall(operation.description.lower())[:200]), IN_PASSING)
    add((stem(word) for word in parts(operation.service)), 0.8)
    add((word for one in parameters for word in one.words), 1.2)
    add((value for one in parameters for value in _values(one)), 1.8)
    add((stem(word) for word in WORD.findall(operation.summary.lower())[:40]), 1.2)
    add((stem(word) for segment in _static(operation.path) for word in segment), 1.5)
    add((stem(word) for word in words), 2.5)
    add(iter(nouns), 2.5)
    add((stem(word) for word in words if word in english.READ_VERBS), 0.4)
    return weights


def _values(parameter: Parameter) -> Iterator[str]:
    yield from parameter.value_stems
    if parameter.items is not None:
        yield from parameter.items.value_stems


def _parameters(operation: Operation, nouns: frozenset[str]) -> Iterator[Parameter]:
    properties = operation.arguments.get("properties")
    required = operation.arguments.get("required")
    needed = [one for one in required if isinstance(one, str)] if isinstance(required, list) else []
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        if isinstance(schema, dict):
            place = operation.places.get(name, "query")
            yield parameter(name, schema, required=name in needed, place=place, nouns=_owner(operation, name, nouns))


def _owner(operation: Operation, name: str, nouns: frozenset[str]) -> frozenset[str]:
    """Return what an identifier in the path belongs to: the segment before it."""
    before, found, _ = operation.path.partition("{" + name + "}")
    words = parts(before.strip("/").rpartition("/")[2]) if found else ()
    return frozenset({stem(words[-1])}) if words else nouns
