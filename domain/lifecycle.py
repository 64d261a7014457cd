"""The life cycle of an experiment: every change as a pure rule, and what may be changed when.

draft -> running <-> paused
running | paused -> stopped
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.errors import Conflict, InvalidInput
from domain.experiments import Conclusion, Experiment, Kill, Phase, Status, check_weights


def _needs(experiment: Experiment, *statuses: Status, to: str) -> None:
    if experiment.status not in statuses:
        raise Conflict(f"The experiment is {experiment.status}; only one that is {' or '.join(statuses)} can be {to}.")


def _changed(experiment: Experiment, at: datetime, **changes: Any) -> Experiment:
    return experiment.model_copy(update={**changes, "updated_at": at, "version": experiment.version + 1})


def started(experiment: Experiment, *, at: datetime, others: Sequence[Experiment]) -> Experiment:
    """Return a draft running; raises `Conflict`, also where another one runs on its part of the namespace."""
    _needs(experiment, "draft", to="started")
    _check_room(experiment, others)
    weights = tuple(each.traffic_percentage for each in experiment.variants)
    phase = Phase(number=1, weights=weights, user_percentage=experiment.user_percentage, started_at=at)
    return _changed(experiment, at, status="running", started_at=at, phases=(phase,))


def _check_room(experiment: Experiment, others: Sequence[Experiment]) -> None:
    for other in others:
        if experiment.namespace and other.namespace and experiment.namespace.overlaps(other.namespace):
            raise Conflict(f"{other.experiment_id} runs on the same part of the namespace {other.namespace.name}.")


def paused(experiment: Experiment, *, at: datetime) -> Experiment:
    """Return it taking nobody new: who has a variant keeps it and is measured on. Raises `Conflict`."""
    _needs(experiment, "running", to="paused")
    return _changed(experiment, at, status="paused")


def resumed(experiment: Experiment, *, at: datetime) -> Experiment:
    """Return it taking users again; raises `Conflict`."""
    _needs(experiment, "paused", to="resumed")
    return _changed(experiment, at, status="running")


def check_stoppable(experiment: Experiment) -> None:
    """Return if it can be ended; raises `Conflict`."""
    _needs(experiment, "running", "paused", to="stopped")


def stopped(experiment: Experiment, conclusion: Conclusion, *, at: datetime) -> Experiment:
    """Return it ended for good; raises `Conflict`."""
    _needs(experiment, "running", "paused", to="stopped")
    return _changed(experiment, at, status="stopped", stopped_at=at, conclusion=conclusion)


def killed(experiment: Experiment, *, on: bool, at: datetime, others: Sequence[Experiment] = ()) -> Experiment:
    """Return it with everybody on the server's own configuration, or no longer so; raises `Conflict`.

    Args:
        others: Those that give variants now: one of them on the same part of its namespace keeps it from coming back.
    """
    _needs(experiment, "running", "paused", to="killed")
    if not on:
        _check_room(experiment, others)
    return _changed(experiment, at, killed=on, kills=_kills(experiment, on=on, at=at))


def _kills(experiment: Experiment, *, on: bool, at: datetime) -> tuple[Kill, ...]:
    if on == experiment.killed:
        return experiment.kills
    if on:
        return (*experiment.kills, Kill(since=at))
    *before, last = experiment.kills or (Kill(since=experiment.updated_at),)
    return (*before, Kill(since=last.since, until=at))


def forcing(experiment: Experiment, user_id: int, variant: str | None, *, at: datetime) -> Experiment:
    """Return it with a tester on a variant, or on none in particular; raises `Conflict` and `InvalidInput`."""
    _needs(experiment, "draft", "running", "paused", to="changed")
    others = {key: value for key, value in experiment.forced.items() if key != str(user_id)}
    if variant is not None:
        others[str(user_id)] = experiment.variant(variant).name
    if len(others) > 1_000:
        raise InvalidInput("An experiment takes a thousand testers at most.")
    return _changed(experiment, at, forced=others)


def rephased(
    experiment: Experiment, weights: Mapping[str, float], *, user_percentage: float | None, reason: str, at: datetime
) -> Experiment:
    """Return it with other weights from now on; who is assigned stays. Raises `Conflict` and `InvalidInput`."""
    _needs(experiment, "running", "paused", to="given a new phase")
    names = [each.name for each in experiment.variants]
    if set(weights) != set(names):
        raise InvalidInput(f"Give a weight for each of {', '.join(names)}, and for nothing else.")
    ordered = tuple(weights[name] for name in names)
    check_weights(ordered)
    share = experiment.phase.user_percentage if user_percentage is None else user_percentage
    number = experiment.phase.number + 1
    phase = Phase(number=number, weights=ordered, user_percentage=share, started_at=at, reason=reason)
    return _changed(experiment, at, phases=(*experiment.phases, phase))


FREE = frozenset({"name", "description", "hypothesis"})
"""What may be edited while it runs: what decides who gets what, and what counts, may not."""


def edited(experiment: Experiment, changes: dict[str, Any], *, at: datetime) -> Experiment:
    """Return it with other words, or, as a draft, with another design. Raises `Conflict` and `InvalidInput`."""
    _needs(experiment, "draft", "running", "paused", to="edited")
    if experiment.status != "draft" and (locked := sorted(changes.keys() - FREE)):
        ways = "a new phase changes weights and user_percentage" if {*locked} & {"variants", "user_percentage"} else ""
        raise Conflict(f"{locked[0]} of an experiment that is {experiment.status} cannot be edited. {ways}".strip())
    changed = _changed(experiment, at, **changes)
    changed.check()
    return changed
