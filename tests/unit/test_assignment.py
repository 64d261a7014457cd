"""Who gets which variant: the public figures of GrowthBook, and the rules around the hash."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.assignment import (
    Untyped,
    Who,
    bucket_ranges,
    chosen,
    equal_weights,
    hashed,
    holds,
    in_namespace,
    place,
)
from domain.experiments import Condition, Experiment, Namespace, Scalar
from domain.lifecycle import forcing, killed, paused, rephased
from tests.experimenting import draft, running, variant
from tests.records import NOON

PUBLISHED: dict[str, list[Any]] = json.loads((Path(__file__).parents[1] / "published" / "growthbook.json").read_text())


@pytest.mark.parametrize(("seed", "unit", "version", "expected"), PUBLISHED["hash"])
def test_the_hash_is_growthbooks(seed: str, unit: str, version: int, expected: float | None) -> None:
    assert hashed(unit, seed=seed, version=version) == expected


@pytest.mark.parametrize(
    ("seed", "unit", "expected"), [("", "a", 0.0216), ("", "b", 0.9054), ("", "c", 0.0168), ("seed", "a", 0.0505)]
)
def test_version_two_of_the_hash(seed: str, unit: str, expected: float) -> None:
    assert hashed(unit, seed=seed) == expected


@pytest.mark.parametrize(("name", "arguments", "expected"), PUBLISHED["ranges"])
def test_the_ranges_are_growthbooks(name: str, arguments: list[Any], expected: list[list[float]]) -> None:
    ranges = bucket_ranges(*arguments)
    assert [[round(start, 6), round(end, 6)] for start, end in ranges] == expected


@pytest.mark.parametrize(("name", "at", "ranges", "expected"), PUBLISHED["choose"])
def test_the_choice_is_growthbooks(name: str, at: float, ranges: list[Any], expected: int) -> None:
    assert chosen(at, [(start, end) for start, end in ranges]) == expected


@pytest.mark.parametrize(("name", "unit", "namespace", "expected"), PUBLISHED["namespace"])
def test_namespaces_are_growthbooks(name: str, unit: str, namespace: list[Any], expected: bool) -> None:
    assert in_namespace(unit, Namespace(name=namespace[0], start=namespace[1], end=namespace[2])) is expected


@pytest.mark.parametrize(("count", "expected"), PUBLISHED["weights"])
def test_equal_weights_are_growthbooks(count: int, expected: list[float]) -> None:
    assert [round(each, 8) for each in equal_weights(count)] == [round(each, 8) for each in expected]


@pytest.mark.parametrize(("name", "unit", "experiment", "index", "inside"), PUBLISHED["run"])
def test_whole_assignments_are_growthbooks(
    name: str, unit: str, experiment: dict[str, Any], index: int, inside: bool
) -> None:
    ranges = bucket_ranges(experiment["variations"], experiment.get("coverage", 1), experiment.get("weights"))
    seed = experiment.get("seed") or experiment["key"]
    at = hashed(unit, seed=seed, version=experiment.get("hashVersion", 1))
    part = experiment.get("namespace")
    shared = part is None or in_namespace(unit, Namespace(name=part[0], start=part[1], end=part[2]))
    found = chosen(at or 0.0, ranges) if shared else -1
    assert found == (index if inside else -1)


def users(count: int) -> list[Who]:
    return [Who("ann", number) for number in range(count)]


def split(experiment: Experiment, count: int = 10_000) -> Counter[str | None]:
    return Counter(place(experiment, who).variant for who in users(count))


def test_weights_are_met_within_what_chance_allows() -> None:
    variants = (variant("control", 80, control=True), variant("calm", 20))
    found = split(running(variants=variants))
    assert abs(found["control"] - 8_000) < 160  # four standard deviations
    assert found["control"] + found["calm"] == 10_000


def test_experiments_do_not_influence_each_other() -> None:
    one, two = running("exp_1"), running("exp_2")
    pairs = Counter((place(one, who).variant, place(two, who).variant) for who in users(10_000))
    assert all(abs(count - 2_500) < 175 for count in pairs.values())


def test_a_share_of_the_users_takes_part() -> None:
    found = split(running(user_percentage=10))
    assert abs(found[None] - 9_000) < 120


def test_moving_a_weight_moves_only_the_users_between() -> None:
    before = running()
    after = rephased(before, {"control": 20, "calm": 80}, user_percentage=None, reason="", at=NOON)
    moved = [who for who in users(5_000) if place(before, who) != place(after, who)]
    assert {place(before, who).variant for who in moved} == {"control"}
    assert abs(len(moved) - 1_500) < 140


def test_the_held_out_are_the_same_for_every_experiment() -> None:
    one, two = (running(name, holdout_percentage=20) for name in ("exp_1", "exp_2"))
    out = [{who.user_id for who in users(2_000) if place(each, who).reason == "holdout"} for each in (one, two)]
    assert out[0] == out[1]
    assert abs(len(out[0]) - 400) < 75


def test_no_user_is_on_two_parts_of_a_namespace() -> None:
    one = running("exp_1", namespace=Namespace(name="chat", start=0, end=0.5))
    two = running("exp_2", namespace=Namespace(name="chat", start=0.5, end=1))
    both = [(place(one, who).variant, place(two, who).variant) for who in users(2_000)]
    assert all((first is None) != (second is None) for first, second in both)


FORCED = forcing(running(), 7, "calm", at=NOON)


@pytest.mark.parametrize(
    ("experiment", "user_id", "reason"),
    [
        (draft(), 7, "not_running"),
        (FORCED, 7, "forced"),
        (FORCED, 8, "assigned"),
        (paused(FORCED, at=NOON), 7, "forced"),
        (paused(FORCED, at=NOON), 8, "not_running"),
        (killed(FORCED, on=True, at=NOON), 7, "killed"),
        (running(user_percentage=0), 7, "user_percentage"),
        (running(targeting=(Condition(attribute="owner", operator="in", values=("bob",)),)), 7, "not_targeted"),
    ],
)
def test_why_somebody_gets_a_variant_or_none(experiment: Experiment, user_id: int, reason: str) -> None:
    found = place(experiment, Who("ann", user_id))
    assert (found.reason, found.variant is None) == (reason, reason not in ("assigned", "forced"))


@pytest.mark.parametrize(
    ("attribute", "operator", "values", "expected"),
    [
        ("country", "in", ("DE", "AT"), True),
        ("country", "in", ("FR",), False),
        ("country", "not_in", ("FR",), True),
        ("country", "at_least", (1,), False),
        ("age", "at_least", (42,), True),
        ("age", "at_least", (43,), False),
        ("age", "below", (43,), True),
        ("age", "below", (42,), False),
        ("plan", "in", ("gold",), False),
        ("plan", "not_in", ("gold",), True),
        ("plan", "below", (3,), False),
        ("user_id", "in", (7,), True),
        ("owner", "in", ("ann",), True),
    ],
)
def test_targeting(attribute: str, operator: str, values: tuple[Any, ...], expected: bool) -> None:
    condition = Condition.model_validate({"attribute": attribute, "operator": operator, "values": values})
    assert holds(condition, Who("ann", 7, {"country": "DE", "age": 42})) is expected


def test_an_attribute_cannot_pass_for_who_somebody_is() -> None:
    condition = Condition(attribute="owner", operator="in", values=("bob",))
    assert not holds(condition, Who("ann", 7, {"owner": "bob"}))


@given(st.text(), st.text())
def test_the_hash_is_a_place_between_zero_and_one_whatever_it_is_given(unit: str, seed: str) -> None:
    found = hashed(unit, seed=seed)
    assert found is not None
    assert 0 <= found < 1


@pytest.mark.parametrize(
    ("operator", "values", "told", "fits"),
    [
        ("in", (True,), "true", True),
        ("in", (False,), "true", False),
        ("in", (1,), "true", False),
        ("in", ("true",), "true", True),
        ("in", ("01234",), "01234", True),
        ("in", (1234,), "01234", False),
        ("in", ("3",), "3", True),
        ("in", (3,), "3", True),
        ("in", (3.5,), "3.5", True),
        ("not_in", ("3",), "3", False),
        ("not_in", ("4",), "3", True),
        ("at_least", (18,), "42", True),
        ("at_least", (18,), "-42", False),
        ("below", (18,), "4e0", True),
        ("below", (18,), "007", False),
        ("at_least", (18,), "many", False),
        ("at_least", (18,), "", False),
    ],
)
def test_what_comes_as_text_fits_whatever_it_may_mean(
    operator: str, values: tuple[Scalar, ...], told: str, fits: bool
) -> None:
    condition = Condition.model_validate({"attribute": "x", "operator": operator, "values": values})
    assert holds(condition, Who("ann", 1, {"x": Untyped(told)})) is fits


def test_a_truth_value_is_no_number() -> None:
    condition = Condition(attribute="x", operator="in", values=(1,))
    assert [holds(condition, Who("ann", 1, {"x": each})) for each in (True, 1, 1.0)] == [False, True, True]
