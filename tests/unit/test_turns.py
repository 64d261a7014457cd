"""Turns go round: nobody's long work keeps others waiting, and of one document one job at a time."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from domain.knowledge import Job
from graph.knowledge.turns import Turns

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(number: int, owner: str = "ann", document_id: str = "") -> Job:
    return Job(
        job_id=f"job_{number}", kind="ingest", owner=owner, document_id=document_id or f"doc_{number}",
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip


async def worked(turns: Turns, one: Job, steps: int, seen: list[str]) -> None:
    async with turns.hold(one):
        for _ in range(steps):
            seen.append(one.job_id)
            await asyncio.sleep(0)
            await turns.pass_on(one)


async def test_a_short_job_is_done_before_long_ones_that_came_first() -> None:
    turns, seen = Turns(2), list[str]()
    await asyncio.gather(*(worked(turns, job(number), 50 if number < 4 else 1, seen) for number in (1, 2, 3, 4)))
    assert seen.index("job_4") < 10
    assert {name: seen.count(name) for name in set(seen)} == {"job_1": 50, "job_2": 50, "job_3": 50, "job_4": 1}


async def test_an_owner_with_nothing_under_way_goes_first() -> None:
    turns, seen = Turns(2), list[str]()
    order = [job(1), job(2), job(3), job(4, "bob")]
    await asyncio.gather(*(worked(turns, each, 2, seen) for each in order))
    assert seen.index("job_4") < seen.index("job_3")


async def test_jobs_of_one_document_never_overtake_each_other() -> None:
    turns, seen = Turns(2), list[str]()
    jobs = [job(1, document_id="x"), job(2, document_id="x"), job(3), job(4, document_id="x")]
    await asyncio.gather(*(worked(turns, each, 5, seen) for each in jobs))
    of_one = [name for name in seen if name != "job_3"]
    assert of_one == ["job_1"] * 5 + ["job_2"] * 5 + ["job_4"] * 5


async def test_who_leaves_while_waiting_keeps_nobody() -> None:
    turns, seen = Turns(1), list[str]()
    tasks = [asyncio.create_task(worked(turns, job(number), 20, seen)) for number in range(4)]
    for task in tasks[:3]:
        await asyncio.sleep(0)
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks[:3])
    async with asyncio.timeout(5):
        await tasks[3]
        await worked(turns, job(9), 1, seen)
    assert (seen.count("job_3"), seen[-1]) == (20, "job_9")
