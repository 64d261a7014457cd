"""Conversions: what users did that the server cannot see, each event once.

An event is recorded with a mark, added to the user's document under its id, and then loses the mark; killed in between,
it is found again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from pymongo.errors import DuplicateKeyError

from checkpoints.assignments import Assignments, Observation
from checkpoints.collections import Collection, Database, Document
from domain.assignment import Who
from domain.errors import Conflict, InvalidInput
from domain.experiments import Experiment
from domain.metrics import RUN_METRICS

type Uncounted = Literal["late", "killed", "forced", "switched_off"]
"""Why an event does not count: after the stop or the user's window, while nobody had a variant, or of a tester."""

_MARKED: Final[dict[str, Any]] = {"pending": {"$exists": True}}

AHEAD: Final = timedelta(minutes=5)
"""How far a caller's clock may be ahead of ours."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """One event as a caller tells it.

    Args:
        event_id: The same event told twice has the same; another user's, or one of another metric, is another event.
        occurred_at: When it happened.
    """

    metric: str
    value: float
    event_id: str
    occurred_at: datetime


@dataclass(frozen=True)
class Tracked:
    """What became of an event: what is stored of it, which for a repeated one is what was told first.

    Args:
        variant: The user's; None where nobody has one.
        repeated: Whether it was known.
        uncounted: Why it does not count; None where it does.
        recorded: Whether there is a record of it: one that is told again is known.
    """

    variant: str | None
    value: float
    repeated: bool = False
    uncounted: Uncounted | None = None
    recorded: bool = True


class Conversions:
    """The events."""

    def __init__(self, database: Database, assignments: Assignments) -> None:
        self._events: Collection = database["experiment_events"]
        self._assignments = assignments

    async def open(self) -> None:
        """Create the indexes."""
        await self._events.create_index("pending", partialFilterExpression=_MARKED)

    async def track(self, experiment: Experiment, who: Who, told: Conversion, *, now: datetime) -> Tracked:
        """Record an event of an exposed user; a tester's is not even recorded.

        Raises `InvalidInput` for a metric that takes no conversions or a time to come, `Conflict` for a user who has
        not met a variant before.
        """
        check(experiment, told, now=now)
        if forced := experiment.forced.get(str(who.user_id)):
            return Tracked(forced, told.value, uncounted="forced", recorded=False)
        user = await self._assignments.record(experiment.experiment_id, who)
        exposed_at = user.get("exposed_at") if user else None
        if user is None or exposed_at is None or told.occurred_at < exposed_at - AHEAD:
            raise Conflict(
                f"User {who.user_id} of {who.owner} had not met a variant of this experiment: no conversion before "
                "the exposure."
            )
        late = told.occurred_at > exposed_at + timedelta(days=experiment.conversion_window_days)
        event = _event(experiment, who, told, late=late or _is_over(experiment, told), now=now)
        stored = await self._recorded(event)
        repeated = "pending" not in stored
        if not repeated:
            await self._add(stored)
        return Tracked(user["variant"], stored["value"], repeated, _uncounted(stored))

    async def catch_up(self) -> set[str]:
        """Add what a crash left recorded and not added, and return whose experiments those are."""
        left = await self._events.find(_MARKED).limit(1_000).to_list()
        for each in left:
            await self._add(each)
        return {each["experiment_id"] for each in left}

    async def _recorded(self, event: Document) -> Document:
        """Record an event unless it is there, and return the record; without a mark it was added before."""
        if known := await self._events.find_one(_as_before(event)):
            return known
        try:
            await self._events.insert_one(event)
        except DuplicateKeyError:
            return await self._events.find_one({"_id": event["_id"]}) or event
        return event

    async def _add(self, event: Document) -> None:
        sums = {} if _uncounted(event) else {event["metric"]: (1.0, event["value"])}
        seen = Observation(event["_id"], sums, late=int(event["late"]))
        await self._assignments.observe(event["experiment_id"], event["user"], seen, at=event["occurred_at"])
        await self._events.update_one({"_id": event["_id"]}, {"$unset": {"pending": ""}})


def check(experiment: Experiment, told: Conversion, *, now: datetime) -> None:
    """Return if an event can be one of the experiment's; raises `InvalidInput`, and `Conflict` for a draft's."""
    if told.metric in RUN_METRICS:
        raise InvalidInput(f"{told.metric} is measured from the runs themselves; it takes no conversions.")
    if told.metric not in experiment.all_metrics:
        known = [name for name in experiment.all_metrics if name not in RUN_METRICS]
        raise InvalidInput(f"{told.metric} is no metric of this experiment. Known are {', '.join(known) or 'none'}.")
    if told.occurred_at > now + AHEAD:
        raise InvalidInput("occurred_at lies in the future.")
    if experiment.status == "draft":
        raise Conflict("The experiment has not been started.")


def _is_over(experiment: Experiment, told: Conversion) -> bool:
    return experiment.stopped_at is not None and told.occurred_at > experiment.stopped_at


def _uncounted(event: Document) -> Uncounted | None:
    if event["late"]:
        return "late"
    return "killed" if event.get("killed") else None


def _as_before(event: Document) -> Document:
    """Return the query for the same event as older versions recorded it: under an id without user and metric."""
    same = {"user": event["user"], "metric": event["metric"]}
    return {"_id": f"{event['experiment_id']}/{event['event_id']}", **same}


def _event(experiment: Experiment, who: Who, told: Conversion, *, late: bool, now: datetime) -> Document:
    return {
        "_id": f"{experiment.experiment_id}/{who.unit}/{told.metric}/{told.event_id}",
        "experiment_id": experiment.experiment_id,
        "event_id": told.event_id,
        "user": who.unit,
        "metric": told.metric,
        "value": told.value,
        "occurred_at": told.occurred_at,
        "received_at": now,
        "late": late,
        "killed": experiment.was_killed(told.occurred_at),
        "pending": True,
    }
