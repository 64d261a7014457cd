"""How sure we can be of an operation: whether it honours a key, and how its service is asked what happened."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from domain.actions import Lookup, Operation
from domain.canonical import JSON
from tools.openapi import Offer

ARGUMENT = "$arguments."
"""What stands before the name of an argument of the action."""


def assured(offer: Offer, *, idempotent: Mapping[str, bool], lookups: Mapping[str, Lookup]) -> Offer:
    """Return the offer with what the operator knows of its operations.

    An operation whose lookup cannot work is not offered: what comes of it would be less certain than it looks.

    Args:
        idempotent: Whether operations honour `Idempotency-Key`, whatever the document says.
        lookups: How to ask whether a call happened, by the operation's name.
    """
    by_name = {each.name: each for each in offer.operations}
    operations, skipped = [], dict(offer.skipped)
    for each in offer.operations:
        lookup = lookups.get(each.name)
        if lookup and (reason := _flaw(each, lookup, by_name.get(lookup.operation))):
            skipped[each.name] = f"its lookup {reason}"
            continue
        honours = idempotent.get(each.name, each.idempotency_key)
        operations.append(each.model_copy(update={"idempotency_key": honours, "lookup": lookup}))
    return replace(offer, operations=tuple(operations), skipped=skipped)


def filled(lookup: Lookup, *, key: str, arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return a lookup's arguments for one action; what the action was not given is left out."""
    known: dict[str, JSON] = {"$key": key, **{f"{ARGUMENT}{name}": value for name, value in arguments.items()}}
    return {
        name: known[value] if isinstance(value, str) and value in known else value
        for name, value in lookup.arguments.items()
        if not str(value).startswith(ARGUMENT) or value in known
    }


def says_yes(lookup: Lookup, answer: JSON) -> bool:
    """Return whether an answer means that it happened."""
    place: JSON = answer
    for step in lookup.found.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict):
            place = place.get(name)
        elif isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        else:
            return False
    return bool(place)


def _flaw(operation: Operation, lookup: Lookup, asked: Operation | None) -> str:
    """Return why a lookup cannot work, or an empty string."""
    if asked is None:
        return f"{lookup.operation} is not offered"
    if asked.effect != "read":
        return f"{lookup.operation} is not a read"
    if unknown := sorted(lookup.arguments.keys() - asked.places.keys()):
        return f'{lookup.operation} has no argument "{unknown[0]}"'
    values = [str(value) for value in lookup.arguments.values()]
    named = [value.removeprefix(ARGUMENT) for value in values if value.startswith(ARGUMENT)]
    if missing := [name for name in named if name not in operation.places]:
        return f'names "{missing[0]}", which is no argument of {operation.name}'
    return ""
