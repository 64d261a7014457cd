"""Cut a message into words, numbers, amounts, dates, identifiers and quoted strings, in linear time."""

import re
from datetime import date
from typing import Literal, NamedTuple

from tools.words import english
from tools.words.english import parts, stem

type TokenKind = Literal["word", "number", "date", "quoted", "identifier", "mark"]

LARGEST = 2**53
"""The largest integer JSON carries exactly; larger ones are never filled in."""

TOKEN = re.compile(
    r"""
    (?P<quoted>"[^"\n]{1,300}"|“[^“”\n]{1,300}”|`[^`\n]{1,300}`|(?<!\w)'[^'\n]{1,300}'(?!\w))
  | (?P<identifier>https?://[^\s"<>]{1,200}
      | [\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}
      | [0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})
  | (?P<date>(?<![\w.-])[0-9]{4}-[0-9]{2}-[0-9]{2}
      (?:[T\ ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?(?![\w-]))
  | (?P<number>(?P<sign>(?<![\w.)])[-\u2010-\u2015\u2212\ufe63\uff0d])?(?P<currency>[$€£¥]\ ?)?
      (?P<digits>(?:(?<![\w.])\.)?[0-9](?:[0-9.,]*[0-9])?)
      (?P<tail>\ ?(?:[$€£¥](?!\w)|[%¢]|(?i:usd|eur|gbp|chf|dollars?|euros?|pounds?|cents?|percent|k)\b)
        |(?:[\w\u2010-\u2013\u2212+*^-]|/(?=[^\W\d]))+)?)
  | (?P<mixed>[A-Za-z]{1,20}[-_]?[0-9][\w-]{0,60})
  | (?P<word>[^\W\d]+(?:['\u2019-][^\W\d]+)*)
  | (?P<mark>[=:,;.?!\n<>()%#&])
    """,
    re.VERBOSE,
)
GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?")
CONTINENTAL = re.compile(r"[0-9]+,[0-9]{1,2}|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{1,2}")
GROUPED_BY_DOTS = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
"""A thousand to some, and one to others."""

DASH = re.compile(r"[-\u2010-\u2015\u2212\ufe63\uff0d]")
ROUGH = "~\u2248\u2264\u2265\u00b1\u00d7\u00f7"
CURRENCIES = frozenset({"usd", "eur", "gbp", "chf"})
MONEY = CURRENCIES | {"dol", "pou"}
"""How words for money begin."""

MINUS = ("-", "\u2212")
PERCENT = ("%", "percent")
CENTS = ("¢", "cent", "cents")
MULTIPLYING_PHRASES = (("and", "a", "half"), ("or", "more"), ("or", "less"), ("or", "so"))
BETWEEN = frozenset({"of", "the", "a", "an", "for", "amount", "sum", "value", "price", "total"})


class Token(NamedTuple):
    """One word, value or mark.

    Args:
        plain: The text in lower case, without possessive ending and separators.
        stems: The stems of a word's parts.
        value: What a value stands for; None for an odd one that must not be filled in anywhere.
        unit: `money`, `percent`, or nothing.
    """

    kind: TokenKind
    text: str
    plain: str
    stems: tuple[str, ...] = ()
    value: int | float | str | None = None
    unit: str = ""
    start: int = 0
    end: int = 0


def tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens of a text in order; what is none of them is passed over."""
    said = [_token(match) for match in TOKEN.finditer(text)]
    found: list[Token] = []
    place = 0
    while place < len(said):
        token, place = said[place], place + 1
        if token.kind == "number":
            after = _multiplying(said, place)
            before = _turning(found, token)
            if before or after or (found and _signed(text, found[-1], token)):
                token = _odd(text, found[-before].start if before else token.start, said[place + after - 1].end)
                del found[len(found) - before :]
                place += after
        found.append(token)
    return tuple(found)


def _turning(before: list[Token], number: Token) -> int:
    """Return how many of the last words make another number of the one that follows: `minus`, `half of`, `all but`.

    Or leave open which one is meant: `roughly 5`, `about $5`, `with about 5`.
    """
    last = [token.plain for token in before[-3:]]
    word, beyond = last[-1:], last[-2:-1]
    if english.ROUND_ABOUT.intersection(word) and (number.unit == "money" or english.PREPOSITIONS.intersection(beyond)):
        return 1
    if word == ["but"] and english.EVERYTHING.intersection(beyond):
        return 2
    for count in range(1, len(last) + 1):
        if last[-count] in english.TURNING:
            return count
        if last[-count] not in BETWEEN:
            break
    return 0


def _signed(text: str, before: Token, number: Token) -> bool:
    """Tell whether a sign before a number is not part of it: `with - 5`, `-USD 5`, `~5`."""
    gap = text[before.end : number.start]
    if any(one in gap for one in ROUGH) or (DASH.search(gap) and before.plain in english.PREPOSITIONS):
        return True
    return before.plain in CURRENCIES and bool(DASH.match(text[max(0, before.start - 1) : before.start]))


def _multiplying(said: list[Token], place: int) -> int:
    """Return how many of the words from a place on make another number of the one before: `million`, `per item`."""
    for phrase in MULTIPLYING_PHRASES:
        if tuple(token.plain for token in said[place : place + len(phrase)]) == phrase:
            return len(phrase)
    if _reckoned(said[place - 1], said[place : place + 2]):
        return 1
    count = 0
    while place + count < len(said) and said[place + count].plain in english.MULTIPLYING:
        count += 1
    return count


def _reckoned(number: Token, rest: list[Token]) -> bool:
    """Tell whether something is still to be added or taken off: `$50 less fees`, `$50 plus tax`."""
    following = [token.plain for token in rest]
    if following[:1] == ["less"]:
        return following[1:] != ["than"]
    return following[:1] == ["plus"] and number.unit == "money"


def _odd(text: str, start: int, end: int) -> Token:
    """Return a number that is not understood, and so goes into no argument."""
    whole = text[start:end].strip()
    return Token("number", whole, whole.lower(), start=start, end=end)


def _token(match: re.Match[str]) -> Token:
    text, start, end = match.group(), match.start(), match.end()
    kind = match.lastgroup if match.group("number") is None else "number"
    if kind == "word":
        return _word(text, start, end)
    if kind == "number":
        return _number(match)
    if kind == "quoted":
        inner = text[1:-1].strip()
        return Token("quoted", text, inner.lower(), value=inner or None, start=start, end=end)
    if kind == "date":
        return Token("date", text, text, value=text if _real(text[:10]) else None, start=start, end=end)
    if kind == "mark":
        return Token("mark", text, text, start=start, end=end)
    trimmed = text.rstrip(".,;?!-)")
    return Token("identifier", trimmed, trimmed.lower(), value=trimmed, start=start, end=end)


def _word(text: str, start: int, end: int) -> Token:
    lower = text.lower().replace("\u2019", "'")
    head, _, ending = lower.partition("'")
    plain = head + "t" if ending == "t" else head if ending in {"s", "re", "ll", "ve", "d", "m"} else lower
    plain = plain.replace("'", "")
    if plain.isascii() and plain.isalpha() and (text.islower() or text.istitle() or text.isupper()):
        return Token("word", text, plain, (stem(plain),), start=start, end=end)
    pieces = tuple(
        stem(part) for part in parts(lower.split("'")[0] if text.islower() else re.split("['\u2019]", text)[0])
    ) or (plain,)
    return Token("word", text, re.sub(r"[_-]", "", plain), pieces, start=start, end=end)


def _number(match: re.Match[str]) -> Token:
    digits = match.group("digits")
    tail = (match.group("tail") or "").strip().lower()
    cents, named = tail in CENTS, _names_money(tail)
    known = named or tail in {"", "k", *PERCENT}
    unit = "percent" if tail in PERCENT else "money" if match.group("currency") or named or cents else ""
    start, end, sign = match.start(), match.end(), match.group("sign")
    if not known and not unit:
        return Token("identifier", match.group(), match.group().lower(), value=match.group(), start=start, end=end)
    value = exact(digits, money=unit == "money", thousands=tail == "k")
    if cents:
        value = None if match.group("currency") else _of_cents(value)
    elif not known or (match.group("currency") and unit == "percent"):
        value = None
    if value is not None and sign:
        value = -value if sign in MINUS else None
    plain = digits if value is None or not (sign or cents or tail == "k") else str(value)
    return Token("number", match.group().strip(), plain, value=value, unit=unit, start=start, end=end)


def _of_cents(value: int | float | None) -> int | float | None:
    """Return the amount that a whole number of cents makes."""
    if not isinstance(value, int):
        return None
    return value / 100 if value % 100 else value // 100


def _names_money(tail: str) -> bool:
    return tail[:3] in MONEY or tail in {"$", "€", "£", "¥"}


def exact(digits: str, *, money: bool, thousands: bool = False) -> int | float | None:
    """Return the number that digits stand for, or None when it is ambiguous or too large to be exact."""
    if len(digits) > 20:
        return None
    if money and CONTINENTAL.fullmatch(digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif GROUPED.fullmatch(digits):
        digits = digits.replace(",", "")
    elif not PLAIN.fullmatch(digits) or GROUPED_BY_DOTS.fullmatch(digits):
        return None
    whole, _, fraction = digits.partition(".")
    if money and len(fraction) > 2:
        return None
    if len(whole.lstrip("0")) + len(fraction) > 16:
        return None
    number = float(digits) if fraction else int(whole)
    number = number * 1000 if thousands else number
    number = int(number) if thousands and number == int(number) else number
    return number if abs(number) <= LARGEST else None


def _real(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
