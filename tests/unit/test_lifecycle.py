"""What makes a sound design, and what may be changed when."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from domain import lifecycle
from domain.errors import Conflict, InvalidInput
from domain.experiments import Conclusion, Condition, Design, Experiment, Namespace, VariantConfig
from domain.metrics import Declared
from tests.experimenting import design, draft, running, variant
from tests.records import NOON, after


def at_least(*values: int | str) -> Condition:
    return Condition(attribute="age", operator="at_least", values=values)


END = Conclusion(winner=None, reason="", by="oli", supported=False, evidence={})


def test_a_sound_design_is_accepted() -> None:
    design().check()
    three = (variant("a", 33.33, control=True), variant("b", 33.33), variant("c", 33.33))
    design(variants=three, metrics=(Declared(name="spend", kind="mean"),), guardrails=("latency_ms", "spend")).check()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"variants": (variant("a", 60, control=True), variant("b", 50))}, "sum to 110, not to 100"),
        ({"variants": (variant("a", 100, control=True), variant("b", 0))}, "can never be compared"),
        ({"variants": (variant("a", control=True), variant("a"))}, "Two variants are named a"),
        ({"variants": (variant("a"), variant("b"))}, "there are none"),
        ({"variants": (variant("a", control=True), variant("b", control=True))}, "there are 2"),
        ({"guardrails": ("speed",)}, "The guardrail speed is unknown. Known are conversion, latency_ms"),
        ({"metric": "latncy_ms"}, "latency_ms is measured"),
        ({"metrics": (Declared(name="tokens"),)}, "tokens is measured from the runs themselves"),
        ({"metrics": (Declared(name="spend"), Declared(name="spend"))}, "Two metrics have the same name"),
        ({"namespace": Namespace(name="chat", start=0.5, end=0.5)}, "`start` must be below"),
        ({"targeting": (at_least("x"),)}, "at_least of age takes numbers only"),
        ({"targeting": (at_least(18, True),)}, "at_least of age takes numbers only"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused_with_the_reason(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        design(**changes).check()
    assert told in caught.value.detail


@pytest.mark.parametrize(
    "config",
    [
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"max_steps": 0},
        {"top_k": 21},
        {"model": ""},
        {"tempereture": 1},
        {"max_steps": True},
        {"temperature": True},
    ],
)
def test_a_configuration_beyond_its_bounds_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VariantConfig.model_validate(config)


def test_a_truth_value_is_no_percentage() -> None:
    for changes in (
        {"user_percentage": True},
        {"variants": [{"name": "a", "type": "control", "traffic_percentage": True}]},
    ):
        with pytest.raises(ValidationError, match="valid number"):
            design(**changes)


def test_what_its_designer_may_not_have_meant_is_told() -> None:
    same = (variant("a", control=True, top_k=3), variant("b", top_k=3))
    assert running().oddities() == []
    assert [each.split(":")[0] for each in running(variants=same, holdout_percentage=100).oddities()] == [
        "Nobody takes part",
        "All variants have the same configuration",
    ]
    assert running(user_percentage=0).oddities()[0].startswith("Nobody takes part")


def test_a_dictionary_of_variants_is_told_what_to_be() -> None:
    with pytest.raises(ValidationError, match="`variants` is a list of objects"):
        design(variants={"control": {}, "calm": {}})


def test_a_bad_variant_is_told_alone() -> None:
    good, bad = ({"name": name, "type": "control", "traffic_percentage": 50} for name in ("a", "b"))
    with pytest.raises(ValidationError) as caught:
        design(variants=[good, {**bad, "traffic_percentage": 101}])
    assert [each["loc"] for each in caught.value.errors()] == [("variants", 1, "traffic_percentage")]
    for count in (1, 11):
        with pytest.raises(ValidationError, match="at least 2 items and at most 10"):
            design(variants=[good] * count)
    schema = Design.model_json_schema()
    assert "'maxItems': 10, 'minItems': 2" in str({**schema["$defs"], **schema["properties"]})


def step(name: str) -> Callable[[Experiment], Experiment]:
    rules: dict[str, Callable[[Experiment], Experiment]] = {
        "start": lambda each: lifecycle.started(each, at=NOON, others=()),
        "pause": lambda each: lifecycle.paused(each, at=NOON),
        "resume": lambda each: lifecycle.resumed(each, at=NOON),
        "stop": lambda each: lifecycle.stopped(each, END, at=NOON),
        "kill": lambda each: lifecycle.killed(each, on=True, at=NOON),
        "force": lambda each: lifecycle.forcing(each, 7, "calm", at=NOON),
        "rephase": lambda each: lifecycle.rephased(
            each, {"control": 20, "calm": 80}, user_percentage=50, reason="", at=NOON
        ),
        "reword": lambda each: lifecycle.edited(each, {"description": "x"}, at=NOON),
        "redesign": lambda each: lifecycle.edited(each, {"user_percentage": 5}, at=NOON),
    }
    return rules[name]


ALLOWED = {
    "draft": {"start", "force", "reword", "redesign"},
    "running": {"pause", "stop", "kill", "force", "rephase", "reword"},
    "paused": {"resume", "stop", "kill", "force", "rephase", "reword"},
    "stopped": set[str](),
}
IN = {
    "draft": draft(),
    "running": running(),
    "paused": step("pause")(running()),
    "stopped": step("stop")(running()),
}


@pytest.mark.parametrize("status", ALLOWED)
@pytest.mark.parametrize("name", sorted(set().union(*ALLOWED.values())))
def test_what_may_be_done_in_which_state(status: str, name: str) -> None:
    before = IN[status]
    if name not in ALLOWED[status]:
        with pytest.raises(Conflict, match=status):
            step(name)(before)
    else:
        assert step(name)(before).version == before.version + 1


def test_a_new_phase_names_every_variant_and_sums_to_the_whole() -> None:
    for weights in ({"control": 50}, {"control": 50, "calm": 40}, {"control": 50, "calm": 25, "new": 25}):
        with pytest.raises(InvalidInput):
            lifecycle.rephased(running(), weights, user_percentage=None, reason="", at=NOON)
    phased = step("rephase")(running())
    assert [(each.number, each.weights, each.user_percentage) for each in phased.phases] == [
        (1, (50, 50), 100),
        (2, (20, 80), 50),
    ]


def test_two_experiments_cannot_run_on_one_part_of_a_namespace() -> None:
    half = running("exp_1", namespace=Namespace(name="chat", start=0, end=0.5))
    for start, ok in ((0.4, False), (0.5, True)):
        other = draft("exp_2", namespace=Namespace(name="chat", start=start, end=1))
        if ok:
            assert lifecycle.started(other, at=NOON, others=[half]).status == "running"
        else:
            with pytest.raises(Conflict, match="exp_1"):
                lifecycle.started(other, at=NOON, others=[half])


def test_a_killed_experiment_does_not_come_back_beside_another_one_on_its_part() -> None:
    """Records of older versions can hold both."""
    whole = Namespace(name="chat", start=0, end=1)
    killed = lifecycle.killed(running("exp_1", namespace=whole), on=True, at=NOON)
    with pytest.raises(Conflict, match="exp_2 runs"):
        lifecycle.killed(killed, on=False, at=NOON, others=[running("exp_2", namespace=whole)])
    assert lifecycle.killed(killed, on=True, at=NOON, others=[running("exp_2", namespace=whole)]).killed


def test_when_it_was_killed_is_remembered() -> None:
    killed = lifecycle.killed(lifecycle.killed(running(), on=True, at=after(1)), on=True, at=after(2))
    back = lifecycle.killed(killed, on=False, at=after(3))
    again = lifecycle.killed(back, on=True, at=after(5))
    assert [[each.was_killed(after(at)) for at in range(7)] for each in (killed, back, again)] == [
        [False, True, True, True, True, True, True],
        [False, True, True, False, False, False, False],
        [False, True, True, False, False, True, True],
    ]


def test_a_record_that_does_not_know_since_when_it_is_killed() -> None:
    old = running().model_copy(update={"killed": True})
    back = lifecycle.killed(old, on=False, at=after(3))
    assert [old.was_killed(NOON), back.was_killed(after(1)), back.was_killed(after(3))] == [True, True, False]


def test_a_tester_can_be_forced_and_let_go() -> None:
    forced = lifecycle.forcing(running(), 7, "calm", at=NOON)
    assert forced.forced == {"7": "calm"}
    assert lifecycle.forcing(forced, 7, None, at=NOON).forced == {}
    with pytest.raises(InvalidInput, match="There is no variant wild"):
        lifecycle.forcing(forced, 7, "wild", at=NOON)


def test_an_edit_is_checked_as_a_whole() -> None:
    with pytest.raises(InvalidInput, match="sum to"):
        lifecycle.edited(draft(), {"variants": (variant("a", 60, control=True), variant("b", 60))}, at=NOON)
