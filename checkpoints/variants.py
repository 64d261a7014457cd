"""Which variants a user gets: the stored assignment, or the hash, whose word is stored."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from checkpoints.assignments import Assignments
from checkpoints.experiments import Experiments
from domain.assignment import Placement, Who, closed, place
from domain.canonical import JSON
from domain.experiments import Experiment
from domain.variants import Given, frozen


@dataclass(frozen=True)
class Placed:
    """Where a user is put.

    Args:
        phase: The phase of the assignment; 0 where there is none.
        exposed: Whether the user is known to have met the variant.
    """

    variant: str | None
    reason: str
    phase: int = 0
    exposed: bool = False


class Variants:
    """Gives users their variants."""

    def __init__(self, experiments: Experiments, assignments: Assignments, *, clock: Callable[[], datetime]) -> None:
        self._experiments = experiments
        self._assignments = assignments
        self._clock = clock

    async def freeze(self, who: Who) -> dict[str, JSON]:
        """Return a run's variants; of two experiments that vary the same, a user is in the one that started first.

        One in which the user is a tester comes before the others: these then neither assign nor count the user's run.
        """
        given: list[Given] = []
        taken: set[str] = set()
        for experiment in sorted(self._experiments.live, key=lambda each: not each.is_tester(who.user_id)):
            if experiment.varies & taken:
                continue
            placed = await self.place(experiment, who)
            if placed.variant is not None:
                taken |= experiment.varies
                given.append(_given(experiment, placed, placed.variant))
        return frozen(given)

    async def place(self, experiment: Experiment, who: Who) -> Placed:
        """Return where a user is put, and keep it: who is assigned stays, whatever becomes of weights and targeting."""
        now = place(experiment, who)
        if closed(experiment) or now.reason == "forced" or _cannot_be_stored(experiment, now):
            return Placed(now.variant, now.reason)
        stored = await self._assignments.find(experiment.experiment_id, who)
        if stored is None and now.variant is not None:
            stored = await self._assignments.assign(
                experiment.experiment_id, who, variant=now.variant, phase=experiment.phase.number, at=self._clock()
            )
        if stored is None:
            return Placed(None, now.reason)
        return Placed(stored.variant, "assigned", stored.phase, stored.exposed)


class ServersOwn:
    """No experiments: every run has the server's own configuration."""

    async def freeze(self, who: Who) -> dict[str, JSON]:
        """Return no variants."""
        return {}


def _cannot_be_stored(experiment: Experiment, now: Placement) -> bool:
    """Return whether nobody can have an assignment whom the hash gives none: it has not changed, and asks nothing."""
    fixed = len(experiment.phases) == 1 and not experiment.targeting and experiment.status == "running"
    return fixed and now.variant is None


def _given(experiment: Experiment, placed: Placed, variant: str) -> Given:
    return Given(
        experiment_id=experiment.experiment_id,
        variant=variant,
        phase=placed.phase,
        config=experiment.variant(variant).config.given(),
        counted=placed.reason != "forced",
    )
