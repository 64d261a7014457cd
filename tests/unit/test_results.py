"""What results say, and when they say nothing."""

from typing import Any

import pytest

from domain.comparing import broken, history
from domain.experiments import Experiment
from domain.lifecycle import rephased
from domain.metrics import Declared
from domain.results import results
from domain.tallies import tallied
from tests.experimenting import running, variant
from tests.records import NOON

type Json = dict[str, Any]


def day(name: str, users: int, *, phase: int = 1, on: str = "2026-11-01", **successes: int) -> Json:
    """Return the counters of a day: users, and for each metric how many of them it happened to."""
    sums = {
        metric: {"u": users if metric in ("error_rate", "config_mismatch_rate") else count, "n": users, "x": count,
                 "nn": users, "xx": count, "xn": count}
        for metric, count in successes.items()
    }  # fmt: skip
    about = {"experiment_id": "exp_1", "phase": phase, "variant": name, "day": on}
    return {**about, "users": users, "exposures": users, "sums": sums}


def told(experiment: Experiment, *days: Json) -> Json:
    found: Json = results(experiment, days)["verdict"]
    return found


EQUAL = (day("control", 5_000, conversion=500), day("calm", 5_000, conversion=500))
MISMATCHED = (day("control", 5_000, conversion=500), day("calm", 5_000, conversion=700, config_mismatch_rate=1))
BETTER = (day("control", 5_000, conversion=500), day("calm", 5_000, conversion=700))
WORSE = (day("control", 5_000, conversion=500), day("calm", 5_000, conversion=300))


@pytest.mark.parametrize(
    ("days", "status", "winner"),
    [
        ((), "no_data", None),
        ((day("control", 50, conversion=1), day("calm", 50, conversion=40)), "too_early", None),
        (EQUAL, "undecided", None),
        (BETTER, "winner", "calm"),
        (WORSE, "winner", "control"),
        ((day("control", 5_000, conversion=500), day("calm", 4_500, conversion=700)), "invalid", None),
        (MISMATCHED, "invalid", None),
        ((day("control", 5_000, error_rate=50), day("calm", 5_000, conversion=700, error_rate=400)), "guardrail", None),
    ],
)  # fmt: skip
def test_the_verdict(days: tuple[Json, ...], status: str, winner: str | None) -> None:
    found = told(running(), *days)
    assert (found["status"], found["winner"]) == (status, winner)
    assert found["text"].endswith(".")


def test_lower_is_better_where_it_says_so() -> None:
    experiment = running(metric="complaint", metrics=(Declared(name="complaint", better="lower"),))
    found = told(experiment, day("control", 5_000, complaint=700), day("calm", 5_000, complaint=500))
    assert (found["status"], found["winner"]) == ("winner", "calm")


def test_with_more_variants_a_claim_takes_more() -> None:
    two = (day("control", 5_000, conversion=500), day("calm", 5_000, conversion=610))
    names = ("calm", *(f"v{number}" for number in range(8)))
    many = running(variants=(variant("control", 10, control=True), *(variant(name, 10) for name in names)))
    rest = [day(name, 5_000, conversion=500) for name in names[1:]]
    assert told(running(), *two)["status"] == "winner"
    assert told(many, *two, *rest)["status"] == "undecided"


def test_phases_are_not_thrown_together() -> None:
    """Better in both phases although worse when thrown together: Simpson's paradox."""
    experiment = rephased(running(), {"control": 10, "calm": 90}, user_percentage=None, reason="", at=NOON)
    days = (
        day("control", 50_000, phase=1, conversion=20_000),
        day("calm", 50_000, phase=1, conversion=22_000),
        day("control", 10_000, phase=2, conversion=500),
        day("calm", 90_000, phase=2, conversion=6_300),
    )
    found = results(experiment, days)
    values = {each["name"]: each["metrics"]["conversion"]["value"] for each in found["variants"]}
    assert values["calm"] < values["control"]
    assert (found["verdict"]["status"], found["verdict"]["winner"]) == ("winner", "calm")
    assert not found["sample_ratio"]["mismatch"]


def test_history_adds_the_days_up() -> None:
    days = [
        each
        for on in ("2026-11-01", "2026-11-02", "2026-11-03")
        for each in (day("control", 500, on=on, conversion=50), day("calm", 500, on=on, conversion=60))
    ]
    widths = [each.found.high - each.found.low for each in history(running(), days)]
    assert len(widths) == 3
    assert widths == sorted(widths, reverse=True)


def test_a_guardrail_waits_for_enough_users() -> None:
    few = (day("control", 40, error_rate=0), day("calm", 40, error_rate=40))
    enough = (day("control", 200, error_rate=4), day("calm", 200, error_rate=160))
    assert broken(running(), tallied(few)) is None
    found = broken(running(), tallied(enough))
    assert found
    assert (found.metric.name, found.variant) == ("error_rate", "calm")
