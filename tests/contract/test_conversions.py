"""What conversions promise, in both forms of the document store: each event counts, once, as it was told first."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from checkpoints.assignments import Assignments
from checkpoints.collections import Database
from checkpoints.conversions import Conversion, Conversions
from domain import lifecycle
from domain.assignment import Who
from domain.metrics import Declared
from tests.documents import OPENERS, Opener
from tests.experimenting import running
from tests.records import NOON, after

EXPERIMENT = running(metrics=(Declared(name="spend", kind="mean"),))
EXPERIMENT_ID = EXPERIMENT.experiment_id


@pytest.fixture(params=OPENERS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opener: Opener = request.param
    async with opener(tmp_path) as opened:
        yield opened


async def exposed(database: Database, *users: Who) -> Conversions:
    assignments = Assignments(database)
    await assignments.open()
    for each in users:
        await assignments.assign(EXPERIMENT_ID, each, variant="calm", phase=1, at=NOON)
        await assignments.expose(EXPERIMENT_ID, each, at=NOON)
    conversions = Conversions(database, assignments)
    await conversions.open()
    return conversions


def told(metric: str = "spend", value: float = 1, *, at: datetime = NOON, name: str = "order-1") -> Conversion:
    return Conversion(metric=metric, value=value, event_id=name, occurred_at=at)


async def sums(database: Database, who: Who) -> dict[str, Any]:
    user = await Assignments(database).record(EXPERIMENT_ID, who)
    found: dict[str, Any] = (user or {}).get("sums", {})
    return found


ANN, SECOND, BOB = Who("ann", 1), Who("ann", 2), Who("bob", 1)


async def test_the_same_id_of_others_and_of_another_metric_is_another_event(database: Database) -> None:
    conversions = await exposed(database, ANN, SECOND, BOB)
    for who in (ANN, SECOND, BOB):
        for metric in ("spend", "conversion"):
            assert not (await conversions.track(EXPERIMENT, who, told(metric), now=NOON)).repeated
    for who in (ANN, SECOND, BOB):
        assert await sums(database, who) == {"spend": {"n": 1, "x": 1}, "conversion": {"n": 1, "x": 1}}


async def test_an_event_told_again_stays_as_it_was_told_first(database: Database) -> None:
    conversions = await exposed(database, ANN)
    first = await conversions.track(EXPERIMENT, ANN, told(value=1), now=NOON)
    ended = EXPERIMENT.model_copy(update={"stopped_at": after(5)})
    again = await conversions.track(ended, ANN, told(value=5, at=after(9)), now=after(9))
    assert (first.value, first.uncounted, first.repeated) == (1, None, False)
    assert (again.value, again.uncounted, again.repeated) == (1, None, True)
    assert await sums(database, ANN) == {"spend": {"n": 1, "x": 1}}


async def test_what_happened_while_nobody_had_a_variant_does_not_count(database: Database) -> None:
    conversions = await exposed(database, ANN)
    killed = lifecycle.killed(EXPERIMENT, on=True, at=after(10))
    back = lifecycle.killed(killed, on=False, at=after(20))
    found = [
        await conversions.track(experiment, ANN, told(at=after(at), name=name), now=after(at))
        for experiment, at, name in (
            (killed, 5, "a"),
            (killed, 15, "b"),
            (back, 15, "c"),
            (back, 15, "b"),
            (back, 20, "d"),
        )
    ]
    assert [each.uncounted for each in found] == [None, "killed", "killed", "killed", None]
    assert await sums(database, ANN) == {"spend": {"n": 2, "x": 2}}


async def test_an_event_of_an_older_version_is_known(database: Database) -> None:
    conversions = await exposed(database, ANN, SECOND)
    before = {
        "_id": f"{EXPERIMENT_ID}/order-1",
        "experiment_id": EXPERIMENT_ID,
        "user": ANN.unit,
        "metric": "spend",
        "value": 3,
        "occurred_at": NOON,
        "received_at": NOON,
        "late": False,
    }
    await database["experiment_events"].insert_one(before)
    again = await conversions.track(EXPERIMENT, ANN, told(), now=NOON)
    other = await conversions.track(EXPERIMENT, SECOND, told(), now=NOON)
    assert (again.value, again.repeated, other.value, other.repeated) == (3, True, 1, False)


async def test_what_was_killed_after_it_was_recorded_is_added(database: Database) -> None:
    conversions = await exposed(database, ANN)
    await conversions.track(EXPERIMENT, ANN, told(), now=NOON)
    (event,) = await database["experiment_events"].find().to_list()
    await database["experiment_events"].delete_one({"_id": event["_id"]})
    await database["experiment_events"].insert_one({**event, "_id": f"{event['_id']}b", "pending": True})
    assert await conversions.catch_up() == {EXPERIMENT_ID}
    assert await sums(database, ANN) == {"spend": {"n": 2, "x": 2}}
    assert await conversions.catch_up() == set()
