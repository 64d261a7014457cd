"""The statistics give the figures of textbooks, of public tools, and of statsmodels."""

import itertools
import math
import statistics
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.simulating import simulate
from domain.inference import (
    Arm,
    Difference,
    benjamini_hochberg,
    chance_above,
    chance_to_beat,
    difference,
    holm,
    mean_arm,
    normal,
    proportion_arm,
    ratio_arm,
    sample_ratio,
    sequential,
    stratified,
    two_proportions,
    welch,
)
from domain.power import power_for_shares, users_for_means, users_for_shares

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from statsmodels.stats import multitest, power, proportion, weightstats

SLEEP = ((0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0), (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4))


def arm(values: tuple[float, ...]) -> Arm:
    return mean_arm(len(values), sum(values), sum(each * each for each in values))


def test_the_aspirin_study() -> None:
    """Agresti, "Categorical Data Analysis": z 5.00, difference .0077, 95 % .0047 to .0107."""
    found = two_proportions((104, 11_037), (189, 11_034))
    assert found == pytest.approx((0.0077060, 0.004702, 0.010775, 5.69e-7), rel=2e-3)


def test_students_sleep_data() -> None:
    """Student (1908) as R's `t.test` has it: t 1.8608 at 17.776 degrees of freedom, p .07939."""
    found = welch(arm(SLEEP[0]), arm(SLEEP[1]))
    assert found.p_value == pytest.approx(0.0793941, rel=1e-5)
    assert (found.low, found.high) == pytest.approx((-0.2054832, 3.3654832), rel=1e-5)


@pytest.mark.parametrize(
    ("observed", "p_value"),
    [
        ((821_588, 815_482), 1.8217929e-6),
        ((1_000, 1_100), 0.029096),
        ((460, 540), 0.011412),
        ((4_600, 5_400), 1.24e-15),
    ],
)
def test_the_sample_ratio_mismatch_of_public_examples(observed: tuple[int, int], p_value: float) -> None:
    assert sample_ratio(observed, [sum(observed) / 2] * 2) == pytest.approx(p_value, rel=4e-3)


@pytest.mark.parametrize(
    ("control", "other", "chance"),
    [((100, 1_000), (120, 1_000), 0.92318), ((1, 20), (4, 20), 0.90819), ((0, 20), (4, 20), 0.97608)],
)
def test_the_chance_to_win_is_exact(control: tuple[int, int], other: tuple[int, int], chance: float) -> None:
    assert chance_to_beat(control, other) == pytest.approx(chance, abs=5e-6)
    assert chance_to_beat(other, control) == pytest.approx(1 - chance, abs=5e-6)


def test_the_sequential_interval_of_a_public_example() -> None:
    found = sequential(difference(proportion_arm(1_000, 100), proportion_arm(1_000, 120)), alpha=0.05)
    assert found == pytest.approx((0.02, -0.023688, 0.063688, 0.93889), abs=5e-6)


def test_the_sequential_interval_of_growthbooks_test() -> None:
    """A 1396/3000, B 2422/3461: a relative difference of .50386 with error .03386 gives .40098 to .60675."""
    a, b = proportion_arm(3_000, 1_396), proportion_arm(3_461, 2_422)
    error = math.sqrt(b.error / a.mean**2 + b.mean**2 * a.error / a.mean**4)
    found = sequential(Difference(b.mean / a.mean - 1, error, 6_461), alpha=0.05)
    assert found[:3] == pytest.approx((0.50386, 0.40098, 0.60675), abs=1e-5)


def test_a_sequential_interval_is_wider_than_that_of_one_look() -> None:
    for users in (100, 1_000, 10_000, 1_000_000):
        found = difference(proportion_arm(users, users // 10), proportion_arm(users, users // 8))
        assert sequential(found, alpha=0.05).low < normal(found).low


def test_sequential_p_value_and_interval_agree() -> None:
    for successes in range(100, 220, 5):
        found = difference(proportion_arm(1_000, 100), proportion_arm(1_000, successes))
        estimate = sequential(found, alpha=0.05)
        assert (estimate.p_value < 0.05) == (estimate.low > 0)


@pytest.mark.parametrize(
    "arms",
    [
        (proportion_arm(159, 0), proportion_arm(141, 141)),
        (mean_arm(159, 15.9, 1.59), mean_arm(141, 28.2, 5.64)),  # a constant latency, and twice of it
        (ratio_arm(159, 318, 0, (636, 0, 0)), ratio_arm(141, 423, 423, (1_269, 1_269, 1_269))),
    ],
)
def test_a_difference_without_any_variance_is_one(arms: tuple[Arm, Arm]) -> None:
    found = difference(*arms)
    assert found.error == pytest.approx(abs(found.value) / math.sqrt(299))
    assert found == pytest.approx(stratified([arms]))
    for estimate in (sequential(found, alpha=0.05), normal(found), welch(*arms)):
        assert estimate.low > 0
        assert estimate.p_value < 1e-20
    assert chance_above(found) > 0.999


def test_the_error_without_any_variance_is_that_of_all_ways_to_share_the_users_out() -> None:
    values = [0.0] * 4 + [3.0] * 5
    every = [
        sum(values[place] for place in chosen) / 5
        - sum(each for place, each in enumerate(values) if place not in chosen) / 4
        for chosen in itertools.combinations(range(9), 5)
    ]
    found = difference(mean_arm(4, 0, 0), mean_arm(5, 15, 45))
    assert found.error**2 == pytest.approx(statistics.pvariance(every))


def test_no_difference_without_any_variance_is_none() -> None:
    for arms in ((proportion_arm(99, 0), proportion_arm(99, 0)), (mean_arm(9, 0.9, 0.09), mean_arm(9, 0.9, 0.09))):
        assert sequential(difference(*arms), alpha=0.05) == (0, -math.inf, math.inf, 1)
        assert welch(*arms).p_value == 1


@pytest.mark.parametrize("share", [0.005, 0.5, 0.995])
def test_few_users_and_rare_events_make_no_difference_of_none(share: float) -> None:
    """Looked at after every pair of users: what is missing at first in one arm is no total difference."""
    import numpy as np

    dice = np.random.default_rng(20_261_101).random((400, 2, 300)) < share
    called = 0
    for one, two in np.cumsum(dice, axis=2):
        looks = (difference(proportion_arm(n, one[n - 1]), proportion_arm(n, two[n - 1])) for n in range(10, 301))
        called += any(not each.low <= 0 <= each.high for each in (sequential(look, alpha=0.05) for look in looks))
    assert called / 400 <= 0.05


shares = st.tuples(st.integers(20, 5_000), st.floats(0.01, 0.99)).map(lambda pair: (round(pair[0] * pair[1]), pair[0]))


@settings(max_examples=60, deadline=None)
@given(shares, shares)
def test_two_proportions_as_statsmodels_has_them(control: tuple[int, int], other: tuple[int, int]) -> None:
    found = two_proportions(control, other)
    low, high = proportion.confint_proportions_2indep(*other, *control, method="newcomb", compare="diff")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    if 0 < control[0] + other[0] < control[1] + other[1]:
        _, p_value = proportion.proportions_ztest([control[0], other[0]], [control[1], other[1]])
        assert found.p_value == pytest.approx(p_value, rel=1e-6, abs=1e-12)


values = st.lists(st.floats(-100, 100), min_size=3, max_size=40).filter(lambda each: max(each) - min(each) > 0.1)


@settings(max_examples=60, deadline=None)
@given(values, values)
def test_welch_as_statsmodels_has_it(control: list[float], other: list[float]) -> None:
    found = welch(arm(tuple(control)), arm(tuple(other)))
    _, p_value, _ = weightstats.ttest_ind(other, control, usevar="unequal")
    assert found.p_value == pytest.approx(p_value, rel=1e-4, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_as_statsmodels_has_them(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])
    assert benjamini_hochberg(p_values) == pytest.approx(multitest.multipletests(p_values, method="fdr_bh")[1])


def test_power_and_sample_size_as_statsmodels_has_them() -> None:
    expected = proportion.power_proportions_2indep(0.02, 0.10, 3_000, return_results=False)
    assert power_for_shares(0.10, 0.12, 3_000) == pytest.approx(expected, abs=2e-3)
    assert power_for_shares(0.10, 0.12, users_for_shares(0.10, 0.12)) == pytest.approx(0.8, abs=1e-3)
    assert users_for_shares(0.10, 0.12) == 3_841  # as the usual calculators say
    wanted = power.NormalIndPower().solve_power(effect_size=0.2, alpha=0.05, power=0.8)
    assert users_for_means(25.0, 1.0) == math.ceil(wanted)


def test_a_ratio_of_one_event_per_user_is_a_mean() -> None:
    values = SLEEP[0]
    squares = (10.0, sum(each * each for each in values), sum(values))
    assert ratio_arm(10, 10, sum(values), squares) == pytest.approx(arm(values))


def test_a_ratio_knows_that_events_of_one_user_are_not_independent() -> None:
    """Two users with a hundred equal events each say no more than two events do."""
    once = ratio_arm(2, 2, 3.0, (2.0, 5.0, 3.0))
    often = ratio_arm(2, 200, 300.0, (20_000.0, 50_000.0, 30_000.0))
    assert often == pytest.approx(once)


def test_phases_are_compared_within_themselves() -> None:
    """Simpson's paradox: better in both phases, worse when all are thrown together."""
    first = (proportion_arm(900, 90), proportion_arm(100, 12))
    second = (proportion_arm(100, 50), proportion_arm(900, 470))
    assert stratified([first, second]).value > 0
    assert stratified([first]) == pytest.approx(difference(*first))
    together = difference(proportion_arm(1_000, 560), proportion_arm(1_000, 482))
    assert together.value < 0


def test_peeking_does_not_make_differences_where_there_are_none() -> None:
    """The same dice at every run; `make bench` throws more of them."""
    found = simulate(experiments=300)
    assert found.false_positives <= 0.05 < found.false_positives_naive
    assert abs(found.power - found.power_theory) < 0.07  # three standard deviations
    assert found.power_sequential_twice > found.power_sequential > 0.3
