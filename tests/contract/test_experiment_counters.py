"""What the counters promise, in both forms of the document store: each thing a user did counts, and counts once."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from checkpoints.assignments import Assignments, Observation
from checkpoints.collections import Database
from checkpoints.counters import Counters, _journal
from domain.assignment import Who
from domain.experiments import Experiment
from domain.metrics import Declared
from domain.tallies import Tally, added, tallied
from tests.documents import OPENERS, Opener
from tests.experimenting import running
from tests.records import NOON

EXPERIMENT = running(metrics=(Declared(name="spend", kind="mean"),))


@pytest.fixture(params=OPENERS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opener: Opener = request.param
    async with opener(tmp_path) as opened:
        await Assignments(opened).open()
        await Counters(opened, clock=now).open()
        yield opened


def now() -> datetime:
    return NOON


async def assigned(database: Database, count: int) -> Assignments:
    assignments = Assignments(database)
    for number in range(count):
        variant = ("control", "calm")[number % 2]
        await assignments.assign(EXPERIMENT.experiment_id, Who("ann", number), variant=variant, phase=1, at=NOON)
    return assignments


async def did(assignments: Assignments, user: int, name: str, **sums: tuple[float, float]) -> bool:
    seen = Observation(name, sums, exposures=1)
    return await assignments.observe(EXPERIMENT.experiment_id, f"ann/{user}", seen, at=NOON)


async def tallies(database: Database, experiment: Experiment = EXPERIMENT) -> Mapping[Any, Tally]:
    return tallied(await Counters(database, clock=now).of(experiment.experiment_id))


async def recounted(database: Database) -> dict[Any, Tally]:
    """Return what the counters must say: everything added up from the users' documents anew."""
    found: dict[Any, Tally] = {}
    for user in await database["user_assignments"].find().to_list():
        changes = added({}, user, EXPERIMENT.all_metrics)
        day: dict[str, Any] = {"sums": {}}
        for path, value in changes.items():
            if path.startswith("sums."):
                _, name, each = path.split(".")
                day["sums"].setdefault(name, {})[each] = value
            else:
                day[path] = value
        found.setdefault((user["phase"], user["variant"]), Tally()).add(day)
    return found


async def test_what_users_do_is_added_up_as_their_metrics_ask(database: Database) -> None:
    assignments = await assigned(database, 2)
    for number in range(3):
        await did(assignments, 1, f"c{number}", conversion=(1, 1), spend=(1, 10), latency_ms=(1, 100 * number))
    await Counters(database, clock=now).fold(EXPERIMENT)
    calm = (await tallies(database))[1, "calm"]
    assert (calm.users, calm.exposures) == (1, 3)
    assert calm.six("conversion") == {"u": 1, "n": 1, "x": 1, "nn": 1, "xx": 1, "xn": 1}
    assert calm.six("spend") == {"u": 1, "n": 3, "x": 30, "nn": 9, "xx": 900, "xn": 90}
    assert calm.six("latency_ms") == {"u": 1, "n": 3, "x": 300, "nn": 9, "xx": 90_000, "xn": 900}


async def test_a_value_of_nothing_is_no_conversion(database: Database) -> None:
    assignments = await assigned(database, 4)
    await did(assignments, 0, "c0", conversion=(1, 0), spend=(1, 0))
    await did(assignments, 2, "c2", conversion=(1, 0))
    await did(assignments, 2, "c3", conversion=(1, 1))
    await Counters(database, clock=now).fold(EXPERIMENT)
    control = (await tallies(database))[1, "control"]
    assert control.six("conversion")["x"] == 1
    assert control.six("spend") == {"u": 1, "n": 1, "x": 0, "nn": 1, "xx": 0, "xn": 0}


async def test_the_same_observation_twice_counts_once(database: Database) -> None:
    assignments = await assigned(database, 1)
    first = [await did(assignments, 0, "run_1", spend=(1, 5)) for _ in range(2)]
    counters = Counters(database, clock=now)
    await counters.fold(EXPERIMENT)
    await did(assignments, 0, "run_1", spend=(1, 5))
    await counters.fold(EXPERIMENT)
    assert first == [True, False]
    assert (await tallies(database))[1, "control"].six("spend")["x"] == 5


async def test_who_has_no_assignment_is_not_counted(database: Database) -> None:
    assignments = await assigned(database, 1)
    assert not await did(assignments, 7, "run_1", spend=(1, 5))


@pytest.mark.parametrize("done", ["journal", "counters", "half of the users", "users"])
async def test_a_fold_that_was_killed_is_finished_once(database: Database, done: str) -> None:
    assignments = await assigned(database, 4)
    for number in range(4):
        await did(assignments, number, "run_1", spend=(1, 5))
    counters = Counters(database, clock=now)
    marked = await database["user_assignments"].find({"unfolded": EXPERIMENT.experiment_id}).to_list()
    journal = _journal(EXPERIMENT, marked, day="2026-11-01")
    await database["experiment_journal"].insert_one(journal)
    if done != "journal":
        for change in journal["changes"]:
            await counters._count(change, journal["batch"])
    users = {"half of the users": 2, "users": 4}.get(done, 0)
    for user in journal["users"][:users]:
        await counters._release(user)
    await did(assignments, 0, "run_2", spend=(1, 7))
    await Counters(database, clock=now).fold(EXPERIMENT)
    assert await tallies(database) == await recounted(database)
    assert await database["user_assignments"].count_documents({"unfolded": EXPERIMENT.experiment_id}) == 0
    assert await database["experiment_journal"].count_documents({}) == 0


async def test_servers_that_fold_at_once_while_users_go_on_count_everything_once(database: Database) -> None:
    chance = random.Random(7)  # noqa: S311 # repeatable
    assignments = await assigned(database, 12)
    servers = [Counters(database, clock=now) for _ in range(3)]

    async def busy(turn: int) -> None:
        sums = {"spend": (1, chance.randint(0, 9)), "conversion": (1, 1), "latency_ms": (1, chance.randint(1, 99))}
        await did(assignments, chance.randrange(12), f"run_{turn % 50}", **sums)

    for start in range(0, 90, 15):
        folds = [server.fold(EXPERIMENT) for server in servers]
        await asyncio.gather(*folds, *(busy(turn) for turn in range(start, start + 15)))
    await servers[0].fold(EXPERIMENT)
    assert await tallies(database) == await recounted(database)


async def test_a_fold_that_wakes_up_late_changes_nothing_any_more(database: Database) -> None:
    assignments = await assigned(database, 1)
    await did(assignments, 0, "run_1", spend=(1, 5))
    slow, other = (Counters(database, clock=now) for _ in range(2))
    marked = await database["user_assignments"].find({"unfolded": EXPERIMENT.experiment_id}).to_list()
    journal = _journal(EXPERIMENT, marked, day="2026-11-01")
    await database["experiment_journal"].insert_one(journal)
    await other.fold(EXPERIMENT)
    await did(assignments, 0, "run_2", spend=(1, 7))
    await other.fold(EXPERIMENT)
    await slow._carry_out(journal)
    await did(assignments, 0, "run_3", spend=(1, 9))
    await other.fold(EXPERIMENT)
    assert await tallies(database) == await recounted(database)
