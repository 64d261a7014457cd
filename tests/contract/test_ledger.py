"""What the ledger promises, in both forms of the document store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checkpoints.collections import Database
from checkpoints.ledger import Ledger
from domain.actions import Result
from tests.documents import OPENERS, Opener
from tests.records import action, after, result


@pytest.fixture(params=OPENERS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opener: Opener = request.param
    async with opener(tmp_path) as opened:
        yield opened


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    entries = Ledger(database)
    await entries.open()
    return entries


async def begun(ledger: Ledger, name: str = "act_1") -> tuple[bool, Result | None]:
    return await ledger.begin(action(name), run_id="run_1", key=f"key-{name}", at=after(0))


async def test_an_action_begins_once(ledger: Ledger) -> None:
    assert await begun(ledger) == (True, None)
    assert await begun(ledger) == (False, None)
    assert await begun(ledger, "act_2") == (True, None)


async def test_one_of_25_at_the_same_moment_begins_an_action(ledger: Ledger) -> None:
    answers = await asyncio.gather(*(begun(ledger) for _ in range(25)))
    assert sorted(first for first, _ in answers) == [False] * 24 + [True]


async def test_what_came_of_an_action_is_told_to_who_begins_it_again(ledger: Ledger) -> None:
    await begun(ledger)
    await ledger.finish(action("act_1"), result("act_1", duration_ms=1.5), at=after(1))
    assert await begun(ledger) == (False, result("act_1", duration_ms=1.5))


async def test_the_first_outcome_stays(ledger: Ledger) -> None:
    await begun(ledger)
    await ledger.finish(action("act_1"), result("act_1"), at=after(1))
    await ledger.finish(action("act_1"), result("act_1", outcome="failed", http_status=500), at=after(2))
    assert await begun(ledger) == (False, result("act_1"))


async def test_an_outcome_without_an_intent_is_not_recorded(ledger: Ledger) -> None:
    await ledger.finish(action("act_1"), result("act_1"), at=after(1))
    assert await begun(ledger) == (True, None)


async def test_the_intent_says_what_is_sent_under_which_key(ledger: Ledger, database: Database) -> None:
    await begun(ledger)
    fields = ["key", "action", "state", "begun_at", "result"]
    assert await database["ledger"].find_one({"run_id": "run_1"}, fields) == {
        "_id": f"act_1-{action('act_1').digest[:32]}",
        "key": "key-act_1",
        "action": action("act_1").model_dump(),
        "state": "intent",
        "begun_at": after(0),
        "result": None,
    }


async def test_another_action_at_the_same_place_of_a_run_is_another_entry(ledger: Ledger) -> None:
    other = action("act_1").model_copy(update={"digest": "d" * 64})
    assert await begun(ledger) == (True, None)
    assert await ledger.begin(other, run_id="run_1", key="other", at=after(0)) == (True, None)


async def test_a_run_that_ends_leaves_nothing_open(ledger: Ledger) -> None:
    done = Result(action_id="act_1", outcome="executed", http_status=201)
    await begun(ledger)
    await ledger.finish(action("act_1"), done, at=after(1))
    await ledger.begin(action("act_2"), run_id="run_1", key="key-act_2", at=after(0))
    results = await ledger.settle("run_1", at=after(2))
    assert results["act_1"] == done
    assert results["act_2"].outcome == "unknown"
    assert await ledger.settle("run_1", at=after(3)) == results
