"""Fill an operation's arguments with the numbers, dates and identifiers of a clause, by the words next to them."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.canonical import JSON
from tools.words import english
from tools.words.clauses import Clause
from tools.words.indexing import Entry, Index
from tools.words.lexing import Token
from tools.words.literals import Literal
from tools.words.parameters import Parameter

type Option = tuple[()] | tuple[JSON]

YES = frozenset({"true", "yes", "on"})
NO = frozenset({"false", "no", "off"})
MAIL = frozenset({"email", "mail", "recipient"})
SURE = 3
"""From this affinity on, a value belongs to a parameter; below, only when nothing else is left for either."""


@dataclass
class Filling:
    """What was made of a clause for one operation.

    Args:
        used: Which of the clause's tokens went into arguments.
        places: Which argument each of them went into.
        notes: What the user should know about how arguments came to be.
    """

    entry: Entry
    clause: Clause
    arguments: dict[str, JSON] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    places: dict[int, Parameter] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> tuple[Parameter, ...]:
        """The required arguments that are still open."""
        return tuple(one for one in self.entry.required if one.name not in self.arguments)

    def open(self) -> list[Parameter]:
        """Return the parameters without a value."""
        return [one for one in self.entry.parameters if one.name not in self.arguments]

    def put(self, parameter: Parameter, value: JSON, *places: int) -> None:
        """Set one argument and mark the words it came from."""
        self.arguments[parameter.name] = value
        self.used.update(places)
        self.places.update(dict.fromkeys(places, parameter))


def fitted(parameter: Parameter, token: Token) -> Option:
    """Return the value a token gives a parameter, or nothing when it does not fit."""
    if parameter.kind == "array" and parameter.items is not None:
        inner = fitted(parameter.items, token)
        return _kept(parameter, [inner[0]]) if inner else ()
    if parameter.values:
        return _enumerated(parameter, token)
    for value in _readings(parameter, token):
        if parameter.takes(value):
            return (value,)
    return ()


def _kept(parameter: Parameter, value: JSON) -> Option:
    return (value,) if parameter.takes(value) else ()


def _enumerated(parameter: Parameter, token: Token) -> Option:
    if token.kind == "number":
        return _kept(parameter, parameter.values[token.plain]) if _understood(token, parameter) else ()
    plain = token.plain.replace(" ", "").replace("-", "").replace("_", "")
    if plain in parameter.values:
        return _kept(parameter, parameter.values[plain])
    if len(token.stems) == 1 and token.stems[0] in parameter.value_stems:
        return _kept(parameter, parameter.value_stems[token.stems[0]])
    return ()


def _understood(token: Token, parameter: Parameter) -> bool:
    return token.value is not None and token.plain in parameter.values


def _readings(parameter: Parameter, token: Token) -> tuple[JSON, ...]:
    if token.value is None and token.kind != "word":
        return ()
    if parameter.kind in {"integer", "number"}:
        return _numbers(parameter, token)
    if parameter.kind == "boolean":
        return (token.plain in YES,) if token.plain in YES | NO else ()
    if parameter.kind == "date":
        return (token.text,) if token.kind == "date" and len(token.text) == 10 else ()
    if parameter.kind == "date-time":
        return _moments(token)
    return _texts(token) if parameter.kind == "string" else ()


def _moments(token: Token) -> tuple[JSON, ...]:
    """Return an instant in RFC 3339 form; a day alone, or a time without zone, is none."""
    text = token.text.replace(" ", "T")
    try:
        moment = datetime.fromisoformat(text) if token.kind == "date" else None
    except ValueError:
        return ()
    exact = moment is not None and moment.tzinfo is not None and text.count(":") >= 2 + (text[-1] != "Z")
    return (text,) if exact else ()


def _numbers(parameter: Parameter, token: Token) -> tuple[JSON, ...]:
    value = token.value
    if isinstance(value, str | None) or (value < 0 and _never_negative(parameter)):
        return ()
    if token.unit == "money" and "cent" in parameter.words:
        cents = round(value * 100)
        return (cents,)
    whole = isinstance(value, int)
    return (value,) if whole or parameter.kind == "number" else ()


def _never_negative(parameter: Parameter) -> bool:
    """Tell whether it counts, identifies or costs something, and its schema does not speak of less than nothing."""
    least = parameter.schema.get("minimum")
    if isinstance(least, int | float) and least < 0:
        return False
    return parameter.identifies or parameter.like(english.QUANTITY_LIKE) or parameter.like(english.MONEY_LIKE)


def _texts(token: Token) -> tuple[JSON, ...]:
    if isinstance(token.value, int | float):
        return (token.plain, f"{token.value:.2f}")
    return (token.text if token.value is None else token.value,)


def fill_numbers(filling: Filling, found: tuple[Literal, ...], index: Index) -> None:
    """Give each value to the parameter its words name best; one value, one parameter."""
    found = _told_apart(filling, found)
    open_ones = filling.open()
    pairs = [
        (-affinity, place, order, literal, parameter)
        for place, literal in enumerate(found)
        if literal.place not in filling.used and literal.token.kind != "quoted"
        for order, parameter in enumerate(open_ones)
        if (affinity := _affinity(literal, parameter, filling, index)) >= SURE
    ]
    for _, _, _, literal, parameter in sorted(pairs, key=lambda pair: pair[:3]):
        if literal.place not in filling.used and parameter.name not in filling.arguments:
            _give(filling, literal, parameter)
    _fill_only_one(filling, found, index)


def _told_apart(filling: Filling, found: tuple[Literal, ...]) -> tuple[Literal, ...]:
    """Return the values without the bare numbers of a change that only their order would tell apart: `refund 10 20`."""
    bare = [one for one in found if _bare(one) and one.place not in filling.used]
    if filling.entry.reads or len(bare) < 2:
        return found
    wanted = [one for one in filling.missing if all(fitted(one, literal.token) for literal in bare)]
    return tuple(one for one in found if one not in bare) if len(wanted) > 1 else found


def _bare(literal: Literal) -> bool:
    """Tell whether nothing next to a number says what it is."""
    named = literal.label or literal.after or literal.token.unit or literal.near[-1:] == ("with",)
    return literal.token.kind == "number" and not named


def _give(filling: Filling, literal: Literal, parameter: Parameter) -> None:
    if value := fitted(parameter, literal.token):
        filling.put(parameter, value[0], literal.place)


def _fill_only_one(filling: Filling, found: tuple[Literal, ...], index: Index) -> None:
    """Give the only value left to the only required parameter left, unless its words name something else."""
    left = [one for one in found if one.place not in filling.used and one.token.kind != "quoted"]
    text = bool(left) and left[0].token.kind == "identifier"
    wanted = [
        one for one in filling.missing if one.kind not in {"boolean", "array", "object", "" if text else "string"}
    ]
    if len(left) == 1 and len(wanted) == 1 and _affinity(left[0], wanted[0], filling, index) > 0:
        _give(filling, left[0], wanted[0])


def _affinity(literal: Literal, parameter: Parameter, filling: Filling, index: Index) -> int:
    """Tell how much the words around a value speak for a parameter; 0 when they speak against it."""
    if not fitted(parameter, literal.token):
        return 0
    unlike = literal.bound or (literal.token.unit and parameter.identifies)
    if parameter.words and parameter.words == frozenset(literal.near[-len(parameter.words) :]) and not unlike:
        return 12
    if literal.token.kind == "date":
        return _date_affinity(literal, parameter)
    if literal.bound:
        return _bound_affinity(literal, parameter)
    return _named(literal, parameter, filling, index)


def _bound_affinity(literal: Literal, parameter: Parameter) -> int:
    of_size = bool(english.OF_SIZE.intersection(literal.near)) and parameter.like(english.MONEY_LIKE)
    if parameter.bound != literal.bound or of_size:
        return 0
    if any(_names(parameter, word) for word in literal.label):
        return 10
    return 6 if parameter.like(english.MONEY_LIKE) else 0 if literal.token.unit else 5


def _date_affinity(literal: Literal, parameter: Parameter) -> int:
    if any(_names(parameter, word) for word in literal.label):
        return 10
    sides = {"start": parameter.like(english.START_LIKE), "end": parameter.like(english.END_LIKE)}
    if literal.side:
        return 9 if sides[literal.side] else 0 if any(sides.values()) else 5
    return 4 if parameter.kind != "string" else 0


def _names(parameter: Parameter, word: str) -> bool:
    return not english.similar(word).isdisjoint(parameter.words | parameter.nouns)


def _named(literal: Literal, parameter: Parameter, filling: Filling, index: Index) -> int:
    money = literal.token.unit == "money"
    if literal.label and _names(parameter, literal.label[0]):
        return 0 if money and parameter.identifies else 10
    if literal.token.unit:
        like = english.MONEY_LIKE if money else english.PERCENT_LIKE
        return 8 if parameter.like(like) else 0
    foreign = any(not english.similar(word).isdisjoint(index.nouns) for word in literal.label[:1])
    own = literal.token.kind == "identifier" and not filling.entry.nouns.isdisjoint(literal.label)
    if foreign and not own:
        return 0
    if literal.after and not parameter.identifies:
        if literal.after in parameter.words:
            return 9
        if parameter.like(english.QUANTITY_LIKE) and literal.after in filling.entry.nouns:
            return 6
    return _unnamed(literal, parameter)


def _unnamed(literal: Literal, parameter: Parameter) -> int:
    value = literal.token.value
    if not english.stems(english.SIDES).isdisjoint(literal.near[-1:]):
        return 0
    if "year" in parameter.words and isinstance(value, int) and 1900 <= value <= 2100:
        return 5
    if parameter.kind == "string" and not parameter.identifies:
        if "@" in literal.token.plain and parameter.like(MAIL):
            return 9
        return 1 if literal.token.kind == "identifier" and parameter.required else 0
    if parameter.required and not parameter.bound:
        return 4 if parameter.identifies and parameter.place == "path" else 3 if parameter.identifies else 2
    return 0
