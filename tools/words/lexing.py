"""Cut a message into words, numbers, amounts, dates, identifiers and quoted strings, in linear time."""

import re
from datetime import date
from typing import Literal, NamedTuple

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
  | (?P<number>(?P<sign>(?<![\w.)])-)?(?P<currency>[$€£¥]\ ?)?(?P<digits>[0-9](?:[0-9.,]*[0-9])?)
      (?P<tail>\ ?(?:[$€£¥](?!\w)|%|(?i:usd|eur|gbp|chf|dollars?|euros?|pounds?|percent|k)\b)|[\w-]+)?)
  | (?P<mixed>[A-Za-z]{1,20}[-_]?[0-9][\w-]{0,60})
  | (?P<word>[^\W\d]+(?:['\u2019-][^\W\d]+)*)
  | (?P<mark>[=:,;.?!\n<>()%#&])
    """,
    re.VERBOSE,
)
GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?")
CONTINENTAL = re.compile(r"[0-9]+,[0-9]{1,2}|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{1,2}")
PERCENT = ("%", "percent")


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
    return tuple(_token(match) for match in TOKEN.finditer(text))


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
    unit = "percent" if tail in PERCENT else "money" if match.group("currency") or _names_money(tail) else ""
    start, end = match.start(), match.end()
    if tail and not unit and tail != "k":
        return Token("identifier", match.group(), match.group().lower(), value=match.group(), start=start, end=end)
    value = exact(digits, money=unit == "money", thousands=tail == "k")
    if value is not None and match.group("sign"):
        value = -value
    return Token("number", match.group().strip(), digits, value=value, unit=unit, start=start, end=end)


def _names_money(tail: str) -> bool:
    return tail[:3] in {"usd", "eur", "gbp", "chf", "dol", "pou"} or tail in {"$", "€", "£", "¥"}


def exact(digits: str, *, money: bool, thousands: bool = False) -> int | float | None:
    """Return the number that digits stand for, or None when it is ambiguous or too large to be exact."""
    if len(digits) > 20:
        return None
    if money and CONTINENTAL.fullmatch(digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif GROUPED.fullmatch(digits):
        digits = digits.replace(",", "")
    elif not PLAIN.fullmatch(digits):
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
