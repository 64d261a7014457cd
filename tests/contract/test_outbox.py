"""Everything that happens is told to everybody once it is collected, whoever collects and sends, in both stores."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from checkpoints.approvals import Approvals
from checkpoints.collections import Database
from checkpoints.outbox import CLAIM, Outbox
from tests.documents import OPENERS, Opener
from tests.records import after, request, verdict

URLS = ("http://a/", "http://b/")


@dataclass
class Told:
    """The records, and two processes that tell of them."""

    database: Database
    approvals: Approvals
    outbox: Outbox
    other: Outbox

    async def types(self) -> dict[str, list[str]]:
        """Collect what is left, see that no mark stays, and return what each request's first receiver is told."""
        while await self.outbox.collect(after(99)):
            pass
        assert await self.database["approvals"].count_documents({"untold": {"$exists": True}}) == 0
        found, total = await self.outbox.page(skip=0, limit=1_000)
        assert total == len(found) == 2 * sum(each.url == URLS[0] for each in found)
        told: dict[str, list[str]] = {}
        for each in sorted(found, key=lambda delivery: delivery.at):
            if each.url == URLS[0]:
                told.setdefault(each.request_id, []).append(each.type.removeprefix("approval."))
        return told


@pytest.fixture(params=OPENERS)
async def told(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Told]:
    opener: Opener = request.param
    async with opener(tmp_path) as database:
        approvals = Approvals(database, announces=True)
        outbox, other = Outbox(database, URLS), Outbox(database, URLS)
        for each in (approvals, outbox):
            await each.open()
        yield Told(database, approvals, outbox, other)


async def test_what_happens_while_it_is_collected_is_told_too_and_once(told: Told) -> None:
    async def lived_through(name: str) -> None:
        await told.approvals.ask(request(name, quorum=2))
        for number in (1, 2):
            said = verdict(approver_id=number, by=f"key-{number}", at=after(number))
            await asyncio.gather(
                told.approvals.decide(name, said, owner=None),
                told.outbox.collect(after(9)),
                told.other.collect(after(9)),
            )

    names = [f"apr_{number}" for number in range(10)]
    await asyncio.gather(*map(lived_through, names))
    assert await told.types() == {name: ["requested", "voted", "decided"] for name in names}


async def test_a_decision_made_while_its_request_is_told_is_not_forgotten(told: Told) -> None:
    names = [f"apr_{number:02}" for number in range(20)]
    for name in names:
        await told.approvals.ask(request(name))
    deciding = [told.approvals.decide(name, verdict(at=after(1)), owner=None) for name in names]
    await asyncio.gather(told.outbox.collect(after(2)), *deciding)
    assert await told.types() == {name: ["requested", "decided"] for name in names}


async def test_a_process_that_ended_before_it_removed_the_mark_tells_nothing_twice(told: Told) -> None:
    await told.approvals.ask(request("apr_1"))
    await told.outbox.collect(after(1))
    forgotten = {"$set": {"untold": True}, "$unset": {"told": ""}}
    await told.database["approvals"].update_one({"_id": "apr_1"}, forgotten)
    assert await told.types() == {"apr_1": ["requested"]}


async def test_a_cancelled_request_is_told_of_with_or_without_a_time(told: Told) -> None:
    for number, at in ((1, None), (2, after(3))):
        await told.approvals.ask(request(f"apr_{number}", run_id=f"run_{number}"))
        await told.approvals.cancel(f"run_{number}", at=at)
    assert await told.types() == {f"apr_{number}": ["requested", "cancelled"] for number in (1, 2)}


async def test_of_many_senders_one_has_a_delivery_until_its_time_is_over(told: Told) -> None:
    await told.approvals.ask(request("apr_1"))
    await told.outbox.collect(after(1))
    claims = await asyncio.gather(*(told.outbox.claim(URLS[0], after(1)) for _ in range(20)))
    (first,) = [claim for claim in claims if claim]
    again = await told.other.claim(URLS[0], after(1) + CLAIM)
    assert again
    await told.outbox.failed(first, "late", None, again_at=None)
    await told.other.delivered(again, 200, at=after(70))
    found, _ = await told.outbox.page(skip=0, limit=2, url=URLS[0])
    assert [(each.state, each.attempts) for each in found] == [("delivered", 2)]


async def test_without_receivers_nothing_is_marked(told: Told) -> None:
    await Approvals(told.database).ask(request("apr_1"))
    assert await told.outbox.collect(after(1)) == 0
