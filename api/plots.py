"""Plots as SVG: only where things stand; the page's template draws them, and its style sheet colours them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.comparing import Day

type Across = Callable[[str], float]
type Down = Callable[[float], float]

WIDTH, HEIGHT, MARGIN = 640.0, 220.0, 48.0
ROW = 26.0


@dataclass(frozen=True)
class Mark:
    """A label beside a place on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Band:
    """One variant's difference over time, and the interval around it, as points of SVG."""

    name: str
    line: str
    area: str


@dataclass(frozen=True)
class Bands:
    """The intervals over time.

    Args:
        zero: Where no difference lies.
    """

    bands: list[Band]
    zero: float
    days: list[Mark]
    values: list[Mark]


@dataclass(frozen=True)
class Bar:
    """One variant's share, from the left edge, and the share that was planned."""

    name: str
    top: float
    width: float
    planned: float | None
    text: str


@dataclass(frozen=True)
class Levels:
    """One metric's value in each variant, as bars on a scale of its own."""

    name: str
    top: float
    bars: list[Bar]


def bands(history: Sequence[Day]) -> Bands | None:
    """Return the intervals over time; None while there is none."""
    known = [each for each in history if math.isfinite(each.found.low) and math.isfinite(each.found.high)]
    if not known:
        return None
    days = sorted({each.day for each in known})
    low, high = min(0.0, *(each.found.low for each in known)), max(0.0, *(each.found.high for each in known))

    def x(day: str) -> float:
        share = days.index(day) / (len(days) - 1) if len(days) > 1 else 0.5
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)

    def y(value: float) -> float:
        return round(HEIGHT - MARGIN / 2 - (value - low) / (high - low) * (HEIGHT - MARGIN), 1)

    names = list(dict.fromkeys(each.variant for each in known))
    return Bands(
        bands=[_band(name, [each for each in known if each.variant == name], x, y) for name in names],
        zero=y(0),
        days=[Mark(x(day), day) for day in dict.fromkeys((days[0], days[-1]))],
        values=[Mark(y(value), f"{value:+.3g}") for value in (low, high)],
    )


def _band(name: str, days: Sequence[Day], x: Across, y: Down) -> Band:
    upper = [(x(each.day), y(each.found.high)) for each in days]
    lower = [(x(each.day), y(each.found.low)) for each in reversed(days)]
    if len(days) == 1:  # a band of one day would have no width
        ((at, top),), ((_, bottom),) = upper, lower
        upper, lower = [(at - 6, top), (at + 6, top)], [(at + 6, bottom), (at - 6, bottom)]
    middle = [(x(each.day), y(each.found.difference)) for each in days]
    line = middle if len(days) > 1 else [(middle[0][0] - 6, middle[0][1]), (middle[0][0] + 6, middle[0][1])]
    return Band(name, _points(line), _points([*upper, *lower]))


def split(users: Mapping[str, int], expected: Mapping[str, float]) -> list[Bar]:
    """Return how the users are shared out, beside the plan."""
    whole, planned = sum(users.values()) or 1, sum(expected.values())
    return [
        Bar(
            name,
            top=round(ROW * place + 4, 1),
            width=round(count / whole * (WIDTH - 200), 1),
            planned=round(expected[name] / planned * (WIDTH - 200), 1) if planned else None,
            text=f"{count:,} users, {count / whole:.1%}",
        )
        for place, (name, count) in enumerate(users.items())
    ]


def levels(variants: Sequence[Mapping[str, Any]]) -> list[Levels]:
    """Return every metric's values, one metric below the other.

    Args:
        variants: As the results have them: a `name`, and `metrics` with a `value` and `users` each.
    """
    found: list[Levels] = []
    row = 0
    for name in dict.fromkeys(name for each in variants for name in each["metrics"]):
        values = {each["name"]: each["metrics"][name] for each in variants if name in each["metrics"]}
        most = max(figures["value"] for figures in values.values()) or 1
        bars = [
            Bar(
                variant,
                top=round(ROW * (row + 1 + place) + 4, 1),
                width=round(max(figures["value"], 0) / most * (WIDTH - 200), 1),
                planned=None,
                text=f"{figures['value']:.4g}",
            )
            for place, (variant, figures) in enumerate(values.items())
        ]
        found.append(Levels(name, top=round(ROW * row + 4, 1), bars=bars))
        row += len(bars) + 1
    return found


def _points(pairs: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{across:g},{down:g}" for across, down in pairs)
