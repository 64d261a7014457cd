"""What the experiments have shown: gathered, added up, judged, and acted upon where a guardrail says so."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from checkpoints.conversions import Conversion, Conversions, Tracked, check
from checkpoints.counters import Counters
from checkpoints.experiments import Experiments
from checkpoints.measuring import Measuring
from domain import lifecycle
from domain.assignment import Who
from domain.comparing import broken
from domain.errors import Conflict
from domain.experiments import Conclusion, Experiment
from domain.results import results
from domain.tallies import tallied

log = structlog.get_logger(__name__)

FRESH_BATCHES = 2
"""How many batches of users are added up for somebody who waits; the rest is added every second."""

GUARDRAIL = "guardrail"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The figures of this server's experiments.

    Args:
        enabled: Whether variants are applied at all; otherwise no conversion counts.
    """

    experiments: Experiments
    conversions: Conversions
    measuring: Measuring
    counters: Counters
    clock: Callable[[], datetime]
    enabled: bool = True

    async def of(self, experiment: Experiment) -> dict[str, Any]:
        """Return an experiment's results as of now, computed from its counters."""
        return await asyncio.to_thread(results, experiment, await self.days(experiment))

    async def days(self, experiment: Experiment) -> Sequence[Mapping[str, Any]]:
        """Return an experiment's counters with what happened last, as far as that takes no time."""
        if experiment.status == "draft":
            return []
        await self.measuring.catch_up()
        await self.counters.fold(experiment, batches=FRESH_BATCHES)
        return await self.counters.of(experiment.experiment_id)

    async def track(self, experiment_id: str, who: Who, told: Conversion) -> Tracked:
        """Record a conversion; raises `NotFound`, `InvalidInput` and `Conflict`."""
        experiment = await self.experiments.get(experiment_id)
        if not self.enabled:
            check(experiment, told, now=self.clock())
            return Tracked(None, told.value, uncounted="switched_off", recorded=False)
        try:
            return await self.conversions.track(experiment, who, told, now=self.clock())
        except Conflict:  # the run in which the user met the variant may have ended this moment
            await self.measuring.catch_up()
            return await self.conversions.track(experiment, who, told, now=self.clock())

    async def stop(
        self, experiment_id: str, *, by: str, winner: str | None, reason: str, version: int | None = None
    ) -> Experiment:
        """End an experiment with what it has shown; raises `NotFound`, `Outdated`, `Conflict` and `InvalidInput`.

        Args:
            winner: The variant the caller decides for; without one the figures decide.
        """
        experiment = await self.experiments.get(experiment_id)
        if winner is not None:
            experiment.variant(winner)
        lifecycle.check_stoppable(experiment)
        await self.measuring.catch_up()
        await self.counters.fold(experiment)
        found = await self.of(experiment)
        ended = Conclusion(
            winner=winner if winner is not None else found["verdict"]["winner"],
            reason=reason or _reason(found["verdict"], winner, by),
            by=by,
            supported=found["verdict"]["winner"] is not None and winner in (None, found["verdict"]["winner"]),
            evidence=found,
        )
        stopped = await self.experiments.change(
            experiment_id, lambda each: lifecycle.stopped(each, ended, at=self.clock()), version=version
        )
        log.info("experiment_stopped", experiment_id=experiment_id, winner=ended.winner, by=by, reason=ended.reason)
        return stopped

    async def tend(self) -> None:
        """Measure what ended, add it up, and stop what a guardrail stops; raises `StoreError`."""
        await self.measuring.catch_up()
        await self.conversions.catch_up()
        for experiment in self.experiments.open_ones:
            await self.counters.fold(experiment)
            await self._watch(experiment)

    async def _watch(self, experiment: Experiment) -> None:
        days = await self.counters.of(experiment.experiment_id)
        if worse := broken(experiment, tallied(days)):
            reason = f"The guardrail {worse.metric.name} is clearly worse for {worse.variant}."
            try:
                await self.stop(experiment.experiment_id, by=GUARDRAIL, winner=None, reason=reason)
            except Conflict:
                return  # somebody has stopped it this moment

    async def summary(self) -> dict[str, Any]:
        """Return how many experiments there are in which state, and how those stand that run."""
        every = await self.experiments.listed(limit=0)
        counts = dict.fromkeys(("draft", "running", "paused", "stopped"), 0)
        for each in every:
            counts[each.status] += 1
        return {
            "total": len(every),
            "by_status": counts,
            "winners": sum(bool(each.conclusion and each.conclusion.winner) for each in every),
            "running": [await self._brief(each) for each in every if each.status in ("running", "paused")],
        }

    async def _brief(self, experiment: Experiment) -> dict[str, Any]:
        tallies = tallied(await self.days(experiment))
        return {
            "experiment_id": experiment.experiment_id,
            "name": experiment.name,
            "status": experiment.status,
            "metric": experiment.metric,
            "users": sum(each.users for each in tallies.values()),
            "exposures": sum(each.exposures for each in tallies.values()),
            "conversions": round(sum(each.six(experiment.metric)["n"] for each in tallies.values())),
        }


def _reason(verdict: Mapping[str, Any], winner: str | None, by: str) -> str:
    """Return what the figures say, as the reason only of an end that follows them."""
    text: str = verdict["text"]
    if winner in (None, verdict["winner"]):
        return text
    return f"{by} decided for {winner} without giving a reason. The figures did not: {text}"
