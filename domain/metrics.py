"""Metrics of experiments: what is counted, over what, and which way is better."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from domain.actions import Frozen
from domain.errors import InvalidInput

type MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
type Kind = Literal["proportion", "mean", "ratio"]
type Better = Literal["higher", "lower"]


class Metric(Frozen):
    """One figure that variants are compared by.

    Args:
        kind: `proportion`: the share of exposed users who did it at least once; `mean`: the sum of values per exposed
            user; `ratio`: the mean over events (runs, requests), with users as the unit that was randomised.
    """

    name: MetricName
    kind: Kind = "proportion"
    better: Better = "higher"


class Declared(Frozen):
    """A metric of conversions as an experiment declares it; see `Metric`."""

    name: MetricName
    kind: Literal["proportion", "mean"] = Field(
        "proportion", description="`proportion`: the share of users who did it; `mean`: the sum of values per user"
    )
    better: Better = "higher"


def _ratio(name: str, better: Better = "lower") -> Metric:
    return Metric(name=name, kind="ratio", better=better)


RUN_METRICS: dict[str, Metric] = {
    each.name: each
    for each in (
        _ratio("latency_ms"),
        _ratio("tokens"),
        _ratio("error_rate"),
        _ratio("breaker_refusals"),
        _ratio("degraded_rate"),
        _ratio("actions_per_run"),
        _ratio("retrieval_miss_rate"),
        _ratio("approval_asked_rate"),
        _ratio("approval_approved_rate", "higher"),
        _ratio("approval_edited_rate"),
        _ratio("approval_rejected_rate"),
        _ratio("approval_expired_rate"),
        _ratio("decide_seconds"),
        _ratio("config_mismatch_rate"),
        _ratio("config_without_effect_rate"),
    )
}
"""Measured at every run of an exposed user, by themselves; `docs/operations.md` says over what each one is taken."""

CLOSE = 0.8


def metrics_of(primary: str, declared: Iterable[Declared], guardrails: Iterable[str]) -> dict[str, Metric]:
    """Return every metric of an experiment by name, the primary one first.

    A primary metric that is neither declared nor a run's own is a proportion of conversions. Raises `InvalidInput` for
    names declared twice, a run's own name declared, and a guardrail nobody measures.
    """
    own = {each.name: Metric(**each.model_dump()) for each in declared}
    if taken := sorted(own.keys() & RUN_METRICS.keys()):
        raise InvalidInput(f"{taken[0]} is measured from the runs themselves; give your metric another name.")
    found = {primary: own.get(primary) or RUN_METRICS.get(primary) or _conversion(primary)}
    found |= own
    for name in guardrails:
        if name not in found and name not in RUN_METRICS:
            raise InvalidInput(f"The guardrail {name} is unknown. {known_metrics(found)}")
    return found | RUN_METRICS


def known_metrics(names: Iterable[str]) -> str:
    """Return the sentence that lists what can be named."""
    return f"Known are {', '.join(dict.fromkeys((*names, *RUN_METRICS)))}; others are declared under `metrics`."


def _conversion(name: str) -> Metric:
    if close := get_close_matches(name, RUN_METRICS, n=1, cutoff=CLOSE):
        raise InvalidInput(f"{name} is unknown; {close[0]} is measured. If it is yours, declare it under `metrics`.")
    return Metric(name=name)
