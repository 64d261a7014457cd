"""Who gets which variant: deterministic, by the public hashing of GrowthBook.

The source is "Build Your Own SDK" of GrowthBook's documentation (hash versions 1 and 2, bucket ranges, namespaces). Its
hash works on UTF-16 code units, as the reference does in JavaScript.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from domain.experiments import Condition, Experiment, Namespace, Scalar

type Range = tuple[float, float]
type Reason = Literal[
    "assigned", "forced", "not_running", "killed", "holdout", "other_namespace", "not_targeted", "user_percentage"
]

_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?")
"""What JSON calls a number; `007` is none."""

_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF

HOLDOUT_SEED: Final = "__holdout"
"""One seed for all experiments, so that the same people are held out of each of them."""


class Untyped(str):
    """A value that came as text where nobody can say whether a number or a word is meant, as in a query string."""

    __slots__ = ()

    def readings(self) -> tuple[Scalar, ...]:
        """Return everything it may mean: the text, and the number or truth value that JSON takes it for."""
        if self in ("true", "false"):
            return (str(self), self == "true")
        return (str(self), json.loads(self)) if _NUMBER.fullmatch(self) else (str(self),)


class Who(NamedTuple):
    """A user as experiments know it.

    Args:
        owner: The principal in whose name the user writes.
        attributes: What targeting may ask for; `user_id` and `owner` are always among them. `Untyped` texts fit all
            that they may mean.
    """

    owner: str
    user_id: int
    attributes: Mapping[str, Scalar] = {}

    @property
    def unit(self) -> str:
        """The one that is assigned: the same number under another owner is somebody else."""
        return f"{self.owner}/{self.user_id}"

    def attribute(self, name: str) -> Scalar | None:
        """Return what is known of the user under a name."""
        known: dict[str, Scalar] = {"user_id": self.user_id, "owner": self.owner}
        return known[name] if name in known else self.attributes.get(name)


class Placement(NamedTuple):
    """Where an experiment puts a user: a variant, or none, and why."""

    variant: str | None
    reason: Reason


def fnv1a32(text: str) -> int:
    """Return the 32-bit FNV-1a hash over a text's UTF-16 code units (Fowler, Noll, Vo)."""
    value = _OFFSET
    encoded = text.encode("utf-16-le", "surrogatepass")
    for low, high in zip(encoded[::2], encoded[1::2], strict=True):
        value = ((value ^ (low | high << 8)) * _PRIME) & _MASK
    return value


def hashed(unit: str, *, seed: str, version: int = 2) -> float | None:
    """Return where a unit falls between 0 and 1, in GrowthBook's hash; None for a version there is not.

    Version 1 is correlated between experiments and is kept for namespaces, as GrowthBook does.
    """
    if version == 2:
        return fnv1a32(str(fnv1a32(seed + unit))) % 10_000 / 10_000
    return fnv1a32(unit + seed) % 1_000 / 1_000 if version == 1 else None


def equal_weights(count: int) -> list[float]:
    """Return the same weight so many times."""
    return [1 / count] * count if count > 0 else []


def bucket_ranges(count: int, coverage: float, weights: Sequence[float] | None) -> list[Range]:
    """Return each variant's part of the line from 0 to 1.

    Moving a weight moves only the units between the old and the new end. Weights that do not fit or do not sum to one
    count as equal ones.

    Args:
        coverage: The share of everybody who takes part, 0 to 1.
        weights: Shares that sum to 1.
    """
    covered = min(max(coverage, 0.0), 1.0)
    shares = weights if weights and len(weights) == count and 0.99 <= sum(weights) <= 1.01 else equal_weights(count)
    found, start = [], 0.0
    for share in shares:
        found.append((start, start + covered * share))
        start += share
    return found


def chosen(place: float, ranges: Sequence[Range]) -> int:
    """Return the range a place falls into, or -1."""
    return next((index for index, (start, end) in enumerate(ranges) if start <= place < end), -1)


def in_namespace(unit: str, namespace: Namespace) -> bool:
    """Return whether a unit is in a part of a namespace: experiments on other parts never see it."""
    place = hashed(unit, seed=f"__{namespace.name}", version=1)
    return place is not None and namespace.start <= place < namespace.end


def place(experiment: Experiment, who: Who) -> Placement:
    """Return where an experiment puts a user who has no stored assignment."""
    if outside := closed(experiment):
        return Placement(None, outside)
    if forced := experiment.forced.get(str(who.user_id)):
        return Placement(forced, "forced")
    if experiment.status != "running":
        return Placement(None, "not_running")
    unit = str(who.user_id)
    if experiment.namespace and not in_namespace(unit, experiment.namespace):
        return Placement(None, "other_namespace")
    if (hashed(unit, seed=HOLDOUT_SEED) or 0) * 100 < experiment.holdout_percentage:
        return Placement(None, "holdout")
    if not all(holds(each, who) for each in experiment.targeting):
        return Placement(None, "not_targeted")
    return _by_hash(experiment, unit)


def closed(experiment: Experiment) -> Reason | None:
    """Return why nobody gets a variant of the experiment, not even who has one; None where they do."""
    if experiment.killed:
        return "killed"
    return None if experiment.status in ("running", "paused") else "not_running"


def _by_hash(experiment: Experiment, unit: str) -> Placement:
    phase = experiment.phase
    shares = [weight / sum(phase.weights) for weight in phase.weights]
    ranges = bucket_ranges(len(shares), phase.user_percentage / 100, shares)
    found = chosen(hashed(unit, seed=experiment.seed or experiment.experiment_id) or 0.0, ranges)
    if found < 0:
        return Placement(None, "user_percentage")
    return Placement(experiment.variants[found].name, "assigned")


def holds(condition: Condition, who: Who) -> bool:
    """Return whether a condition holds for a user; an attribute nobody gave fits only `not_in`."""
    known = who.attribute(condition.attribute)
    if known is None:
        return condition.operator == "not_in"
    readings = known.readings() if isinstance(known, Untyped) else (known,)
    if condition.operator in ("in", "not_in"):
        found = any(_same(each, value) for each in readings for value in condition.values)
        return found == (condition.operator == "in")
    wanted = condition.operator == "at_least"
    return any(_exceeds(each, value) == wanted for each in readings for value in condition.values)


def _same(known: Scalar, value: Scalar) -> bool:
    """Return whether two values are the same; to Python `True` is 1."""
    return isinstance(known, bool) == isinstance(value, bool) and known == value


def _exceeds(known: Scalar, limit: Scalar) -> bool | None:
    """Return whether a number is at least another one; None where either is no number."""
    if isinstance(known, str | bool) or isinstance(limit, str | bool):
        return None
    return known >= limit
