"""What the run records promise, in both forms of the document store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checkpoints.runs import Runs
from domain.errors import Duplicate, NotFound
from domain.runs import Run
from tests.documents import OPENERS, Opener
from tests.records import NOON, after, run


@pytest.fixture(params=OPENERS)
async def runs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Runs]:
    opener: Opener = request.param
    async with opener(tmp_path) as database:
        records = Runs(database)
        await records.open()
        yield records


async def added(runs: Runs, *records: Run) -> None:
    for record in records:
        await runs.add(record)


async def ended(runs: Runs, record: Run) -> None:
    assert await runs.leave(record, "completed", at=after(1), reply={"reply": "done"})


async def test_a_run_comes_back_as_it_was_recorded(runs: Runs) -> None:
    record = run("run_1", reply={"a": [1, 2.5, None, "é"]}, error={"error": "x"})
    await runs.add(record)
    assert await runs.get("run_1") == await runs.active("thr_1") == record


async def test_a_run_is_for_its_owner(runs: Runs) -> None:
    await runs.add(run("run_1", owner="ann"))
    assert (await runs.get("run_1", owner="ann")).run_id == "run_1"
    for run_id, owner in (("run_1", "bob"), ("run_2", "ann"), ("run_2", None)):
        with pytest.raises(NotFound):
            await runs.get(run_id, owner=owner)


async def test_a_thread_has_one_active_run(runs: Runs) -> None:
    first = run("run_1")
    await runs.add(first)
    with pytest.raises(Duplicate):
        await runs.add(run("run_2"))
    await runs.add(run("run_3", thread="thr_2"))
    await ended(runs, first)
    assert await runs.active("thr_1") is None
    await runs.add(run("run_2"))


async def test_a_run_that_waits_keeps_its_thread(runs: Runs) -> None:
    await runs.add(run("run_1"))
    assert await runs.leave(run("run_1"), "awaiting_approval", at=after(1))
    with pytest.raises(Duplicate):
        await runs.add(run("run_2"))


async def test_one_of_25_runs_gets_the_thread(runs: Runs) -> None:
    adding = (runs.add(run(f"run_{number:02}")) for number in range(25))
    refused = [each for each in await asyncio.gather(*adding, return_exceptions=True) if each is not None]
    assert [type(each) for each in refused] == [Duplicate] * 24
    assert len(await runs.page(owner=None)) == 1


async def test_a_run_that_is_recorded_again_is_the_same_run(runs: Runs) -> None:
    await added(runs, run("run_1"), run("run_1"))
    assert len(await runs.page(owner=None)) == 1


async def test_one_of_25_replicas_takes_a_run(runs: Runs) -> None:
    await runs.add(run("run_1"))
    takes = await asyncio.gather(*(runs.take(run("run_1"), at=after(number)) for number in range(25)))
    won = [taken for taken in takes if taken]
    assert [taken.attempt for taken in won] == [2]
    assert await runs.get("run_1") == won[0]


async def test_a_run_that_waits_is_taken_up_again(runs: Runs) -> None:
    await runs.add(run("run_1"))
    waiting = await runs.leave(run("run_1"), "awaiting_approval", at=after(1), reply={"reply": "wait"})
    assert waiting
    taken = await runs.take(waiting, at=after(2))
    assert taken == waiting.model_copy(update={"status": "running", "attempt": 2, "updated_at": after(2)})


async def test_who_lost_the_attempt_writes_nothing(runs: Runs) -> None:
    await runs.add(run("run_1"))
    taken = await runs.take(run("run_1"), at=after(1))
    assert await runs.leave(run("run_1"), "failed", at=after(2), error={"error": "late"}) is None
    assert await runs.get("run_1") == taken


async def test_a_run_ends_once(runs: Runs) -> None:
    await runs.add(run("run_1"))
    ends = await asyncio.gather(
        runs.leave(run("run_1"), "completed", at=after(1), reply={"reply": "done"}),
        runs.leave(run("run_1"), "cancelled", at=after(2)),
    )
    assert [each for each in ends if each] == [await runs.get("run_1")]
    assert await runs.take(run("run_1"), at=after(3)) is None


async def test_pages_are_newest_first_and_go_on_behind_the_last(runs: Runs) -> None:
    await added(runs, *(run(f"run_{n}", thread=f"thr_{n}", owner="ann" if n % 2 else "bob") for n in range(7)))
    first = await runs.page(owner="ann", limit=2)
    second = await runs.page(owner="ann", limit=2, before=first[-1].run_id)
    assert [[each.run_id for each in page] for page in (first, second)] == [["run_5", "run_3"], ["run_1"]]
    assert [each.run_id for each in await runs.page(owner=None, thread_id="thr_4", user_id=1)] == ["run_4"]
    assert await runs.page(owner=None, user_id=2) == []


async def test_the_unfinished_are_listed_oldest_first(runs: Runs) -> None:
    await added(runs, *(run(f"run_{n}", thread=f"thr_{n}", at=NOON) for n in (2, 0, 1)))
    await ended(runs, run("run_1"))
    assert [each.run_id for each in await runs.unfinished("running")] == ["run_0", "run_2"]
    assert await runs.unfinished("awaiting_approval") == []
