"""Namespaces: of experiments that are started at once on the same part of one, a single one starts.

Before an experiment starts it is put down in its namespace's document, by compare-and-set: who comes later finds it
there. A claim names the version of the draft that is about to start. One that leads to no start, because its server was
killed, is in nobody's way for longer than `STARTING`: then the draft is given a new version, so that a start which only
slept comes too late.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database, Document
from domain.errors import Conflict
from domain.experiments import Namespace

STARTING: Final = timedelta(seconds=10)
"""How long a start may take between the claim and the start itself."""

MOST_TRIES: Final = 20

type Claim = dict[str, Any]


class Namespaces:
    """Who has which part of a namespace."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._namespaces: Collection = database["experiment_namespaces"]
        self._experiments: Collection = database["experiments"]
        self._clock = clock

    async def claim(self, experiment_id: str, namespace: Namespace, *, version: int) -> None:
        """Put an experiment down for its part of the namespace; raises `Conflict` where somebody else has some of it.

        Args:
            version: Of the draft that is about to start.
        """
        for _ in range(MOST_TRIES):
            known = await self._namespaces.find_one({"_id": namespace.name})
            others = [each for each in (known or {}).get("claims", []) if each["experiment_id"] != experiment_id]
            standing = [each for each in others if await self._stands(each, namespace)]
            mine = {"experiment_id": experiment_id, "version": version, "at": self._clock()}
            if await self._put(namespace.name, known, [*standing, mine]):
                return
        raise Conflict(f"The namespace {namespace.name} is being claimed all the time; try again.")

    async def _stands(self, claim: Claim, wanted: Namespace) -> bool:
        """Return whether somebody else's claim is kept beside ours; raises `Conflict` where it leaves no room."""
        draft = {"_id": claim["experiment_id"], "status": "draft", "version": claim["version"]}
        if self._clock() - claim["at"] > STARTING and await self._overlaps(draft, wanted):
            await self._experiments.update_one(draft, {"$inc": {"version": 1}})
        if await self._overlaps(draft, wanted):
            raise Conflict(
                f"{claim['experiment_id']} is being started on the same part of the namespace {wanted.name}; try again."
            )
        runs = {"_id": claim["experiment_id"], "status": {"$in": ["running", "paused"]}}
        if await self._overlaps(runs, wanted):
            raise Conflict(f"{claim['experiment_id']} runs on the same part of the namespace {wanted.name}.")
        return await self._experiments.find_one({"$or": [draft, runs]}, ["_id"]) is not None

    async def _overlaps(self, query: Document, wanted: Namespace) -> bool:
        found = await self._experiments.find_one(query, ["namespace"])
        theirs = found and found.get("namespace")
        return bool(theirs and Namespace(**theirs).overlaps(wanted))

    async def _put(self, name: str, known: Document | None, claims: list[Claim]) -> bool:
        """Return whether the namespace's document was still the one that was read."""
        if known is None:
            try:
                await self._namespaces.insert_one({"_id": name, "claims": claims, "revision": 1})
            except DuplicateKeyError:
                return False
            return True
        changes = {"claims": claims, "revision": known["revision"] + 1}
        seen = {"_id": name, "revision": known["revision"]}
        return bool((await self._namespaces.update_one(seen, {"$set": changes})).matched_count)
