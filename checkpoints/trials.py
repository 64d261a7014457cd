"""What callers do with experiments: design, start, change and stop them, and ask for a user's variant."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from checkpoints.assignments import Assignments
from checkpoints.collections import Database
from checkpoints.conversions import Conversions
from checkpoints.counters import Counters
from checkpoints.evidence import Evidence
from checkpoints.experiments import Experiments
from checkpoints.measuring import Measuring
from checkpoints.namespaces import Namespaces
from checkpoints.variants import Placed, Variants
from domain import lifecycle
from domain.actions import Operation
from domain.assignment import Who
from domain.experiments import Design, Experiment

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Trials:
    """The experiments of this server.

    Args:
        enabled: Whether variants are applied at all; otherwise nobody gets one.
    """

    experiments: Experiments
    assignments: Assignments
    variants: Variants
    namespaces: Namespaces
    evidence: Evidence
    clock: Callable[[], datetime]
    enabled: bool = True

    async def design(self, design: Design, *, by: str) -> Experiment:
        """Record a draft; raises `InvalidInput` for a design that makes no sense."""
        design.check()
        now = self.clock()
        experiment = Experiment(
            **design.model_dump(),
            experiment_id=f"exp_{int(now.timestamp() * 1000):012x}{secrets.token_hex(6)}",
            created_by=by,
            created_at=now,
            updated_at=now,
        )
        await self.experiments.add(experiment)
        return experiment

    async def start(
        self, experiment_id: str, *, operations: Sequence[Operation], version: int | None = None
    ) -> tuple[Experiment, list[str]]:
        """Start a draft, and return it with what its designer should know; raises `Conflict` and `InvalidInput`.

        Args:
            operations: What the agent may call: the tools a variant can name.
        """
        await self.experiments.refresh()
        others = [each for each in self.experiments.open_ones if each.experiment_id != experiment_id]

        def rule(experiment: Experiment) -> Experiment:
            experiment.check_tools(operations)
            return lifecycle.started(experiment, at=self.clock(), others=others)

        async def claimed(draft: Experiment) -> None:
            if draft.namespace:
                await self.namespaces.claim(experiment_id, draft.namespace, version=draft.version)

        started = await self.experiments.change(experiment_id, rule, version=version, first=claimed)
        log.info("experiment_started", experiment_id=experiment_id, name=started.name)
        overlaps = [warning for each in others if (warning := _overlap(started, each))]
        return started, [*started.oddities(), *overlaps]

    async def pause(self, experiment_id: str, *, version: int | None = None) -> Experiment:
        """Let nobody new in; raises `Conflict`."""
        return await self.experiments.change(
            experiment_id, lambda each: lifecycle.paused(each, at=self.clock()), version=version
        )

    async def resume(self, experiment_id: str, *, version: int | None = None) -> Experiment:
        """Let users in again; raises `Conflict`."""
        return await self.experiments.change(
            experiment_id, lambda each: lifecycle.resumed(each, at=self.clock()), version=version
        )

    async def kill(self, experiment_id: str, *, on: bool, version: int | None = None) -> Experiment:
        """Give everybody the server's own configuration from the next run on, or no longer so; raises `Conflict`."""
        await self.experiments.refresh()
        others = [each for each in self.experiments.live if each.experiment_id != experiment_id]
        killed = await self.experiments.change(
            experiment_id, lambda each: lifecycle.killed(each, on=on, at=self.clock(), others=others), version=version
        )
        log.warning("experiment_killed" if on else "experiment_revived", experiment_id=experiment_id)
        return killed

    async def edit(self, experiment_id: str, changes: dict[str, Any], *, version: int) -> Experiment:
        """Change what may be changed in its state; raises `Outdated`, `Conflict` and `InvalidInput`."""
        return await self.experiments.change(
            experiment_id, lambda each: lifecycle.edited(each, changes, at=self.clock()), version=version
        )

    async def force(
        self, experiment_id: str, user_id: int, variant: str | None, *, version: int | None = None
    ) -> Experiment:
        """Put a tester on a variant, or on none in particular; raises `Conflict` and `InvalidInput`."""
        return await self.experiments.change(
            experiment_id, lambda each: lifecycle.forcing(each, user_id, variant, at=self.clock()), version=version
        )

    async def rephase(
        self,
        experiment_id: str,
        weights: dict[str, float],
        *,
        user_percentage: float | None,
        reason: str,
        version: int | None = None,
    ) -> Experiment:
        """Change weights from now on; raises `Conflict` and `InvalidInput`."""
        return await self.experiments.change(
            experiment_id,
            lambda each: lifecycle.rephased(
                each, weights, user_percentage=user_percentage, reason=reason, at=self.clock()
            ),
            version=version,
        )

    async def variant(self, experiment_id: str, who: Who, *, expose: bool) -> tuple[Experiment, Placed]:
        """Return where an experiment puts a user; raises `NotFound`.

        Args:
            expose: Whether the user meets the variant now, and counts from here on.
        """
        experiment = await self.experiments.get(experiment_id)
        if not self.enabled:
            return experiment, Placed(None, "switched_off")
        placed = await self.variants.place(experiment, who)
        if expose and placed.phase and not placed.exposed:
            await self.assignments.expose(experiment_id, who, at=self.clock())
        return experiment, placed


async def open_trials(database: Database, *, clock: Callable[[], datetime], enabled: bool = True) -> Trials:
    """Open the experiments' records; raises `StoreUnavailable`.

    Args:
        enabled: Whether runs get variants.
    """
    experiments, assignments = Experiments(database), Assignments(database)
    conversions, counters = Conversions(database, assignments), Counters(database, clock=clock)
    measuring = Measuring(database, experiments, assignments)
    for records in (experiments, assignments, conversions, counters, measuring):
        await records.open()
    evidence = Evidence(
        experiments=experiments,
        conversions=conversions,
        measuring=measuring,
        counters=counters,
        clock=clock,
        enabled=enabled,
    )
    return Trials(
        experiments=experiments,
        assignments=assignments,
        variants=Variants(experiments, assignments, clock=clock),
        namespaces=Namespaces(database, clock=clock),
        evidence=evidence,
        clock=clock,
        enabled=enabled,
    )


def _overlap(started: Experiment, other: Experiment) -> str:
    """Return what the designer should know of an experiment that varies the same; nothing where it does not matter."""
    shared = ", ".join(sorted(started.varies & other.varies))
    apart = started.namespace and other.namespace and started.namespace.name == other.namespace.name
    if not shared or apart or other.killed:
        return ""
    return (
        f"{other.experiment_id} ({other.name}) varies {shared} too and started before: in runs, users of that one do "
        "not take part in this one. A namespace shares users out."
    )
