"""Origins: where the value of each argument came from, so that a policy can mistrust what others may have written.

Whoever the values explain best counts: the user's own words first. What the user did not say and a passage holds is
`retrieved`; what only an earlier answer holds, a service's or one of the agent's own, is `service`; what nothing holds
is the `model`'s. An argument of several values has the origin of the worst of them, in the order of `WORST`.

Values are compared as whole words, never as parts of them: 1 is not in 1001. Case and punctuation do not count, `$500`,
`500.00` and `1,000` are the numbers 500, 500 and 1000, and a number's sign is not looked at. A very short value (1, ok,
true) is in nearly every answer by accident: in an answer that is JSON it counts only under a name like the argument's.
Of a text that nobody said as a whole, what gives away its source counts: four words in a row, addresses, and words with
digits.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from domain.actions import Origin
from domain.canonical import JSON, canonical
from domain.conversation import Message, Turn
from domain.errors import InvalidInput

WORST: tuple[Origin, ...] = ("user", "model", "service", "retrieved")
"""From the one to trust most to the one to trust least."""

SHORT_CHARS = 3
"""A value of fewer characters proves little."""

ROW = 4
"""So many words in a row are no accident."""

WORD = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)"  # 1,000.50
    r"|\d+(?:\.\d+)?(?!\w)"  # 500.00
    r"|\d+(?:\.\d+)?(?=[^\W\d_]{1,4}(?!\w))"  # the 500 of 500usd
    r"|\w+"
)

ANSWERED = ("executed", "failed", "unknown")
"""Outcomes whose result holds a service's words; the others' hold a human's or our own."""

type Leaf = tuple[str, JSON]  # a value without members, and the name it stands under


def origins_of(arguments: Mapping[str, JSON], turn: Turn) -> dict[str, Origin]:
    """Return where the value of each argument came from, by the argument's name."""
    heard = _Heard(turn)
    return {
        name: _worst(heard.origin(under, value) for under, value in _leaves(value, name))
        for name, value in arguments.items()
    }


def _worst(origins: Iterable[Origin]) -> Origin:
    return max(origins, key=WORST.index, default="model")


class _Heard:
    """What there was to take values from when the model called; read only as far as needed."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    @cached_property
    def _user(self) -> "_Text":
        turn = self._turn
        said = [turn.message, *_said(turn.window, "user"), *_summed_up(turn.summary, "user")]
        return _Text(_words(text) for text in said)

    @cached_property
    def _retrieved(self) -> "_Text":
        return _Text(_words(text) for passage in self._turn.passages for text in (passage.title, passage.text))

    @cached_property
    def _answers(self) -> "_Answers":
        turn = self._turn
        own = [*_said(turn.window, "assistant"), *_summed_up(turn.summary, "assistant", "action")]
        now = [done.result.body for done in turn.done if done.result.outcome in ANSWERED]
        return _Answers(own, [*(_body(content) for content in _said(turn.window, "action")), *now])

    def origin(self, name: str, value: JSON) -> Origin:
        """Return where one value came from."""
        words = _words(_spelled(value))
        if not words:
            return "model"
        if self._user.holds(words):
            return "user"
        pieces = _pieces(value, words) if isinstance(value, str) else [words]
        return _worst(("model", *(self._origin(name, piece) for piece in pieces if not self._user.holds(piece))))

    def _origin(self, name: str, words: Sequence[str]) -> Origin:
        if self._retrieved.holds(words):
            return "retrieved"
        return "service" if self._answers.hold(name, words) else "model"


class _Text:
    """Texts as rows of words, none of which goes on in the next text."""

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        self._texts = [tuple(words) for words in texts]

    def holds(self, words: Sequence[str]) -> bool:
        if len(words) == 1:
            return words[0] in self._single
        if len(words) == ROW:
            return tuple(words) in self._rows
        return f" {' '.join(words)} " in self._joined

    @cached_property
    def _single(self) -> frozenset[str]:
        return frozenset(word for words in self._texts for word in words)

    @cached_property
    def _rows(self) -> frozenset[Sequence[str]]:
        return frozenset(row for words in self._texts for row in _rows(words))

    @cached_property
    def _joined(self) -> str:
        return "\n".join(f" {' '.join(words)} " for words in self._texts)


class _Answers:
    """What services answered, and what the agent said before.

    Args:
        own: The agent's words, made of it knows what.
        bodies: The services' answers.
    """

    def __init__(self, own: Sequence[str], bodies: Sequence[str]) -> None:
        documents = [_parsed(body) for body in bodies]
        self._leaves = [(name, _words(_spelled(leaf))) for each in documents for name, leaf in _leaves(each, "")]
        self._values = _Text(words for _, words in self._leaves)
        no_json = (body for body, document in zip(bodies, documents, strict=True) if document is None)
        self._free = _Text(_words(text) for text in (*own, *no_json))

    def hold(self, name: str, words: Sequence[str]) -> bool:
        if self._free.holds(words):
            return True
        if len(words) > 1 or (len(words[0]) >= SHORT_CHARS and words[0] not in ("true", "false")):
            return self._values.holds(words)
        return any(found == words and _alike(name, under) for under, found in self._leaves)


def _said(window: Iterable[Message], role: str) -> list[str]:
    return [message.content for message in window if message.role == role]


def _summed_up(summary: str, *roles: str) -> list[str]:
    """Return what a summary tells of these roles; `domain.window` writes it, a line for each message."""
    lines = (line.partition(": ") for line in summary.split("\n"))
    return [content for role, _, content in lines if role in roles]


def _body(remembered: str) -> str:
    """Return the answer in a window's entry, as `nodes.respond` writes it; all of an entry that was cut."""
    entry = _parsed(remembered)
    if not isinstance(entry, dict):
        return remembered
    return str(entry.get("body", "")) if entry.get("outcome") in ANSWERED else ""


def _parsed(text: str) -> JSON:
    """Return the JSON of a text, or None where it is none."""
    try:
        value: JSON = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _leaves(value: JSON, name: str) -> Iterator[Leaf]:
    """Yield the values without members, in no certain order; depth is no matter."""
    open_values = [(name, value)]
    while open_values:
        under, each = open_values.pop()
        if isinstance(each, dict):
            open_values.extend(each.items())
        elif isinstance(each, list):
            open_values.extend((under, member) for member in each)
        elif each is not None:
            yield under, each


def _spelled(value: JSON) -> str:
    """Return a value as people would write it."""
    if isinstance(value, str):
        return value
    try:
        return canonical(value)
    except InvalidInput:  # a number beyond what JSON carries exactly, in a service's answer
        return str(value)


def _words(text: str) -> list[str]:
    return [_word(found[0]) for found in WORD.finditer(unicodedata.normalize("NFKC", text).casefold())]


def _word(text: str) -> str:
    """Return a word as it is compared: numbers without separators and without zeros that say nothing."""
    if not text[0].isdecimal() or not text.replace(",", "").replace(".", "").isdecimal():
        return text
    whole, _, part = text.replace(",", "").partition(".")
    part = part.rstrip("0")
    return f"{whole.lstrip('0') or '0'}.{part}" if part else whole.lstrip("0") or "0"


def _rows(words: Sequence[str]) -> Iterator[Sequence[str]]:
    return (words[start : start + ROW] for start in range(len(words) - ROW + 1))


def _pieces(value: str, words: Sequence[str]) -> list[Sequence[str]]:
    """Return what of a text gives away where it came from: itself, rows of words, words with digits, addresses."""
    telling = [[word] for word in words if len(word) > SHORT_CHARS and any(letter.isdecimal() for letter in word)]
    addresses = [_words(part) for part in value.split() if "@" in part or "://" in part]
    return [words, *_rows(words), *telling, *(address for address in addresses if address)]


def _alike(one: str, other: str) -> bool:
    """Return whether two names may mean the same: `petId`, `pet_id` and `id` do."""
    one, other = (re.sub(r"[^a-z0-9]", "", name.lower()) for name in (one, other))
    return bool(one and other) and (one.endswith(other) or other.endswith(one))
