"""Scores customers by recency, frequency and monetary value (RFM) and names the segment that follows.

Each of the three is scored from 1 (worst) to 5 (best) by fixed thresholds; no training, no randomness: the same
figures always give the same segment.
"""

from bisect import bisect_left, bisect_right
from enum import StrEnum

RECENCY_DAYS = (30, 60, 120, 240)
"""Last order at most this many days ago: 5, 4, 3, 2 points; longer ago: 1."""
FREQUENCY = (2, 4, 7, 12)
"""At least this many orders a year: 2, 3, 4, 5 points; fewer: 1."""
MONETARY = (100, 300, 750, 2000)
"""At least this much spent in a year, in euros: 2, 3, 4, 5 points; less: 1."""


class Segment(StrEnum):
    """A group of customers that deserve the same treatment."""

    champions = "champions"
    loyal = "loyal"
    promising = "promising"
    at_risk = "at_risk"
    lost = "lost"


MEANING = {
    Segment.champions: "Bought lately, often and for much: recency, frequency and monetary at least 4.",
    Segment.loyal: "Buy again and again: recency at least 3, frequency at least 3.",
    Segment.promising: "Bought lately, but seldom so far: recency at least 3.",
    Segment.at_risk: "Bought often or for much, but not lately: recency below 3, frequency or monetary at least 3.",
    Segment.lost: "Bought seldom, little, and long ago: everything else.",
}
"""Each segment's rule; the first that holds decides. `segment` below says the same in code."""


def scores(recency_days: int, frequency: int, monetary: float) -> tuple[int, int, int]:
    """Return the three scores, each from 1 to 5."""
    recency = 5 - bisect_left(RECENCY_DAYS, recency_days)
    return recency, 1 + bisect_right(FREQUENCY, frequency), 1 + bisect_right(MONETARY, monetary)


def segment(recency: int, frequency: int, monetary: int) -> Segment:
    """Return the segment of three scores; `MEANING` above says the same in words."""
    if min(recency, frequency, monetary) >= 4:
        return Segment.champions
    if recency >= 3:
        return Segment.loyal if frequency >= 3 else Segment.promising
    return Segment.at_risk if max(frequency, monetary) >= 3 else Segment.lost
