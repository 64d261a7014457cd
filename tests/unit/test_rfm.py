"""The rules of customer segmentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import rfm
from demo.rfm import Segment


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        pytest.param((30, 12, 2000), (5, 5, 5), id="a threshold itself is still the better score"),
        pytest.param((31, 11, 1999.99), (4, 4, 4), id="just past a threshold is one less"),
        pytest.param((240, 2, 100), (2, 2, 2), id="the last thresholds"),
        pytest.param((241, 1, 99.99), (1, 1, 1), id="past the last thresholds is the worst"),
    ],
)
def test_thresholds_belong_to_the_better_side(figures: tuple[int, int, float], expected: tuple[int, int, int]) -> None:
    assert rfm.scores(*figures) == expected


@pytest.mark.parametrize(
    ("scores", "segment"),
    [
        ((4, 4, 4), Segment.champions),
        ((5, 5, 3), Segment.loyal),
        ((3, 3, 1), Segment.loyal),
        ((5, 2, 5), Segment.promising),
        ((2, 3, 1), Segment.at_risk),
        ((2, 1, 3), Segment.at_risk),
        ((2, 2, 2), Segment.lost),
    ],
)
def test_the_first_rule_that_holds_decides(scores: tuple[int, int, int], segment: Segment) -> None:
    assert rfm.segment(*scores) is segment


@given(st.integers(0, 1000), st.integers(0, 50), st.floats(0, 1e6))
def test_scores_stay_between_one_and_five_and_never_fall_with_more_orders(days: int, orders: int, spent: float) -> None:
    fewer, more = rfm.scores(days, orders, spent), rfm.scores(days, orders + 1, spent)
    assert all(1 <= score <= 5 for score in (*fewer, *more))
    assert fewer <= more
