"""Find restrictions that an operation's arguments cannot express: what is negated, and what is an alternative."""

from collections.abc import Iterator

from tools.words import english
from tools.words.lexing import Token
from tools.words.parameters import Parameter
from tools.words.phrases import REFUSED
from tools.words.values import Filling, fitted

EXCLUDING = REFUSED | english.NEGATIONS | frozenset({"excluding", "besides", "excludes", "lacking"})
EXCLUDING_PHRASES = frozenset({("other", "than"), ("rather", "than"), ("apart", "from"), ("instead", "of")})
EVERYTHING = english.EVERYTHING | {"every"}
PASSED = english.STOP_WORDS | english.COMPARING | english.READ_VERBS
ALTERNATIVE = frozenset({"or", "nor"})
NO_ALTERNATIVE = frozenset({"not", "no", "so", "something", "anything", "what", "else"})
"""What after `or` makes it mean nothing."""

TAGS = frozenset({"isnt", "arent", "wasnt", "werent"})
FARTHEST = 8
"""So many words before a value are looked at."""


def misfits(filling: Filling) -> list[str]:
    """Return the words of a clause whose meaning is lost or turned around in a call with these arguments."""
    if turned := _turned_down(filling):
        return turned
    entry, found = filling.entry, list(_excluded(filling))
    if entry.lists or not entry.reads:
        found += _alternatives(filling)
    if entry.lists:
        named = {word for one in found for word in one.split()}
        found += [one for one in _unchosen(filling) if one not in named]
    return list(dict.fromkeys(found))


def _turned_down(filling: Filling) -> list[str]:
    """Return the first listed value that a listing cannot leave out, where the clause wants `not sold`."""
    said = filling.clause.said
    for parameter in filling.open() if filling.entry.lists else ():
        for place, token in enumerate(said[1:], start=1):
            if parameter.values and said[place - 1].plain in REFUSED and fitted(parameter, token):
                return [f"{said[place - 1].text} {token.text}"]
    return []


def _excluded(filling: Filling) -> Iterator[str]:
    """Yield values that the clause wants left out: `not red`, `without red`, `not from 2021`."""
    said = filling.clause.said
    for place, parameter in sorted(filling.places.items()):
        if parameter.kind == "boolean" or not filling.entry.reads or place >= len(said):
            continue
        start = _excluding(filling, place, parameter)
        if start >= 0:
            yield " ".join(token.text for token in said[start : place + 1])


def _excluding(filling: Filling, place: int, parameter: Parameter) -> int:
    """Return where the word stands that leaves out the value at a place, or -1."""
    said = filling.clause.said
    for position in range(place - 1, max(-1, place - 1 - FARTHEST), -1):
        plain = said[position].plain
        before = said[position - 1].plain if position else ""
        if said[position].kind != "word":
            break
        if (before, plain) in EXCLUDING_PHRASES or (plain == "but" and _everything(said, position)):
            return position - 1
        if plain in EXCLUDING:
            return -1 if _harmless(filling, position, place) else position
        if not _passed(said[position], parameter):
            break
    return -1


def _everything(said: tuple[Token, ...], place: int) -> bool:
    return any(token.plain in EVERYTHING for token in said[max(0, place - 2) : place])


def _passed(token: Token, parameter: Parameter) -> bool:
    """Tell whether a word may stand between `not` and the value it is about."""
    named = bool(token.stems) and parameter.words.issuperset(token.stems)
    return named or token.plain in PASSED


def _harmless(filling: Filling, position: int, place: int) -> bool:
    """Tell whether a negation leaves nothing out: `no 5`, `no more than 5`, `aren't there any red cars?`."""
    said, plain = filling.clause.said, filling.clause.said[position].plain
    if plain in {"no", "not"} and position == place - 3 and said[place - 1].plain == "than":
        return said[place - 2].plain in english.COMPARING
    if plain == "no" and position == place - 1:
        return said[place].kind in {"number", "identifier"}
    opens = all(token.plain in english.FILLERS or token.kind == "mark" for token in said[:position])
    return opens and (plain in TAGS or (plain.endswith("nt") and filling.clause.mood == "question"))


def _alternatives(filling: Filling) -> Iterator[str]:
    """Yield what stands around an `or` whose two sides do not both go into one list."""
    said, places = filling.clause.said, filling.places
    for place, token in enumerate(said[1:-1], start=1):
        before, after = said[place - 1], said[place + 1]
        if token.plain not in ALTERNATIVE or token.kind != "word" or after.plain in NO_ALTERNATIVE:
            continue
        sides = places.get(place - 1), places.get(place + 1)
        if sides[0] is None or sides[0].kind != "array" or sides[0] is not sides[1]:
            opening = "" if before.kind == "mark" else f"{before.text} "
            yield f"{opening}{token.text} {after.text}"


def _unchosen(filling: Filling) -> Iterator[str]:
    """Yield colours and listed values that went into no argument, such as the second of `red and blue cars`."""
    closed = [one for one in filling.open() if one.values]
    for place, token in enumerate(filling.clause.said):
        if token.kind != "word" or place in filling.used or not filling.entry.nouns.isdisjoint(token.stems):
            continue
        listed = token.plain not in english.STOP_WORDS and any(fitted(one, token) for one in closed)
        if listed or token.plain in english.COLOURS:
            yield token.text
