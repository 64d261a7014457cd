"""The experiments' records, and those of them that give variants now, held in memory.

Every change is a compare-and-set of the record's version. Every server of a fleet looks for changes once a second: that
long another one's start, pause or kill takes to reach it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from bson import ObjectId

from checkpoints.collections import Collection, Database
from domain.errors import Conflict, NotFound, Outdated
from domain.experiments import Experiment, Status

MOST_TRIES: Final = 20

type Rule = Callable[[Experiment], Experiment]
type First = Callable[[Experiment], Awaitable[None]]


class Experiments:
    """The records."""

    def __init__(self, database: Database) -> None:
        self._experiments: Collection = database["experiments"]
        self._open: tuple[Experiment, ...] = ()
        self._live: tuple[Experiment, ...] = ()

    async def open(self) -> None:
        """Create the indexes, and learn what runs."""
        await self._experiments.create_index([("status", 1), ("_id", -1)])
        await self.refresh()

    @property
    def live(self) -> tuple[Experiment, ...]:
        """The running and paused ones that were not killed, as known here, the one that started first first."""
        return self._live

    @property
    def open_ones(self) -> tuple[Experiment, ...]:
        """The running and paused ones, killed or not."""
        return self._open

    async def refresh(self) -> None:
        """Learn again what runs; raises `StoreUnavailable`, and what was known stays known."""
        found = await self.listed(statuses=("running", "paused"), limit=0)
        self._open = tuple(sorted(found, key=lambda each: (each.started_at or each.created_at, each.experiment_id)))
        self._live = tuple(each for each in self._open if not each.killed)

    async def add(self, experiment: Experiment) -> None:
        """Record a new one."""
        await self._experiments.insert_one(_document(experiment))

    async def get(self, experiment_id: str) -> Experiment:
        """Return one; raises `NotFound`."""
        document = await self._experiments.find_one({"_id": experiment_id})
        if document is None:
            raise NotFound("There is no such experiment.")
        return _experiment(document)

    async def listed(
        self, *, statuses: Sequence[Status] = (), before: str | None = None, limit: int = 20
    ) -> list[Experiment]:
        """Return experiments, newest first, older than `before`.

        Args:
            limit: 0 for all.
        """
        query: dict[str, Any] = {"status": {"$in": list(statuses)}} if statuses else {}
        if before:
            query["_id"] = {"$lt": before}
        found = self._experiments.find(query).sort("_id", -1).limit(limit)
        return [_experiment(each) for each in await found.to_list()]

    async def change(
        self, experiment_id: str, rule: Rule, *, version: int | None = None, first: First | None = None
    ) -> Experiment:
        """Put what the rule makes of the record in its place, and return it.

        Raises `NotFound`, `Outdated` where the record is not of this version, and what the rule raises.

        Args:
            version: What the caller has read; without one the rule is tried on whatever stands there.
            first: What has to be done with the record before it is changed; what it raises is raised.
        """
        for _ in range(MOST_TRIES):
            before = await self.get(experiment_id)
            if version is not None and before.version != version:
                raise _outdated(before)
            after = rule(before)
            if first:
                await first(before)
            if await self._replace(before, after):
                await self.refresh()
                return after
        raise Conflict("The experiment is being changed all the time; try again.")

    async def delete_draft(self, experiment_id: str, *, version: int | None = None) -> None:
        """Remove a draft; raises `NotFound`, `Conflict` for one that has been started, and `Outdated`.

        Args:
            version: What the caller has read.
        """
        draft = {"_id": experiment_id, "status": "draft"}
        removed = await self._experiments.delete_one(draft if version is None else {**draft, "version": version})
        if not removed.deleted_count:
            found = await self.get(experiment_id)
            if version is not None and found.version != version:
                raise _outdated(found)
            raise Conflict(f"The experiment is {found.status}; only drafts can be deleted.")

    async def _replace(self, before: Experiment, after: Experiment) -> bool:
        """Return whether the record was still the one before; a repeated write whose answer was lost is ours too."""
        document = {**_document(after), "saved_by": ObjectId()}
        fields = {key: value for key, value in document.items() if key != "_id"}
        ours = {"_id": before.experiment_id, "version": before.version}
        result = await self._experiments.update_one(ours, {"$set": fields})
        mine = {"_id": before.experiment_id, "saved_by": document["saved_by"]}
        return bool(result.matched_count or await self._experiments.find_one(mine))


def _outdated(experiment: Experiment) -> Outdated:
    return Outdated(f"The experiment is at version {experiment.version} now.", extra={"version": experiment.version})


def _document(experiment: Experiment) -> dict[str, Any]:
    fields = _plain(experiment.model_dump())
    return {"_id": fields.pop("experiment_id"), **fields}


def _plain(value: Any) -> Any:
    """Return a value with lists for tuples, which a document has none of."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _experiment(document: dict[str, Any]) -> Experiment:
    fields = {key: value for key, value in document.items() if key in Experiment.model_fields}
    return Experiment(experiment_id=document["_id"], **fields)
