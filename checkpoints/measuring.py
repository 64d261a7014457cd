"""From the runs' records to the users' documents: every run of a variant's user is measured once, whatever is killed.

The write that ends a run, or lets it pause, also marks it. What is marked is added to the user's document under the
run's id, which the document remembers, and then loses its mark; killed in between, it is found again.
"""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from checkpoints.assignments import Assignments, Observation
from checkpoints.collections import Collection, Database, Document
from checkpoints.experiments import Experiments
from checkpoints.ledger import Ledger
from domain.errors import NotFound
from domain.experiments import Experiment
from domain.measures import approval_measures, latency_ms
from domain.variants import Given, given_of

log = structlog.get_logger(__name__)

_MARKED: Final[dict[str, Any]] = {"unmeasured": {"$exists": True}}
BATCH: Final = 200


class Measuring:
    """Follows the runs."""

    def __init__(self, database: Database, experiments: Experiments, assignments: Assignments) -> None:
        self._runs: Collection = database["runs"]
        self._approvals: Collection = database["approvals"]
        self._ledger = Ledger(database)
        self._experiments = experiments
        self._assignments = assignments

    async def open(self) -> None:
        """Create the indexes."""
        await self._runs.create_index("unmeasured", partialFilterExpression=_MARKED)

    async def catch_up(self) -> set[str]:
        """Measure every run that was recorded before the call, and return whose experiments they are.

        Raises `StoreError`; what was not measured keeps its mark.
        """
        touched: set[str] = set()
        while marked := await self._runs.find(_MARKED).limit(BATCH).to_list():
            ids = [each["_id"] for each in marked]
            requests, kept_back = await self._requests(ids), await self._ledger.kept_back(ids)
            for run in marked:
                touched |= await self._measure(run, requests.get(run["_id"], []), kept_back.get(run["_id"], 0))
                seen = {"_id": run["_id"], "unmeasured": run["unmeasured"]}
                await self._runs.update_one(seen, {"$unset": {"unmeasured": ""}})
            if len(marked) < BATCH:
                break
        return touched

    async def _requests(self, run_ids: list[str]) -> dict[str, list[Document]]:
        found: dict[str, list[Document]] = {}
        for each in await self._approvals.find({"orchestration_id": {"$in": run_ids}}).to_list():
            found.setdefault(each["orchestration_id"], []).append(each)
        return found

    async def _measure(self, run: Document, requests: list[Document], kept_back: int) -> set[str]:
        touched = set()
        for given in given_of(run["variants"]):
            experiment = await self._counting(given, run)
            if experiment is not None:
                touched.add(experiment.experiment_id)
                await self._observe(experiment, run, requests, kept_back)
        return touched

    async def _counting(self, given: Given, run: Document) -> Experiment | None:
        """Return the experiment that a run counts for: none for testers, nor for what ended after it was stopped."""
        if not given.counted:
            return None
        try:
            experiment = await self._experiments.get(given.experiment_id)
        except NotFound:
            log.warning("experiment_missing", experiment_id=given.experiment_id, run_id=run["_id"])
            return None
        over = experiment.stopped_at is not None and run["updated_at"] > experiment.stopped_at
        return None if over else experiment

    async def _observe(self, experiment: Experiment, run: Document, requests: list[Document], kept_back: int) -> None:
        """Add the exposure, and once the run has ended what it is measured by."""
        unit, at = f"{run['owner']}/{run['user_id']}", run["created_at"]
        exposure = Observation(f"{run['_id']}/exposed", exposures=1)
        if run["unmeasured"] == "exposed":
            await self._assignments.observe(experiment.experiment_id, unit, exposure, at=at)
            return
        if requests:  # it paused, and may have been counted then
            await self._assignments.observe(experiment.experiment_id, unit, exposure, at=at)
        sums = _sums(run, requests, kept_back)
        ended = Observation(run["_id"], sums, exposures=0 if requests else 1)
        await self._assignments.observe(experiment.experiment_id, unit, ended, at=at)


def _sums(run: Document, requests: list[Document], kept_back: int) -> Mapping[str, tuple[float, float]]:
    own = {name: (count, total) for name, (count, total) in run["measures"].items()}
    if kept_back and "breaker_refusals" in own:  # these were sent later, or never; those that failed are among its own
        count, refused = own["breaker_refusals"]
        own["breaker_refusals"] = (count, refused + kept_back)
    took = {"latency_ms": (1.0, latency_ms(run["created_at"], run["updated_at"], requests))}
    return {**own, **took, **approval_measures(requests)}
