"""Thousands of experiments by dice: how often a difference is claimed that is none, and how often one is found."""

from dataclasses import dataclass

from domain.comparing import ALPHA
from domain.inference import difference, normal, proportion_arm, sequential, two_proportions
from domain.power import power_for_shares, users_for_shares

PEEKS = 20
SHARE, BETTER = 0.10, 0.12


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What came of it, as shares of the experiments.

    Args:
        false_positives: A/A experiments that were ever called, by the interval that holds at every look.
        false_positives_naive: The same by a test that is made for one look, made at each.
        power: A/B experiments found in one look, and what theory says of that.
        power_sequential: Found by the interval that holds at every look, with the same and with twice the users.
        mistaken: A/B experiments in which it called the wrong one.
    """

    experiments: int
    users_per_variant: int
    false_positives: float
    false_positives_naive: float
    power: float
    power_theory: float
    power_sequential: float
    power_sequential_twice: float
    mistaken: float


def simulate(*, experiments: int, seed: int = 20_261_101) -> Simulation:
    """Return what so many experiments of each kind came to; the same seed gives the same dice."""
    users = users_for_shares(SHARE, BETTER)
    ever, naive = _called(_dice(experiments, users, SHARE, SHARE, seed))
    found = [_ended(pair, users) for pair in _dice(experiments, users, SHARE, BETTER, seed + 1)]
    twice = [_ended(pair, 2 * users) for pair in _dice(experiments, 2 * users, SHARE, BETTER, seed + 2)]
    return Simulation(
        experiments=experiments,
        users_per_variant=users,
        false_positives=ever / experiments,
        false_positives_naive=naive / experiments,
        power=sum(once for once, _, _ in found) / experiments,
        power_theory=power_for_shares(SHARE, BETTER, users),
        power_sequential=sum(always for _, always, _ in found) / experiments,
        power_sequential_twice=sum(always for _, always, _ in twice) / experiments,
        mistaken=sum(wrong for _, _, wrong in (*found, *twice)) / (2 * experiments),
    )


type Looks = list[list[tuple[int, int, int]]]
"""For each experiment, at each look: users per variant, and the successes of both."""


def _dice(experiments: int, users: int, control: float, other: float, seed: int) -> Looks:
    import numpy as np

    dice = np.random.default_rng(seed)
    steps = [users * (look + 1) // PEEKS - users * look // PEEKS for look in range(PEEKS)]
    first, second = (
        np.cumsum([dice.binomial(step, share, experiments) for step in steps], axis=0) for share in (control, other)
    )
    seen = np.cumsum(steps)
    return [
        [(int(seen[look]), int(first[look][one]), int(second[look][one])) for look in range(PEEKS)]
        for one in range(experiments)
    ]


def _called(looks: Looks) -> tuple[int, int]:
    """Return how many experiments were ever called, by the lasting interval and by one made for one look."""
    ever = naive = 0
    for each in looks:
        gaps = [difference(proportion_arm(users, one), proportion_arm(users, two)) for users, one, two in each]
        ever += any(_excludes(sequential(gap, alpha=ALPHA)[1:3]) for gap in gaps)
        naive += any(_excludes(normal(gap, alpha=ALPHA)[1:3]) for gap in gaps)
    return ever, naive


def _ended(looks: list[tuple[int, int, int]], users: int) -> tuple[bool, bool, bool]:
    """Return whether the last look of a test, or any look of the interval, found it, and whether that was wrong."""
    _, one, two = looks[-1]
    once = two_proportions((one, users), (two, users)).p_value < ALPHA
    intervals = [
        sequential(difference(proportion_arm(seen, first), proportion_arm(seen, second)), alpha=ALPHA)
        for seen, first, second in looks
    ]
    return once, any(each.low > 0 for each in intervals), any(each.high < 0 for each in intervals)


def _excludes(interval: tuple[float, ...]) -> bool:
    return not interval[0] <= 0 <= interval[1]
