"""Print what a service answered: lists, single objects and plain values, with the data's own names and numbers."""

import json
import re
from collections.abc import Sequence

from domain.canonical import JSON
from tools.words.english import parts, stem

MOST_ITEMS, MOST_FIELDS, FIELD_CHARS = 20, 8, 80
NAMES = ("name", "title", "label", "username", "subject", "full_name", "fullName")
SECRET = re.compile(r"passw|secret|token|api_?key|credential", re.IGNORECASE)


def read(body: str) -> JSON:
    """Return an answer's value; text that is no JSON stands for itself."""
    try:
        value: JSON = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return value


def items(value: JSON) -> tuple[list[JSON], int | None] | None:
    """Return the things of a list, or of an object that wraps one list, and the total the object states, if any."""
    if isinstance(value, list):
        return value, None
    if not isinstance(value, dict):
        return None
    lists = [one for one in value.values() if isinstance(one, list)]
    rest = {key: one for key, one in value.items() if not isinstance(one, list)}
    paging = all(one is None or isinstance(one, bool | int) or _about_pages(key) for key, one in rest.items())
    if len(lists) != 1 or not paging or any(parts(key)[-1:] == ("id",) for key in rest):
        return None
    total = next((value[key] for key in ("total", "count", "total_count", "totalCount") if key in value), None)
    return lists[0], total if type(total) is int else None


def _about_pages(key: str) -> bool:
    return bool({"next", "previous", "page", "cursor", "links", "limit", "offset"} & set(parts(key)))


def name_of(value: JSON) -> str:
    """Return what a thing is called, or nothing."""
    if not isinstance(value, dict):
        return ""
    named = (value.get(key) for key in NAMES)
    return next((plain(one)[:FIELD_CHARS] for one in named if isinstance(one, str)), "")


def line(value: JSON) -> str:
    """Return one thing of a list on one line: its number, its name, its fields."""
    if not isinstance(value, dict):
        return shown(value)
    number = next((key for key in value if parts(key)[-1:] == ("id",) and isinstance(value[key], int | str)), None)
    name = name_of(value)
    named = next((key for key in NAMES if key in value and name), None)
    told = ", ".join(fields({key: one for key, one in value.items() if key not in {number, named}}))
    label = " ".join(parts(number)) if number else ""
    heading = f"{name} ({label} {shown(value[number])})" if name and number else name
    heading = heading or (f"{label} {shown(value[number])}" if number else "")
    return f"{heading}: {told}" if heading and told else heading or told or "an empty object"


def fields(value: dict[str, JSON]) -> list[str]:
    """Return an object's fields that hold something, the first few, each with its name."""
    simple = [(key, one) for key, one in value.items() if _tells(key, one)]
    told = [f"{' '.join(parts(key)) or key} {shown(one)}" for key, one in simple[:MOST_FIELDS]]
    return [*told, *(["…"] if len(simple) > MOST_FIELDS else [])]


def _tells(key: str, value: JSON) -> bool:
    return value is not None and value != "" and value != [] and value != {} and not SECRET.search(key)


def shown(value: JSON) -> str:
    """Return a value as it stands in the data, on one line and bounded."""
    if isinstance(value, str):
        text = plain(value)
    elif isinstance(value, dict):
        text = name_of(value) or "(" + ", ".join(fields(value)[:3]) + ")"
    elif isinstance(value, list):
        text = (
            f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
            if any(isinstance(one, dict) for one in value)
            else ", ".join(map(shown, value[:5]))
        )
    else:
        text = json.dumps(value)
    return text if len(text) <= FIELD_CHARS else text[: FIELD_CHARS - 1] + "…"


def plain(text: str) -> str:
    """Return a text on one line without control characters."""
    return " ".join("".join(one if one.isprintable() else " " for one in text[:2_000]).split())


def listing(things: Sequence[JSON], budget: int) -> list[str]:
    """Return the lines of a list within a number of items and characters, and how many are not shown."""
    lines: list[str] = []
    for thing in things[:MOST_ITEMS]:
        text = f"- {line(thing)}"
        if budget < len(text) + 20:
            break
        budget -= len(text) + 1
        lines.append(text)
    left = len(things) - len(lines)
    return [*lines, f"… and {left} more"] if left else lines


def stated(value: dict[str, JSON], word: str) -> tuple[str, bool] | None:
    """Return the field that says a word of a thing, and whether it says so; None when no field speaks of it."""
    for key, one in value.items():
        if isinstance(one, str) and stem(one.lower()) == word:
            return key, True
        if isinstance(one, bool) and [stem(part) for part in parts(key) if part not in {"is", "has"}] == [word]:
            return key, one
    return None


def message_of(body: str) -> str:
    """Return what a service's error says, from the fields errors usually have."""
    value = read(body)
    if isinstance(value, dict):
        told = next((value[key] for key in ("detail", "message", "error", "title", "reason") if value.get(key)), None)
        value = told if told is not None else value
    return shown(value) if isinstance(value, dict | list) else plain(str(value))[:300] if value is not None else ""
