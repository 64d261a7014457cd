"""Comparisons of variants with their control: plain arithmetic on tallies, cheap enough to watch guardrails by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from domain.experiments import Experiment
from domain.inference import Arm, Estimate, sequential, stratified
from domain.metrics import Metric
from domain.tallies import Key, Tally, tallied

type Judgement = Literal["better", "worse", "unclear"]

ALPHA = 0.05


@dataclass(frozen=True)
class Comparison:
    """One variant against the control by one metric.

    Args:
        parts: The two arms of each phase, the control's first.
        found: The difference with the interval that holds at every look.
    """

    variant: str
    metric: Metric
    parts: tuple[tuple[Arm, Arm], ...]
    found: Estimate

    @property
    def judgement(self) -> Judgement:
        """What the interval says: better or worse only where all of it lies on one side."""
        if self.found.low <= 0 <= self.found.high or not math.isfinite(self.found.low):
            return "unclear"
        return "better" if (self.found.low > 0) == (self.metric.better == "higher") else "worse"

    @property
    def users(self) -> int:
        """How many users of the smaller side it rests on."""
        return min(sum(one.users for one, _ in self.parts), sum(two.users for _, two in self.parts))


def compared(
    experiment: Experiment, tallies: Mapping[Key, Tally], variant: str, metric: Metric, *, claims: int
) -> Comparison:
    """Return one comparison.

    Args:
        claims: How many comparisons may each lead to a claim; each gets its share of the five per cent (Bonferroni).
    """
    control = experiment.control.name
    phases = sorted({phase for phase, _ in tallies})
    parts = tuple(
        (
            tallies.get((phase, control), Tally()).arm(metric),
            tallies.get((phase, variant), Tally()).arm(metric),
        )
        for phase in phases
    )
    return Comparison(variant, metric, parts, sequential(stratified(parts), alpha=ALPHA / claims))


def treatments(experiment: Experiment) -> list[str]:
    """Return the variants that are compared with the control."""
    return [each.name for each in experiment.variants if each.type == "treatment"]


@dataclass(frozen=True)
class Day:
    """How the primary metric's comparison stood at the end of a day."""

    day: str
    variant: str
    found: Estimate


def history(experiment: Experiment, days: Sequence[Mapping[str, Any]]) -> list[Day]:
    """Return how each variant stood day by day, everything until then taken together."""
    metric, names = experiment.all_metrics[experiment.metric], treatments(experiment)
    return [
        Day(day, name, compared(experiment, tallies, name, metric, claims=len(names)).found)
        for day in sorted({each["day"] for each in days})
        for tallies in (tallied(days, until=day),)
        for name in names
    ]


def broken(experiment: Experiment, tallies: Mapping[Key, Tally]) -> Comparison | None:
    """Return the comparison by which a guardrail is clearly worse; None while none is."""
    names = treatments(experiment)
    claims = max(1, len(names) * len(experiment.guardrails))
    for name in experiment.guardrails:
        metric = experiment.all_metrics[name]
        for variant in names:
            found = compared(experiment, tallies, variant, metric, claims=claims)
            if found.judgement == "worse" and found.users >= experiment.minimum_sample:
                return found
    return None
