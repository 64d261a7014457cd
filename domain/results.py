"""Results: what an experiment has shown so far, and what that means in plain words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from domain.comparing import ALPHA, Comparison, broken, compared, treatments
from domain.experiments import Experiment
from domain.inference import (
    Difference,
    Estimate,
    chance_above,
    chance_to_beat,
    holm,
    normal,
    sample_ratio,
    stratified,
    two_proportions,
    welch,
)
from domain.metrics import Metric
from domain.power import users_for_means, users_for_shares
from domain.tallies import Key, Tally, pooled, tallied

type Json = dict[str, Any]

MISMATCH = 0.001
"""A split less likely than this is no accident: Fabijan et al. (2019)."""


def results(experiment: Experiment, days: Sequence[Mapping[str, Any]]) -> Json:
    """Return figures per variant, comparisons and the verdict; takes scipy, so call it in a thread."""
    tallies = tallied(days)
    wholes = {each.name: pooled(tallies, each.name) for each in experiment.variants}
    comparisons = _comparisons(experiment, tallies)
    split = _split(experiment, tallies, wholes)
    return {
        "users": sum(each.users for each in wholes.values()),
        "exposures": sum(each.exposures for each in wholes.values()),
        "late_conversions": sum(each.late for each in wholes.values()),
        "variants": [_variant(experiment, name, tally, wholes) for name, tally in wholes.items()],
        "comparisons": _told(experiment, comparisons),
        "sample_ratio": split,
        "power": _needed(experiment, wholes[experiment.control.name]),
        "verdict": verdict(experiment, tallies, comparisons, split),
    }


def _comparisons(experiment: Experiment, tallies: Mapping[Key, Tally]) -> list[Comparison]:
    names = treatments(experiment)
    seen = {name for tally in tallies.values() for name in tally.sums} | {experiment.metric}
    return [
        compared(experiment, tallies, variant, metric, claims=len(names))
        for metric in experiment.all_metrics.values()
        if metric.name in seen
        for variant in names
    ]


def _variant(experiment: Experiment, name: str, tally: Tally, wholes: Mapping[str, Tally]) -> Json:
    users = sum(each.users for each in wholes.values())
    return {
        "name": name,
        "type": experiment.variant(name).type,
        "users": tally.users,
        "share": tally.users / users if users else None,
        "exposures": tally.exposures,
        "late_conversions": tally.late,
        "metrics": {
            metric.name: {
                "value": tally.arm(metric).mean,
                "users": tally.arm(metric).users,
                "events": tally.six(metric.name)["n"],
                "total": tally.six(metric.name)["x"],
            }
            for metric in experiment.all_metrics.values()
            if metric.name in tally.sums or metric.name == experiment.metric
        },
    }


def _told(experiment: Experiment, comparisons: Sequence[Comparison]) -> list[Json]:
    """Return the comparisons with what one look says too, corrected for the number of variants."""
    looks = [_one_look(each) for each in comparisons]
    corrected: dict[int, float] = {}
    for name in {each.metric.name for each in comparisons}:
        places = [place for place, each in enumerate(comparisons) if each.metric.name == name]
        corrected |= dict(zip(places, holm([looks[place].p_value for place in places]), strict=True))
    return [
        {
            "variant": each.variant,
            "metric": each.metric.name,
            "kind": each.metric.kind,
            "wanted": each.metric.better,
            "difference": each.found.difference,
            "relative_change": _relative(each),
            "interval": _interval(each.found),
            "p_value": each.found.p_value,
            "one_look": {**_look(looks[place]), "p_value_corrected": corrected[place]},
            "chance_to_win": _chance(each),
            "judgement": each.judgement,
        }
        for place, each in enumerate(comparisons)
    ]


def _look(found: Estimate) -> Json:
    return {"interval": _interval(found), "p_value": found.p_value}


def _interval(found: Estimate) -> list[float] | None:
    return [found.low, found.high] if math.isfinite(found.low) and math.isfinite(found.high) else None


def _relative(comparison: Comparison) -> float | None:
    users = sum(one.users for one, _ in comparison.parts)
    base = sum(one.mean * one.users for one, _ in comparison.parts) / users if users else 0
    return comparison.found.difference / base if base else None


def _one_look(comparison: Comparison) -> Estimate:
    """Return what a test says that is made once, at the end: narrower, and wrong as soon as somebody peeks."""
    parts = [(one, two) for one, two in comparison.parts if one.users and two.users]
    if len(parts) != 1:
        return normal(stratified(comparison.parts), alpha=ALPHA)
    ((one, two),) = parts
    if comparison.metric.kind == "proportion":
        return two_proportions(
            (round(one.mean * one.users), one.users), (round(two.mean * two.users), two.users), alpha=ALPHA
        )
    return welch(one, two, alpha=ALPHA)


def _chance(comparison: Comparison) -> float:
    """Return the probability that the variant is the better one, before anybody corrected for peeking."""
    parts = [(one, two) for one, two in comparison.parts if one.users and two.users]
    if len(parts) == 1 and comparison.metric.kind == "proportion":
        ((one, two),) = parts
        above = chance_to_beat((round(one.mean * one.users), one.users), (round(two.mean * two.users), two.users))
    else:
        found: Difference = stratified(parts)
        above = chance_above(found)
    return above if comparison.metric.better == "higher" else 1 - above


def _split(experiment: Experiment, tallies: Mapping[Key, Tally], wholes: Mapping[str, Tally]) -> Json:
    """Return whether users came in the planned shares; over several phases the plan is the sum of theirs."""
    expected = dict.fromkeys(wholes, 0.0)
    for phase in experiment.phases:
        users = sum(tally.users for (number, _), tally in tallies.items() if number == phase.number)
        for variant, weight in zip(experiment.variants, phase.weights, strict=True):
            expected[variant.name] += users * weight / sum(phase.weights)
    if not sum(expected.values()) or not all(expected.values()):
        return {"p_value": None, "mismatch": False, "expected_users": expected}
    p_value = sample_ratio([each.users for each in wholes.values()], list(expected.values()))
    return {"p_value": p_value, "mismatch": p_value < MISMATCH, "expected_users": expected}


def _needed(experiment: Experiment, control: Tally) -> Json:
    """Return how many users per variant one look would need to find the change worth finding, four times in five."""
    metric: Metric = experiment.all_metrics[experiment.metric]
    arm = control.arm(metric)
    effect = arm.mean * experiment.minimum_effect
    needed = None
    if arm.users >= experiment.minimum_sample and effect and arm.variance:
        other = min(arm.mean + effect, 1 - 1e-9)
        needed = (
            users_for_shares(arm.mean, other) if metric.kind == "proportion" else users_for_means(arm.variance, effect)
        )
    return {"minimum_sample": experiment.minimum_sample, "minimum_effect": experiment.minimum_effect, "needed": needed}


def verdict(
    experiment: Experiment, tallies: Mapping[Key, Tally], comparisons: Sequence[Comparison], split: Json
) -> Json:
    """Return what may be concluded now, in one word, and why, in a sentence or two."""
    primary = [each for each in comparisons if each.metric.name == experiment.metric]
    wrong = _mismatched(experiment, tallies)
    if not any(tally.users for tally in tallies.values()):
        return _says("no_data", None, "Nobody has met a variant yet.")
    if split["mismatch"]:
        return _says(
            "invalid",
            None,
            f"The users did not come in the planned shares (p = {split['p_value']:.2g}): something loses or repeats "
            "users of one variant, and no figure here can be trusted until it is found.",
        )
    if wrong:
        return _says(
            "invalid",
            None,
            f"In {wrong} run{'s' if wrong > 1 else ''} the model was called with something else than the variant says.",
        )
    users = min(_users(tallies, each.name) for each in experiment.variants)
    if users < experiment.minimum_sample:
        missing = f"The smallest variant has {users} users, and {experiment.minimum_sample} are needed at least."
        return _says("too_early", None, missing)
    return _judged(experiment, tallies, primary)


def _judged(experiment: Experiment, tallies: Mapping[Key, Tally], primary: Sequence[Comparison]) -> Json:
    if worse := broken(experiment, tallies):
        return _says("guardrail", None, f"{worse.variant} is clearly worse in {_phrase(worse)}.")
    sign = 1 if experiment.all_metrics[experiment.metric].better == "higher" else -1
    better = sorted((each for each in primary if each.judgement == "better"), key=lambda each: sign * each.found[0])
    if better:
        best = better[-1]
        return _says("winner", best.variant, f"{best.variant} is better in {_phrase(best)}.")
    control = experiment.control.name
    if all(each.judgement == "worse" for each in primary):
        return _says("winner", control, f"{control} stays: every other variant is worse in {_phrase(primary[0])}.")
    widest = _phrase(primary[0])
    return _says("undecided", None, f"No difference can be told from chance yet: {primary[0].variant} in {widest}.")


def _phrase(comparison: Comparison) -> str:
    found, metric = comparison.found, comparison.metric
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return f"{metric.name}: no interval yet"
    scale, unit = (100, " points") if metric.kind == "proportion" or metric.name.endswith("_rate") else (1, "")
    return (
        f"{metric.name}: {found.difference * scale:+.3g}{unit} against the control, between {found.low * scale:+.3g} "
        f"and {found.high * scale:+.3g} with 95 % confidence at every look"
    )


def _says(status: str, winner: str | None, text: str) -> Json:
    return {"status": status, "winner": winner, "text": text}


def _users(tallies: Mapping[Key, Tally], variant: str) -> int:
    return sum(tally.users for (_, name), tally in tallies.items() if name == variant)


def _mismatched(experiment: Experiment, tallies: Mapping[Key, Tally]) -> int:
    return round(sum(tally.six("config_mismatch_rate")["x"] for tally in tallies.values()))
