"""Compose the reply from what came of this run's actions; it claims nothing the data does not say."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from domain.canonical import JSON
from domain.conversation import Done
from tools.words import english, showing
from tools.words.clauses import Clause
from tools.words.english import parts, stem
from tools.words.indexing import Entry, Index
from tools.words.parameters import ID_WORDS
from tools.words.wording import MOST_CHARS, bounded


class Asked(NamedTuple):
    """What the user wanted to know with one action."""

    clause: Clause | None
    entry: Entry | None
    known: Index


def report(done: Sequence[Done], asked: Sequence[Asked], notes: Sequence[str]) -> str:
    """Return the reply to a run's actions in the order proposed, and the notes after them."""
    tail = "\n".join(notes)
    budget = max(200, (MOST_CHARS - len(tail[:800]) - 2 * len(done)) // max(1, len(done)))
    told = [bounded(_told(one, question, budget), budget) for one, question in zip(done, asked, strict=True)]
    return bounded("\n".join(filter(None, [*told, bounded(tail, 800)])))


def _told(done: Done, asked: Asked, budget: int) -> str:
    outcome, body = done.result.outcome, done.result.body
    what = f"{done.action.operation}{_given(done)}"
    why = showing.message_of(body) if body else ""
    because = f": {why.rstrip('.')}." if why else "."
    match outcome:
        case "executed":
            return _answer(done, asked, budget)
        case "rejected":
            return f"{what} was not approved{because} Nothing was sent."
        case "denied":
            return f"{what} is not allowed here{because} Nothing was sent."
        case "unknown":
            return f"I could not find out whether {what} happened; a person must check{because}"
        case "invalid":
            return f"{what} was not sent, because its arguments do not fit{because}"
        case _:
            status = done.result.http_status
            return f"{what} failed{f': the service answered {status}' if status else ''}{because}"


def _arguments(done: Done) -> dict[str, JSON]:
    value = showing.read(done.action.arguments)
    return value if isinstance(value, dict) else {}


def _given(done: Done) -> str:
    told = ", ".join(f"{key} {showing.shown(value)}" for key, value in _arguments(done).items())
    return f" ({bounded(told, 200)})" if told else ""


def _answer(done: Done, asked: Asked, budget: int) -> str:
    value = showing.read(done.result.body) if done.result.body else None
    if done.action.effect == "write":
        return _written(done, value)
    found = showing.items(value)
    if found is not None:
        return _list(done, asked, found, budget)
    if isinstance(value, dict) and value:
        return _thing(done, asked, value)
    if value is None or value in ("", {}):
        return f"{done.action.operation}{_given(done)}: the service answered without content."
    return f"{done.action.operation}{_given(done)}: {bounded(showing.plain(str(value)), 400)}"


def _written(done: Done, value: JSON) -> str:
    status = f"status {done.result.http_status}" if done.result.http_status else "success"
    if value is None or value in ("", {}, []):
        answer = f"the service answered with {status} and no content"
    else:
        answer = f"answer: {bounded(showing.line(value), 500)}"
    return f"Done: {done.action.operation}{_given(done)}; {answer}."


def _list(done: Done, asked: Asked, found: tuple[list[JSON], int | None], budget: int) -> str:
    things, total = found
    noun, filters = _noun(asked, done), _filters(done)
    if not things:
        return f"No {noun} match {filters}." if filters else f"There are no {noun}."
    count = f"{len(things)} of {total}" if total is not None and total > len(things) else f"{len(things)}"
    one = len(things) == 1 and total in {None, 1}
    noun = english.singular(noun) if one else noun
    matches = f" {'matches' if one else 'match'} {filters}" if filters else ""
    opening = f"{'Yes, ' if _exists(asked) else ''}{count} {noun}{matches}:"
    return "\n".join([opening, *showing.listing(things, budget - len(opening) - 20)])


def _filters(done: Done) -> str:
    told = [f"{' '.join(parts(key))} {showing.shown(value)}" for key, value in _arguments(done).items()]
    return bounded(" and ".join(told), 200)


def _noun(asked: Asked, done: Done) -> str:
    """Return the plural of what a listing holds: the word the user said for it, else one of the operation's own."""
    nouns = asked.entry.nouns if asked.entry else frozenset()
    words = [word for word in parts(done.action.operation) if stem(word) in nouns] or ["results"]
    own = next((word for word in words if word.endswith("s")), words[-1])
    return own if own.endswith("s") else own[:-1] + "ies" if own.endswith("y") else own + "s"


def _exists(asked: Asked) -> bool:
    """Tell whether the question is whether there is any."""
    words = [token.plain for token in asked.clause.words[:4]] if asked.clause else []
    pairs = set(pairwise(words))
    return bool(pairs & {("is", "there"), ("are", "there"), ("do", "you"), ("do", "we"), ("have", "you")})


def _thing(done: Done, asked: Asked, value: dict[str, JSON]) -> str:
    name = showing.name_of(value)
    given = [f"{_called(key, asked)} {showing.shown(one)}" for key, one in _identifying(done, asked)]
    who = " ".join(given) + (f" ({name})" if name and given else name)
    verdict = _verdict(asked, value, who)
    fields = showing.line(value)
    if verdict:
        return f"{verdict}\n- {fields}"
    return f"{who}: {_rest(value, _identifying(done, asked))}" if given else f"{done.action.operation}: {fields}"


def _identifying(done: Done, asked: Asked) -> list[tuple[str, JSON]]:
    named = {one.name for one in asked.entry.parameters if one.identifies} if asked.entry else set()
    return [(key, value) for key, value in _arguments(done).items() if key in named]


def _called(key: str, asked: Asked) -> str:
    """Return what an identifier is the number of: `petId` of a pet, `id` of what stands before it in the path."""
    words = [word for word in parts(key) if word not in ID_WORDS]
    if words or asked.entry is None:
        return " ".join(words) or key
    before = asked.entry.operation.path.partition("{" + key + "}")[0]
    return english.singular(" ".join(parts(before.strip("/").rpartition("/")[2]))) or key


def _rest(value: dict[str, JSON], given: list[tuple[str, JSON]]) -> str:
    """Return a thing's fields without the name and numbers that were already said."""
    said = {*(key for key, _ in given), *showing.NAMES, "id"}
    return ", ".join(showing.fields({key: one for key, one in value.items() if key not in said})) or "no further data"


def _verdict(asked: Asked, value: dict[str, JSON], who: str) -> str:
    """Answer yes or no where a field of the data says so, and only to a question that asks it without a `not`."""
    clause = asked.clause
    if clause is None or not who or clause.blocked or not _asks_whether(clause):
        return ""
    nouns = asked.entry.nouns if asked.entry else frozenset()
    for token in reversed(clause.words):
        word = token.stems[0] if token.stems else ""
        if not word or token.plain in english.STOP_WORDS or word in nouns:
            continue
        if found := showing.stated(value, word):
            return f"Yes, {who} is {token.plain}." if found[1] else f"No, {who} is not {token.plain}."
        if other := _otherwise(word, value, asked.known):
            return f"No, {who} is {other}."
    return ""


def _asks_whether(clause: Clause) -> bool:
    words = [token.plain for token in clause.words]
    return any(word in {"is", "are", "was", "were", "whether", "if"} for word in words[:5]) and not any(
        word in {"what", "which", "who", "how", "when", "where", "why", "or"} for word in words
    )


def _otherwise(word: str, value: dict[str, JSON], index: Index) -> str:
    """Return what the field says instead, when the word is another of its listed values."""
    for entry in index.entries:
        for parameter in entry.parameters:
            chosen = parameter.items or parameter
            told = value.get(parameter.name)
            if word in chosen.value_stems and isinstance(told, str) and stem(told.lower()) in chosen.value_stems:
                return showing.plain(told)
    return ""
