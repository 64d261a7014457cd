"""Find the numbers, dates and names in a clause, and what the words around them say they are."""

from dataclasses import dataclass

from tools.words import english
from tools.words.clauses import Clause
from tools.words.lexing import Token

SKIPPED = frozenset({"the", "a", "an", "of", "is", "was", "number", "no", "nr", ".", "#", ":", "=", "to", "as", "at"})
IDENTIFYING = frozenset({"id", "ids"})
LESS = frozenset({"below", "under", "beneath", "<", "maximum", "max", "within", "most"})
MORE = frozenset({"above", "over", "beyond", ">", "minimum", "min", "least"})
LESS_THAN = frozenset({"less", "cheaper", "lower", "fewer", "smaller", "younger", "shorter", "earlier"})
MORE_THAN = frozenset({"more", "greater", "higher", "larger", "bigger", "older", "newer", "later", "longer"})
STARTING = frozenset({"from", "since", "after", "starting", "between"})
ENDING = frozenset({"to", "until", "till", "before", "through", "ending", "by"})


@dataclass(frozen=True)
class Literal:
    """A value in a clause.

    Args:
        place: Where it stands in the clause's tokens.
        label: Stems of the words right before it, nearest first: `order` of `order 1001`.
        near: Stems of the two words right before it, small ones too: `check in` of `check in 2030-01-31`.
        after: The stem of the word right after it: `night` of `3 nights`.
        bound: `max` after `under`, `min` after `at least`, `other` after an unknown `… than`, or nothing.
        side: `start` after `from` or `since`, `end` after `until` or `to`, or nothing.
    """

    place: int
    token: Token
    label: tuple[str, ...]
    near: tuple[str, ...]
    after: str
    bound: str
    side: str


def literals(clause: Clause) -> tuple[Literal, ...]:
    """Return the values of a clause in order."""
    found: list[Literal] = []
    for place, token in enumerate(clause.said):
        if token.kind in {"number", "date", "identifier", "quoted"}:
            found.append(_literal(clause, place, token, found))
    return tuple(found)


def _literal(clause: Clause, place: int, token: Token, before: list[Literal]) -> Literal:
    said = clause.said
    bound, start = _bound(said, place)
    side = _side(said, place)
    if before and _ends_range(before[-1], said, place):
        bound, side = "max", "end"
    if place and said[place - 1].plain == "between":
        bound = "min"
    return Literal(place, token, _label(clause, start), _near(said, place), _after(said, place), bound, side)


def _ends_range(earlier: Literal, said: tuple[Token, ...], place: int) -> bool:
    """Tell whether a value is the end of what an earlier one begins: `from 2030-01-31 to 2030-02-03`."""
    joined = place - earlier.place == 2 and said[place - 1].plain in {"and", "to"}
    return joined and earlier.side == "start" and (bool(earlier.bound) or said[place].kind == "date")


def _bound(said: tuple[Token, ...], place: int) -> tuple[str, int]:
    """Return which bound the words before a value make it, and where those words begin."""
    near = said[place - 1].plain if place else ""
    far = said[place - 2].plain if place > 1 else ""
    if near in LESS or near in MORE:
        return "max" if near in LESS else "min", place - (2 if far == "at" else 1)
    if near == "to" and far == "up":
        return "max", place - 2
    if near == "than" and (far in LESS_THAN or far in MORE_THAN):
        turned = place > 2 and said[place - 3].plain in {"no", "not"}
        return "max" if (far in LESS_THAN) != turned else "min", place - (3 if turned else 2)
    return ("other", place - 2) if near == "than" else ("", place)


def _side(said: tuple[Token, ...], place: int) -> str:
    near = said[place - 1].plain if place else ""
    return "start" if near in STARTING else "end" if near in ENDING else ""


def _label(clause: Clause, place: int) -> tuple[str, ...]:
    """Return the stems of the words right before a place, over small words, up to the next value or preposition."""
    said, identified = clause.said, False
    found: list[str] = []
    for position in range(place - 1, max(-1, place - 6), -1):
        token = said[position]
        if token.kind not in {"word", "mark"} or position == clause.verb:
            break
        if token.plain in IDENTIFYING or token.plain in SKIPPED or (token.plain == "with" and identified):
            identified = identified or token.plain in IDENTIFYING
            if found:
                break
            continue
        if token.kind == "mark" or token.plain in english.STOP_WORDS:
            break
        found.extend(one for one in reversed(token.stems) if one != "id")
        if len(found) >= 3:
            break
    return tuple(found)


def _near(said: tuple[Token, ...], place: int) -> tuple[str, ...]:
    end = place - 1 if place and said[place - 1].plain in {":", "=", "is", "of"} else place
    return tuple(stem for token in said[max(0, end - 2) : end] for stem in token.stems)


def _after(said: tuple[Token, ...], place: int) -> str:
    following = said[place + 1] if place + 1 < len(said) else None
    if following is None or following.kind != "word" or following.plain in english.STOP_WORDS:
        return ""
    beyond = said[place + 2].kind if place + 2 < len(said) else "mark"
    return following.stems[-1] if following.stems and beyond not in {"number", "identifier"} else ""
