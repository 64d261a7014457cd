"""The statistics of experiments, each formula with its source; what needs scipy imports it when it is called.

`sequential` and what leads to it are plain arithmetic: guardrails are watched without scipy.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

TUNED_FOR: Final = 5_000
"""At how many users the sequential interval is tightest (N* of Waudby-Smith et al.)."""

ROUNDED: Final = 1e-12
"""A variance below this share of the squared mean is what rounding leaves of sums of equal values."""


class Arm(NamedTuple):
    """What is known of one variant: users, their mean, and the variance of one user's value."""

    users: int
    mean: float
    variance: float

    @property
    def error(self) -> float:
        """The variance of the mean."""
        return self.variance / self.users if self.users else math.inf


class Estimate(NamedTuple):
    """A difference with its interval and the chance to see one as large by accident."""

    difference: float
    low: float
    high: float
    p_value: float


class Difference(NamedTuple):
    """A difference of two means, its standard error, and how many users it comes from."""

    value: float
    error: float
    users: int


def ratio_arm(users: int, count: float, total: float, squares: tuple[float, float, float]) -> Arm:
    """Return the mean over events when users are what was randomised.

    Source: the delta method for ratio metrics, Deng, Knoblich, Lu, "Applying the Delta Method in Metric Analytics"
    (KDD 2018), equation 4. Taking every event for a user of its own would make the interval too narrow.

    Args:
        count: Events of all users; `total` the sum of their values.
        squares: Over users: sum of squared event counts, of squared totals, and of their products.
    """
    if users < 2 or not count:
        return Arm(users, total / count if count else 0.0, 0.0)
    counts, totals, products = squares
    mean = total / count
    spread = max(totals - 2 * mean * products + mean**2 * counts, 0.0) / (users - 1)
    return Arm(users, mean, _known(spread * (users / count) ** 2, mean))


def mean_arm(users: int, total: float, squares: float) -> Arm:
    """Return the mean of one value per user, with the unbiased variance."""
    if not users:
        return Arm(0, 0.0, 0.0)
    mean = total / users
    return Arm(users, mean, _known(max(squares - users * mean**2, 0.0) / (users - 1), mean) if users > 1 else 0.0)


def _known(variance: float, mean: float) -> float:
    """Return a variance, or 0 where it is no more than what rounding leaves of equal values."""
    return variance if variance > ROUNDED * mean**2 else 0.0


def proportion_arm(users: int, successes: float) -> Arm:
    """Return the share of users, with the variance of a yes or no."""
    share = successes / users if users else 0.0
    return Arm(users, share, share * (1 - share))


def difference(control: Arm, other: Arm) -> Difference:
    """Return by how much another arm is above the control."""
    value = other.mean - control.mean
    return Difference(value, math.sqrt(_error(control, other)), control.users + other.users)


def _error(control: Arm, other: Arm) -> float:
    """Return the variance of a difference of means.

    Where all users of an arm are alike in both arms, and the arms are not, the arms' own variances would be 0, and the
    difference beyond doubt after two users. Then it is the variance over all the ways in which the same users could
    have been shared out, had the variant changed nothing: that of both arms taken together, times 1/n1 + 1/n2, which
    comes to the squared difference over the number of users less one. It holds for means as for shares, where it is
    the pooled z test's but for the less one.

    Source: Pitman, "Significance tests which may be applied to samples from any populations" (1937), section 3; Imbens
    and Rubin, "Causal Inference for Statistics, Social, and Biomedical Sciences" (2015), chapter 5.
    """
    own, users = control.error + other.error, control.users + other.users
    return own if own or users < 2 else (other.mean - control.mean) ** 2 / (users - 1)


def stratified(parts: Sequence[tuple[Arm, Arm]]) -> Difference:
    """Return the difference over several phases, each compared within itself, so that a change of weights cannot bias.

    Source: Cochran-Mantel-Haenszel weights n1*n2/(n1+n2), Mehrotra and Railkar, "Minimum risk weights for comparing
    treatments in stratified binomial trials" (2000), section 2.
    """
    used = [(one, two) for one, two in parts if one.users and two.users]
    if not used:
        return Difference(0.0, math.inf, 0)
    weights = [one.users * two.users / (one.users + two.users) for one, two in used]
    whole = sum(weights)
    value = sum(weight * (two.mean - one.mean) for weight, (one, two) in zip(weights, used, strict=True)) / whole
    error = sum(weight**2 * _error(one, two) for weight, (one, two) in zip(weights, used, strict=True))
    return Difference(value, math.sqrt(error) / whole, sum(one.users + two.users for one, two in used))


def sequential(found: Difference, *, alpha: float) -> Estimate:
    """Return the interval that holds at every look at once: peeking does not break it.

    Source: the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central
    limit theory and asymptotic confidence sequences" (2021), theorem 2.2, tuned as in its equation 32 for 5,000 users.
    """
    if not (0 < found.error < math.inf):
        return Estimate(found.value, -math.inf, math.inf, 1.0)
    tuned = -2 * math.log(alpha)
    scaled = found.users * (tuned + math.log(tuned + 1)) / TUNED_FOR  # N rho squared
    half = found.error * math.sqrt(2 * (scaled + 1) / scaled * math.log(math.sqrt(scaled + 1) / alpha))
    exponent = (found.value / found.error) ** 2 / 2 * scaled / (scaled + 1)
    p_value = min(1.0, math.sqrt(scaled + 1) * math.exp(-exponent))
    return Estimate(found.value, found.value - half, found.value + half, p_value)


def two_proportions(control: tuple[int, int], other: tuple[int, int], *, alpha: float = 0.05) -> Estimate:
    """Return the difference of two shares, given as successes and users.

    Sources: the pooled z test (Fleiss, "Statistical Methods for Rates and Proportions", chapter 3), and the interval of
    Newcombe, "Interval estimation for the difference between independent proportions" (1998), method 10.
    """
    special = special_functions()
    (x1, n1), (x2, n2) = control, other
    p1, p2, pooled = x1 / n1, x2 / n2, (x1 + x2) / (n1 + n2)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    z = (p2 - p1) / error if error else 0.0
    (l1, u1), (l2, u2) = (_wilson(x, n, -float(special.ndtri(alpha / 2))) for x, n in (control, other))
    low = p2 - p1 - math.hypot(p2 - l2, u1 - p1)
    high = p2 - p1 + math.hypot(u2 - p2, p1 - l1)
    return Estimate(p2 - p1, low, high, 2 * float(special.ndtr(-abs(z))))


def _wilson(successes: int, users: int, z: float) -> tuple[float, float]:
    """Return Wilson's score interval (1927) for one share."""
    share = successes / users
    middle = share + z * z / (2 * users)
    half = z * math.sqrt(share * (1 - share) / users + z * z / (4 * users * users))
    scale = 1 + z * z / users
    return (middle - half) / scale, (middle + half) / scale


def welch(control: Arm, other: Arm, *, alpha: float = 0.05) -> Estimate:
    """Return the difference of two means whose variances may differ.

    Source: Welch, "The generalization of Student's problem" (1947), degrees of freedom by Satterthwaite (1946); where
    neither arm varies, Student's (1908), with the variance of both taken together.
    """
    special = special_functions()
    error, users = _error(control, other), control.users + other.users
    if not (0 < error < math.inf) or users < 3:
        return Estimate(other.mean - control.mean, -math.inf, math.inf, 1.0)
    parts = sum(each.error**2 / (each.users - 1) for each in (control, other) if each.users > 1)
    df = error**2 / parts if parts else users - 2
    value = other.mean - control.mean
    half = -float(special.stdtrit(df, alpha / 2)) * math.sqrt(error)
    return Estimate(value, value - half, value + half, 2 * float(special.stdtr(df, -abs(value) / math.sqrt(error))))


def normal(found: Difference, *, alpha: float = 0.05) -> Estimate:
    """Return the large-sample interval and test of a difference."""
    special = special_functions()
    if not (0 < found.error < math.inf):
        return Estimate(found.value, -math.inf, math.inf, 1.0)
    half = -float(special.ndtri(alpha / 2)) * found.error
    p_value = 2 * float(special.ndtr(-abs(found.value) / found.error))
    return Estimate(found.value, found.value - half, found.value + half, p_value)


def sample_ratio(observed: Sequence[float], expected: Sequence[float]) -> float:
    """Return the chance of a split at least this far from the planned one: Pearson's chi-square test (1900).

    Source for its use: Fabijan et al., "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments" (KDD 2019).
    """
    statistic = sum((seen - planned) ** 2 / planned for seen, planned in zip(observed, expected, strict=True))
    return float(special_functions().chdtrc(len(observed) - 1, statistic))


EXACT_UP_TO: Final = 2_000_000


def chance_to_beat(control: tuple[int, int], other: tuple[int, int]) -> float:
    """Return the probability that another share is above the control's, from uniform priors.

    Source: Miller, "Formulas for Bayesian A/B Testing" (2014): the exact sum over Beta functions. Beyond two million
    successes the normal approximation, which then differs by less than anybody can see.
    """
    import numpy as np

    special = special_functions()
    (x1, n1), (x2, n2) = control, other
    a1, b1, a2, b2 = x1 + 1, n1 - x1 + 1, x2 + 1, n2 - x2 + 1
    if a2 > EXACT_UP_TO:
        return float(special.ndtr(_z(proportion_arm(n1, x1), proportion_arm(n2, x2))))
    steps = np.arange(a2)
    terms = special.betaln(a1 + steps, b1 + b2) - np.log(b2 + steps) - special.betaln(1 + steps, b2)
    return float(min(1.0, np.exp(terms - special.betaln(a1, b1)).sum()))


def chance_above(found: Difference) -> float:
    """Return the probability that a difference is above zero, from a flat prior."""
    if not (0 < found.error < math.inf):
        return 0.5
    return float(special_functions().ndtr(found.value / found.error))


def _z(control: Arm, other: Arm) -> float:
    found = difference(control, other)
    return found.value / found.error if found.error else 0.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, so that one wrong claim at all stays as rare as planned.

    Source: Holm, "A simple sequentially rejective multiple test procedure" (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = highest
    return corrected


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected so that of all claims few are wrong.

    Source: Benjamini and Hochberg, "Controlling the False Discovery Rate" (1995).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    corrected, lowest = [0.0] * len(p_values), 1.0
    for place, index in enumerate(order):
        lowest = min(lowest, p_values[index] * len(p_values) / (len(p_values) - place))
        corrected[index] = lowest
    return corrected


def special_functions() -> Any:
    """Return scipy's special functions; the first call takes a second or two, none of it on the event loop."""
    import scipy.special

    return scipy.special
