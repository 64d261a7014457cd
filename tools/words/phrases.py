"""Fill an operation's arguments with the words of a clause: listed values, labelled texts, reasons, yes and no."""

from domain.canonical import JSON
from tools.words import english
from tools.words.clauses import Clause
from tools.words.indexing import Entry, Index
from tools.words.lexing import Token
from tools.words.literals import Literal
from tools.words.parameters import Parameter
from tools.words.values import Filling, Option, fill_numbers, fitted

LINKS = frozenset({"of", "is", "=", ":", "to", "as", "set", "the", "a"})
ABOUT = frozenset({"about", "containing", "matching", "mentioning", "like"})
ARRANGING = english.stems(frozenset({"sort", "sorting", "order", "ordering", "direction", "format", "page"}))
"""What names an argument that puts results in order rather than choosing among them."""

REFUSED = frozenset({"not", "non", "except", "without", "no"})
SMALL = english.STOP_WORDS | english.PREPOSITIONS | english.FACTS | english.NEGATIONS | english.FILLERS | REFUSED
"""Words that are no value of anything."""

CURRENCIES = {"usd": "usd", "eur": "eur", "gbp": "gbp", "chf": "chf", "€": "eur", "£": "gbp", "euro": "eur"}


def fill(entry: Entry, clause: Clause, index: Index, found: tuple[Literal, ...]) -> Filling:
    """Return an operation's arguments as far as the clause says them, surest first; the rest stays open."""
    filling = Filling(entry, clause)
    _assigned(filling)
    _changed(filling)
    _listed(filling)
    fill_numbers(filling, found, index)
    if any(parameter.kind in {"string", "array"} for parameter in filling.open()):
        _named(filling)
        _labelled(filling, index)
        _described(filling, index)
        _quoted(filling)
    _reason(filling)
    _answered(filling)
    _currency(filling)
    _chosen_by_default(filling)
    _supposed(filling)
    return filling


def _chosen_by_default(filling: Filling) -> None:
    """Tell of listed values that choose among the results although nobody asked for them."""
    for parameter in filling.open() if filling.entry.lists else ():
        default = parameter.schema.get("default")
        if parameter.values and default is not None and parameter.words.isdisjoint(ARRANGING):
            filling.notes.append(f"{parameter.name} {default}, the operation's default.")


def _supposed(filling: Filling) -> None:
    """Fill in what the schema itself states for arguments left out.

    That is its defaults, and, where other words already describe a new thing, no entries for a plain list that may be
    empty: `add a pet named Rex` names no photos.
    """
    creates = filling.entry.operation.method.upper() == "POST" and bool(filling.used)
    for parameter in filling.missing:
        if "default" in parameter.schema:
            filling.arguments[parameter.name] = parameter.schema["default"]
        elif creates and parameter.place == "body" and _may_be_empty(parameter) and parameter.takes([]):
            filling.arguments[parameter.name] = []
            filling.notes.append(f"{parameter.name} left empty.")


def _may_be_empty(parameter: Parameter) -> bool:
    return parameter.items is not None and parameter.items.kind == "string" and not parameter.schema.get("minItems")


def _assigned(filling: Filling) -> None:
    """Take `status=sold` and `customer_id: 7` at their word."""
    said = filling.clause.said
    for place in range(1, len(said) - 1):
        if said[place].plain not in {"=", ":"} or said[place - 1].kind != "word":
            continue
        name = said[place - 1].plain
        for parameter in filling.open():
            if parameter.name.lower().replace("_", "").replace("-", "") == name:
                _take(filling, parameter, place + 1, extra=(place - 1, place))


def _changed(filling: Filling) -> None:
    """Take `change the title of employee 7 to Manager` as a value for the field named before `to`."""
    said, verb = filling.clause.said, filling.clause.verb
    if verb < 0 or filling.entry.reads:
        return
    to = next((place for place, token in enumerate(said) if token.plain == "to" and place > verb + 1), 0)
    for place in range(verb + 1, to):
        for parameter in filling.open():
            named = said[place].stems and parameter.words == frozenset(said[place].stems)
            if named and not parameter.identifies and _take(filling, parameter, to + 1, extra=(place,)):
                return


def _take(filling: Filling, parameter: Parameter, place: int, *, extra: tuple[int, ...] = ()) -> bool:
    """Set a parameter to the value that begins at a place, and tell whether there was one."""
    said = filling.clause.said
    if place >= len(said) or place in filling.used:
        return False
    if parameter.kind == "array" and parameter.items is not None:
        return _take_all(filling, parameter, place, extra)
    token = said[place]
    places: tuple[int, ...] = (place,)
    if parameter.free_text and token.kind == "word":
        token, places = _run(said, place)
    if token.kind == "mark" or not (value := fitted(parameter, token)):
        return False
    filling.put(parameter, value[0], *places, *extra)
    return True


def _take_all(filling: Filling, parameter: Parameter, place: int, extra: tuple[int, ...]) -> bool:
    said, item = filling.clause.said, parameter.items
    values: list[JSON] = []
    places = list(extra)
    while place < len(said) and item is not None:
        if said[place].plain not in {",", "and", "&", "or"}:
            if said[place].kind == "mark" or said[place].plain in english.STOP_WORDS:
                break
            if not (value := fitted(item, said[place])):
                break
            values.append(value[0])
            places.append(place)
        place += 1
    if not values or not parameter.takes(values):
        return False
    filling.put(parameter, values, *places)
    return True


def _run(said: tuple[Token, ...], place: int) -> tuple[Token, tuple[int, ...]]:
    """Return a name of several capitalised words as one token, else the word alone."""
    last = place
    while said[place].text[:1].isupper() and last + 1 < len(said) and _goes_on(said[last + 1]):
        last += 1
    text = " ".join(token.text for token in said[place : last + 1])
    return said[place]._replace(text=text, plain=text.lower(), value=text), tuple(range(place, last + 1))


def _goes_on(token: Token) -> bool:
    return token.kind in {"word", "identifier"} and token.text[:1].isupper()


def _listed(filling: Filling) -> None:
    """Find enumerated values among the words; two of them for one parameter mean none was chosen."""
    for parameter in filling.open():
        several = parameter.items if parameter.kind == "array" else None
        hits = _hits(several or parameter, filling)
        values = {repr(value): value for _, value in hits}
        places = [place for spelled, _ in hits for place in spelled]
        if several and hits and parameter.takes(list(values.values())):
            filling.put(parameter, list(values.values()), *places)
        elif len(values) == 1 and not several:
            filling.put(parameter, hits[0][1], *places)


def _hits(parameter: Parameter, filling: Filling) -> list[tuple[tuple[int, ...], JSON]]:
    """Return the enumerated values a clause spells, each with the places of its words."""
    if not parameter.values:
        return []
    said, found = filling.clause.said, []
    for place, token in enumerate(said):
        free = token.kind == "word" and place != filling.clause.verb and place not in filling.used
        refused = place > 0 and said[place - 1].plain in REFUSED
        if free and not refused and filling.entry.nouns.isdisjoint(token.stems):
            width, value = _spelled(parameter, said, place)
            found += [(tuple(range(place, place + width)), one) for one in value]
    return found


def _spelled(parameter: Parameter, said: tuple[Token, ...], place: int) -> tuple[int, Option]:
    """Return how many words spell an enumerated value from a place on, and the value."""
    for width in (3, 2):
        joined = "".join(token.plain for token in said[place : place + width])
        if joined in parameter.values and len(said) >= place + width:
            return width, (parameter.values[joined],)
    return 1, () if said[place].plain in english.STOP_WORDS else fitted(parameter, said[place])


def _texts(filling: Filling) -> list[Parameter]:
    return [one for one in filling.open() if one.free_text]


def _named(filling: Filling) -> None:
    """Take what follows `named` or `called`, and a proper name right after the thing itself, for its name."""
    said = filling.clause.said
    for place, token in enumerate(said[:-1]):
        names = token.plain in english.NAMING
        proper = not filling.entry.nouns.isdisjoint(token.stems) and said[place + 1].text[:1].isupper()
        if names or (proper and place + 1 not in filling.used and said[place + 1].kind == "word"):
            for parameter in _texts(filling):
                if parameter.like(english.NAME_LIKE) and _take(filling, parameter, place + 1):
                    filling.used.add(place)
                    return
        if token.plain in {"for", "by"} and said[place + 1].kind == "word" and said[place + 1].text[:1].isupper():
            # Somebody else's name, such as `customer_name`; the new thing's own would be called just `name`.
            parties = [one for one in _texts(filling) if one.like(english.NAME_LIKE) and len(one.words) > 1]
            _choose(filling, [one for one in parties if one.required], place + 1)


def _labelled(filling: Filling, index: Index) -> None:
    """Take what follows a parameter's own name: `color red`, `tags: a, b`, `make is Toyota`."""
    said = filling.clause.said
    for parameter in filling.open():
        if parameter.kind not in {"string", "array"} or not parameter.words:
            continue
        for place, token in enumerate(said):
            if token.kind != "word" or not parameter.words.issuperset(token.stems) or place in filling.used:
                continue
            following = place + 1
            while following < len(said) and said[following].plain in LINKS:
                following += 1
            if _could_be_value(said, following, index) and _take(filling, parameter, following, extra=(place,)):
                break


def _could_be_value(said: tuple[Token, ...], place: int, index: Index) -> bool:
    if place >= len(said):
        return False
    token = said[place]
    if token.kind != "word" or said[place - 1].plain in {":", "="}:
        return token.kind != "mark"
    return token.plain not in SMALL and index.nouns.isdisjoint(token.stems)


def _described(filling: Filling, index: Index) -> None:
    """Find colours, what stands before the thing like an adjective, and what a search is about."""
    said = filling.clause.said
    for place, token in enumerate(said):
        if token.kind != "word" or place in filling.used or place == filling.clause.verb:
            continue
        if token.plain in english.COLOURS:
            _choose(filling, [one for one in _texts(filling) if one.like(frozenset({"color", "colour"}))], place)
        elif token.plain in ABOUT:
            _choose(filling, [one for one in _texts(filling) if one.like(english.QUERY_LIKE)], place + 1)
        elif filling.entry.reads and adjective(said, place, filling.entry, index):
            _choose(filling, _describing(filling, token), place)


def adjective(said: tuple[Token, ...], place: int, entry: Entry, index: Index) -> bool:
    """Tell whether an unknown word stands right before what the operation is about."""
    token, following = said[place], said[place + 1] if place + 1 < len(said) else None
    if following is None or following.kind != "word" or token.kind != "word" or token.plain in english.STOP_WORDS:
        return False
    about = any(not english.similar(one).isdisjoint(entry.nouns) for one in following.stems)
    unknown = not any(one in index.postings or one in index.verbs for one in token.stems)
    return (
        about
        and unknown
        and token.plain not in english.VAGUE | english.READ_VERBS | english.COLOURS | english.NEGATIONS
    )


def _describing(filling: Filling, token: Token) -> list[Parameter]:
    """Return the parameters an adjective could be the value of: a search, else an attribute that is no name."""
    texts = [one for one in _texts(filling) if not one.like(frozenset({"color", "colour"}))]
    searches = [one for one in texts if one.like(english.QUERY_LIKE)]
    if searches:
        return searches
    named = token.text[:1].isupper()
    return [one for one in texts if not one.like(english.REASON_LIKE) and (named or not one.like(english.NAME_LIKE))]


def _choose(filling: Filling, possible: list[Parameter], place: int) -> None:
    if len(possible) == 1:
        _take(filling, possible[0], place)


def _quoted(filling: Filling) -> None:
    """Give a quoted string to the only text it can be meant for."""
    for place, token in enumerate(filling.clause.said):
        if token.kind == "quoted" and place not in filling.used:
            texts = [one for one in _texts(filling) if not one.like(english.REASON_LIKE)] or _texts(filling)
            needed = [one for one in texts if one.required]
            likely = [one for one in texts if one.like(english.QUERY_LIKE | english.NAME_LIKE)]
            _choose(filling, needed or likely or texts, place)


def _reason(filling: Filling) -> None:
    reason = filling.clause.reason
    for parameter in _texts(filling) if reason else ():
        if parameter.like(english.REASON_LIKE) and parameter.takes(reason):
            filling.arguments[parameter.name] = reason
            return


def _answered(filling: Filling) -> None:
    """Set yes-or-no arguments that the clause names: `with breakfast`, `without breakfast`."""
    said = filling.clause.said
    for parameter in filling.open():
        words = parameter.words - english.silent() - {"include", "includ", "only"}
        if parameter.kind != "boolean" or not words:
            continue
        places = [place for place, token in enumerate(said) if token.stems and words.issuperset(token.stems)]
        if len(places) >= len(words) and places[0] != filling.clause.verb:
            refused = any(token.plain in REFUSED for token in said[max(0, places[0] - 2) : places[0]])
            if parameter.takes(not refused):
                filling.put(parameter, not refused, *places)


def _currency(filling: Filling) -> None:
    """Take the currency an amount was given in, where there is an argument for it."""
    for token in filling.clause.said:
        code = CURRENCIES.get(token.text.strip("0123456789., ").lower().rstrip("s")) if token.unit == "money" else None
        for parameter in filling.open() if code else ():
            if (
                code
                and "currency" in parameter.words
                and (value := fitted(parameter, Token("word", code.upper(), code)))
            ):
                filling.arguments[parameter.name] = value[0]
