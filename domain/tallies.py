"""Tallies: what users of a variant did, added up so that nobody has to be looked at again.

A user's sums per metric (how many events, their total) count through six figures, which are all the statistics need:
`u` users, `n` events, `x` totals, and over users `nn`, `xx`, `xn`, the sums of squares and products. They are sums of a
function of each user's state, so that a change of one user is the difference of two of its values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.inference import Arm, mean_arm, proportion_arm, ratio_arm
from domain.metrics import Metric

type Sums = dict[str, dict[str, float]]
type Six = dict[str, float]

SIX = ("u", "n", "x", "nn", "xx", "xn")


def six_of(metric: Metric, sums: Mapping[str, float]) -> Six:
    """Return what one user adds to a metric's figures.

    Args:
        sums: The user's events (`n`) and the total of their values (`x`).
    """
    n, x = sums.get("n", 0), sums.get("x", 0)
    if metric.kind == "proportion":  # how often does not matter, only whether; a value of 0 says that it did not happen
        n, x = float(x > 0), float(x > 0)
    return {"u": float(n > 0), "n": n, "x": x, "nn": n * n, "xx": x * x, "xn": x * n}


def added(before: Mapping[str, Any], now: Mapping[str, Any], metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Return by how much a user's document changes the counters, by the counters' paths; what stays is left out.

    Args:
        before: The user's state when it was last added; empty the first time.
    """
    found: dict[str, float] = {
        "users": float(bool(now.get("exposed_at"))) - float(bool(before.get("exposed_at"))),
        "exposures": now.get("exposures", 0) - before.get("exposures", 0),
        "late": now.get("late", 0) - before.get("late", 0),
    }
    for name, sums in now.get("sums", {}).items():
        if metric := metrics.get(name):
            old, new = six_of(metric, before.get("sums", {}).get(name, {})), six_of(metric, sums)
            found |= {f"sums.{name}.{each}": new[each] - old[each] for each in SIX}
    return {path: change for path, change in found.items() if change}


@dataclass
class Tally:
    """The counters of one variant in one phase."""

    users: int = 0
    exposures: int = 0
    late: int = 0
    sums: Sums = field(default_factory=dict)

    def add(self, counters: Mapping[str, Any]) -> None:
        """Add the counters of one day."""
        self.users += round(counters.get("users", 0))
        self.exposures += round(counters.get("exposures", 0))
        self.late += round(counters.get("late", 0))
        for name, six in counters.get("sums", {}).items():
            mine = self.sums.setdefault(name, dict.fromkeys(SIX, 0.0))
            for each, value in six.items():
                mine[each] += value

    def six(self, name: str) -> Six:
        """Return a metric's figures."""
        return self.sums.get(name) or dict.fromkeys(SIX, 0.0)

    def arm(self, metric: Metric) -> Arm:
        """Return a metric as the statistics need it."""
        six = self.six(metric.name)
        if metric.kind == "proportion":
            return proportion_arm(self.users, six["x"])
        if metric.kind == "mean":
            return mean_arm(self.users, six["x"], six["xx"])
        return ratio_arm(round(six["u"]), six["n"], six["x"], (six["nn"], six["xx"], six["xn"]))


type Key = tuple[int, str]
"""Phase and variant."""


def tallied(days: Iterable[Mapping[str, Any]], *, until: str | None = None) -> dict[Key, Tally]:
    """Return the tallies of all days up to one, by phase and variant."""
    found: dict[Key, Tally] = {}
    for each in days:
        if until is None or each["day"] <= until:
            found.setdefault((each["phase"], each["variant"]), Tally()).add(each)
    return found


def pooled(tallies: Mapping[Key, Tally], variant: str) -> Tally:
    """Return a variant's tally over all phases."""
    whole = Tally()
    for (_, name), tally in tallies.items():
        if name == variant:
            whole.add(vars(tally))
    return whole
