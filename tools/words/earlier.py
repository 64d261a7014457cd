"""What earlier turns leave to go on with: calls already made, a question left open, and what was said."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domain.canonical import JSON
from domain.conversation import Message, Turn
from tools.words import english
from tools.words.clauses import Clause
from tools.words.indexing import Entry, Index
from tools.words.lexing import LARGEST
from tools.words.parameters import Parameter

ASKED = re.compile(r"(?:^|\n)To [^\n]{1,200} I need: ([^\n]{1,400}?)\.(?:\s|$)")
HINT = re.compile(r"\([^()]*\)")
MOST_TURNS_JOINED = 4
ABOUT_MINE = re.compile(
    r"\bwhat (?:did|have) i (?:just )?(?:ask|asked|say|said|write|written|wrote|tell|told)\b"
    r"|\bmy (?P<which>last|previous|first|latest) (?:message|question|request|prompt)\b"
)
ABOUT_DEEDS = re.compile(r"\bwhat (?:did|have) you (?:just )?(?:do|done|did|call|called|change|changed|send|sent)\b")
ABOUT_YOURS = re.compile(
    r"\bwhat did you (?:just )?(?:say|answer|reply|tell)\b|\byour (?:last|previous|latest) (?:answer|reply|message)\b"
)
ABOUT_ALL = re.compile(
    r"\bsummar(?:y|i[sz]e)\b.{0,40}\b(?:conversation|chat|discussion)\b|\bwhat (?:did|have) we (?:talk|discuss|do)"
)
POINTING = frozenset({"is", "was", "about", "of", "for", "with", "show", "repeat", "do", "see"})
POINTERS = frozenset({"it", "its", "they", "them", "their", "this", "same", "again", "he", "she", "his", "her", "him"})


class Past(NamedTuple):
    """A call that was made, and what came back.

    Args:
        where: How the user is told about it: `in this conversation`, or `in this message`.
    """

    service: str
    operation: str
    arguments: dict[str, JSON]
    body: JSON = None
    where: str = "in this conversation"


def calls(window: Sequence[Message]) -> Iterator[Past]:
    """Yield the calls of earlier turns, newest first; what cannot be read is passed over."""
    for message in reversed(window):
        if message.role != "action":
            continue
        found = _object(message.content)
        service, operation, arguments = (found.get(key) for key in ("service", "operation", "arguments"))
        if isinstance(service, str) and isinstance(operation, str) and isinstance(arguments, dict):
            yield Past(service, operation, arguments, _body(found.get("body")))


def _object(text: str) -> dict[str, JSON]:
    value = _body(text)
    return value if isinstance(value, dict) else {}


def _body(value: JSON) -> JSON:
    if not isinstance(value, str):
        return value
    try:
        read: JSON = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return read


def points_back(clause: Clause) -> bool:
    """Tell whether a clause speaks of something named before: `it`, `that one`, `the same`, `again`."""
    words = clause.words
    for place, token in enumerate(words):
        if token.plain in POINTERS:
            return True
        if token.plain in {"that", "this", "those", "these"}:
            following = words[place + 1].plain if place + 1 < len(words) else "one"
            if following in {"one", "ones"} or (place and words[place - 1].plain in POINTING and len(words) < 6):
                return True
    return False


def carried(parameter: Parameter, past: Past, index: Index) -> JSON:
    """Return the value an identifier had in an earlier call or its answer, None when it had none that fits."""
    entry = index.by_name.get((past.service, past.operation))
    for value in _candidates(parameter, past, entry):
        if _fits(value, parameter) and parameter.takes(value):
            return value
    return None


def _fits(value: JSON, parameter: Parameter) -> bool:
    if isinstance(value, str):
        return parameter.kind == "string" and value.isprintable() and 0 < len(value) <= 200
    return type(value) is int and parameter.kind == "integer" and abs(value) <= LARGEST


def _candidates(parameter: Parameter, past: Past, entry: Entry | None) -> Iterator[JSON]:
    if not parameter.identifies:
        return
    yield past.arguments.get(parameter.name)
    for one in entry.parameters if entry else ():
        if one.identifies and not one.nouns.isdisjoint(parameter.nouns):
            yield past.arguments.get(one.name)
    body = past.body[0] if isinstance(past.body, list) and len(past.body) == 1 else past.body
    if isinstance(body, dict):
        yield body.get(parameter.name)
        if entry and not entry.nouns.isdisjoint(parameter.nouns):
            yield body.get("id")


def completed(turn: Turn, text: str) -> str:
    """Return this message joined to the request it completes, when the last reply asked for something missing."""
    joined, spoken = text, [message for message in turn.window if message.role != "action"]
    for _ in range(MOST_TURNS_JOINED):
        if len(spoken) < 2 or spoken[-1].role != "assistant" or spoken[-2].role != "user":
            break
        asked = ASKED.search(spoken[-1].content)
        if not asked:
            break
        names = [name.strip() for name in HINT.sub("", asked[1]).split(",")]
        label = f"{names[0]}: " if len(names) == 1 and joined is text and _unlabelled(text, names[0]) else ""
        joined = f"{spoken[-2].content.rstrip(' .!?')}, {label}{joined}"
        spoken = spoken[:-2]
    return joined


def _unlabelled(text: str, name: str) -> bool:
    return len(text) <= 80 and not set(english.parts(name)) & set(english.parts(text))


def about_conversation(turn: Turn, text: str) -> str:
    """Return the answer to a question about the conversation itself, or nothing when it is none."""
    lower = text.lower()
    if found := ABOUT_MINE.search(lower):
        first = found["which"] == "first"
        return _said(
            turn, "user", f"Your {'earliest message I still have' if first else 'last message'} was", first=first
        )
    if ABOUT_DEEDS.search(lower):
        return _deeds(turn)
    if ABOUT_YOURS.search(lower):
        return _said(turn, "assistant", "My last reply was", first=False)
    return _all(turn) if ABOUT_ALL.search(lower) else ""


def _said(turn: Turn, role: str, opening: str, *, first: bool) -> str:
    said = [message.content for message in turn.window if message.role == role]
    if not said:
        return "I remember no earlier message of this conversation."
    text = " ".join(said[0 if first else -1].split())
    return f"{opening}: “{text if len(text) <= 600 else text[:599] + '…'}”."


def _deeds(turn: Turn) -> str:
    lines = [_deed(_object(message.content)) for message in turn.window if message.role == "action"]
    if not lines:
        return "In what I remember of this conversation I called no service."
    more = [f"… and {len(lines) - 12} before these"] if len(lines) > 12 else []
    return "\n".join(["In what I remember of this conversation I proposed these calls:", *more, *lines[-12:]])


def _deed(entry: dict[str, JSON]) -> str:
    arguments = entry.get("arguments")
    given = ", ".join(f"{key} {value}" for key, value in arguments.items()) if isinstance(arguments, dict) else ""
    operation, outcome = entry.get("operation", "an operation"), entry.get("outcome", "outcome not recorded")
    return f"- {operation}{f' ({given[:120]})' if given else ''}: {outcome}"


def _all(turn: Turn) -> str:
    lines = [f"{message.role}: {' '.join(message.content.split())[:140]}" for message in turn.window]
    told = [line for line in lines if not line.startswith("action:")][-10:]
    if not told and not turn.summary:
        return "I remember no earlier message of this conversation."
    return "\n".join(["What I remember of this conversation:", *filter(None, [turn.summary[:500]]), *told])
