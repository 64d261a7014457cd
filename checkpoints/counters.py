"""Counters: what users did, added up per experiment, phase, variant and day, each change exactly once.

Users' documents that changed carry a mark. A batch of them is added up into a journal, one for each experiment, whose
insertion only one process wins; then the counters are changed, then the users' marks go, then the journal. Whoever
finds a journal, after a crash or beside a slow neighbour, does the same steps again, and each of them knows whether it
was done: counters remember their last batches, users the batch they were added in.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database, Document
from domain.experiments import Experiment
from domain.metrics import Metric
from domain.tallies import added

BATCH: Final = 500
REMEMBERED: Final = 50


class Counters:
    """The sums that results are computed from."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._users: Collection = database["user_assignments"]
        self._counters: Collection = database["experiment_counters"]
        self._journal: Collection = database["experiment_journal"]
        self._clock = clock

    async def open(self) -> None:
        """Create the indexes."""
        await self._users.create_index("unfolded", sparse=True)
        await self._counters.create_index("experiment_id")

    async def of(self, experiment_id: str) -> list[Document]:
        """Return an experiment's counters, one document for each phase, variant and day."""
        return await self._counters.find({"experiment_id": experiment_id}).to_list()

    async def fold(self, experiment: Experiment, *, batches: int = 2**31) -> None:
        """Add up what users did since the last time, so many batches at most."""
        for _ in range(batches):
            if not await self._batch(experiment):
                return

    async def _batch(self, experiment: Experiment) -> bool:
        """Add up one batch, a journal that was left first; return whether there may be more."""
        left = await self._journal.find_one({"_id": experiment.experiment_id})
        if left is not None:
            await self._carry_out(left)
            return True
        marked = await self._users.find({"unfolded": experiment.experiment_id}).limit(BATCH).to_list()
        if not marked:
            return False
        journal = _journal(experiment, marked, day=self._clock().date().isoformat())
        try:
            await self._journal.insert_one(journal)
        except DuplicateKeyError:
            return True  # somebody else was faster: the next look finds theirs
        await self._carry_out(journal)
        return len(marked) == BATCH

    async def _carry_out(self, journal: Document) -> None:
        batch = journal["batch"]
        for each in journal["changes"]:
            await self._count(each, batch)
        await asyncio.gather(*(self._release(each) for each in journal["users"]))
        await self._journal.delete_one({"_id": journal["_id"], "batch": batch})

    async def _count(self, change: Mapping[str, Any], batch: ObjectId) -> None:
        remember = {"batches": {"$each": [batch], "$slice": -REMEMBERED}}
        about = {key: change[key] for key in ("experiment_id", "phase", "variant", "day")}
        increments = dict(change["increments"])
        try:
            await self._counters.update_one(
                {"_id": change["counter"], "batches": {"$ne": batch}},
                {"$inc": increments, "$push": remember, "$set": about},
                upsert=True,
            )
        except DuplicateKeyError:
            return  # it is there, and has this batch already

    async def _release(self, user: Mapping[str, Any]) -> None:
        """Note what of a user was added, and take the mark unless more has happened since."""
        ours = {"_id": user["_id"], "folds": user["folds"]}
        noted = {"$set": {"folded": user["folded"], "folds": user["folds"] + 1}}
        done = await self._users.update_one({**ours, "version": user["version"]}, {**noted, "$unset": {"unfolded": ""}})
        if not done.matched_count:
            await self._users.update_one(ours, noted)


def _journal(experiment: Experiment, marked: Sequence[Document], *, day: str) -> Document:
    metrics: Mapping[str, Metric] = experiment.all_metrics
    changes: dict[tuple[int, str], dict[str, float]] = {}
    for user in marked:
        sums = changes.setdefault((user["phase"], user["variant"]), {})
        for path, change in added(user.get("folded", {}), user, metrics).items():
            sums[path] = sums.get(path, 0) + change
    return {
        "_id": experiment.experiment_id,
        "batch": ObjectId(),
        "changes": [
            _change(experiment.experiment_id, phase, variant, day, sums)
            for (phase, variant), sums in changes.items()
            if sums
        ],
        "users": [_seen(user) for user in marked],
    }


def _change(experiment_id: str, phase: int, variant: str, day: str, sums: Mapping[str, float]) -> Document:
    return {
        "counter": f"{experiment_id}/{phase}/{variant}/{day}",
        "experiment_id": experiment_id,
        "phase": phase,
        "variant": variant,
        "day": day,
        "increments": [[path, value] for path, value in sums.items()],
    }


def _seen(user: Document) -> Document:
    """Return what of a user's document is being added, and by which version of it."""
    state = {key: user[key] for key in ("exposed_at", "exposures", "late", "sums") if key in user}
    return {"_id": user["_id"], "version": user.get("version", 0), "folds": user.get("folds", 0), "folded": state}
