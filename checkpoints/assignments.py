"""Assignments: who has which variant for good, one document for each user of an experiment.

The document also gathers what the user did; `checkpoints.counters` adds that up.
"""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database, Document
from domain.assignment import Who

KNOWN: Final = 50_000
"""How many assignments a process remembers: they never change, so that it need not ask again."""


RECENT: Final = 200
"""How many observations a user's document remembers: a repeated one is at most as old as what a crash left behind."""


class Assigned(NamedTuple):
    """A stored assignment.

    Args:
        exposed: Whether the user is known to have met the variant.
    """

    variant: str
    phase: int
    exposed: bool


class Observation(NamedTuple):
    """Something a user did.

    Args:
        sums: For each metric how many events, and the total of their values.
        late: How many conversions came too late to count.
    """

    observation_id: str
    sums: Mapping[str, tuple[float, float]] = MappingProxyType({})
    exposures: int = 0
    late: int = 0


class Assignments:
    """The records. The first assignment of a user wins, whoever makes it."""

    def __init__(self, database: Database) -> None:
        self._assignments: Collection = database["user_assignments"]
        self._known: OrderedDict[str, Assigned] = OrderedDict()

    async def open(self) -> None:
        """Create the indexes."""
        await self._assignments.create_index([("experiment_id", 1), ("user", 1)], unique=True)

    async def find(self, experiment_id: str, who: Who) -> Assigned | None:
        """Return a user's assignment; one that is known here costs no query."""
        key = id_of(experiment_id, who)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        document = await self._assignments.find_one({"_id": key}, ["variant", "phase", "exposed_at"])
        return self._remember(key, document) if document else None

    async def assign(self, experiment_id: str, who: Who, *, variant: str, phase: int, at: datetime) -> Assigned:
        """Store an assignment unless there is one, and return what stands."""
        key = id_of(experiment_id, who)
        fresh = {
            "experiment_id": experiment_id,
            "user": who.unit,
            "user_id": who.user_id,
            "variant": variant,
            "phase": phase,
            "assigned_at": at,
            "version": 0,
            "folds": 0,
        }
        try:
            document = await self._assignments.find_one_and_update(
                {"_id": key}, {"$setOnInsert": fresh}, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:  # two upserts at once: the other one has won
            document = await self._assignments.find_one({"_id": key})
        return self._remember(key, document or fresh)

    async def expose(self, experiment_id: str, who: Who, *, at: datetime) -> None:
        """Record that a user has met the variant, unless that is recorded already."""
        key = id_of(experiment_id, who)
        await self._assignments.update_one(
            {"_id": key, "exposed_at": {"$exists": False}},
            {"$set": {"exposed_at": at, "unfolded": experiment_id}, "$inc": {"exposures": 1, "version": 1}},
        )
        if key in self._known:
            self._known[key] = self._known[key]._replace(exposed=True)

    async def observe(self, experiment_id: str, unit: str, seen: Observation, *, at: datetime) -> bool:
        """Add what a user did, once for each observation's id; return whether this was the first time.

        A user without an assignment has none to add it to, and False is returned as well.
        """
        increments = {f"sums.{name}.{key}": value for name, (n, x) in seen.sums.items() for key, value in _pair(n, x)}
        changes: dict[str, Any] = {
            "$inc": {"version": 1, "exposures": seen.exposures, "late": seen.late, **increments},
            "$push": {"recent": {"$each": [seen.observation_id], "$slice": -RECENT}},
            "$set": {"unfolded": experiment_id},
        }
        if seen.exposures:
            changes["$min"] = {"exposed_at": at}
        key = f"{experiment_id}/{unit}"
        result = await self._assignments.update_one({"_id": key, "recent": {"$ne": seen.observation_id}}, changes)
        return bool(result.matched_count)

    async def record(self, experiment_id: str, who: Who) -> Document | None:
        """Return a user's whole document."""
        return await self._assignments.find_one({"_id": id_of(experiment_id, who)})

    def _remember(self, key: str, document: dict[str, Any]) -> Assigned:
        found = Assigned(document["variant"], document["phase"], "exposed_at" in document)
        self._known[key] = found
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return found


def _pair(count: float, total: float) -> tuple[tuple[str, float], tuple[str, float]]:
    return ("n", count), ("x", total)


def id_of(experiment_id: str, who: Who) -> str:
    """Return the `_id` of a user's document."""
    return f"{experiment_id}/{who.unit}"
