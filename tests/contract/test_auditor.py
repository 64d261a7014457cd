"""Every fact of the records comes into the audit log once, wherever a process ended."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from checkpoints.approvals import Approvals
from checkpoints.audit import Audit
from checkpoints.auditor import Auditor
from checkpoints.collections import Database
from checkpoints.ledger import Ledger
from checkpoints.runs import Runs
from domain.audit import Entry, verify
from domain.canonical import parsed
from tests.documents import OPENERS, Opener
from tests.records import after, order, request, result, run, verdict


@dataclass
class Process:
    """The stores as one process has them."""

    database: Database
    approvals: Approvals
    ledger: Ledger
    audit: Audit
    auditor: Auditor

    @classmethod
    async def on(cls, database: Database) -> Self:
        audit = Audit(database)
        auditor = Auditor(database, audit, clock=lambda: after(99))
        process = cls(database, Approvals(database), Ledger(database), audit, auditor)
        for each in (process.approvals, process.ledger, audit, auditor):
            await each.open()
        return process

    async def logged(self) -> list[Entry]:
        """Catch up, see that the chain holds and no mark is left, and return every entry."""
        await self.auditor.catch_up()
        entries = [each async for each in self.audit.entries()]
        assert verify(entries) is None
        marked = {"unaudited": {"$exists": True}}
        assert [await self.database[each].count_documents(marked) for each in ("approvals", "ledger")] == [0, 0]
        return entries


@pytest.fixture(params=OPENERS)
async def process(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Process]:
    opener: Opener = request.param
    async with opener(tmp_path) as database:
        yield await Process.on(database)


async def carried_out(process: Process, *, approval_id: str | None = "apr_1") -> None:
    """Send the action that an approval released."""
    hold = await process.ledger.begin(order("act_1", approval_id=approval_id), at=after(2))
    await process.ledger.finish(hold, result("act_1", duration_ms=1.5), at=after(3))


def told(entries: list[Entry]) -> list[tuple[str, str, str]]:
    return [(each.event, each.outcome, each.actor) for each in entries]


async def test_a_decision_and_what_came_of_it_are_logged_in_order(process: Process) -> None:
    await Runs(process.database).add(run("run_1"))
    await process.approvals.ask(request("apr_1"))
    await process.approvals.decide("apr_1", verdict(at=after(1)), owner=None)
    await carried_out(process)
    entries = await process.logged()
    assert told(entries) == [
        ("approval.decided", "approved", "bob"),
        ("action.sent", "sent", "ann/1"),
        ("action.finished", "executed", "ann/1"),
    ]
    assert [each.at for each in entries] == [after(1), after(2), after(3)]
    assert {(each.orchestration_id, each.request_id, each.action_id, each.digest) for each in entries} == {
        ("run_1", "apr_1", "act_1", "act_1")
    }


async def test_what_was_sent_is_told_in_full_and_the_answer_by_its_digest(process: Process) -> None:
    await carried_out(process, approval_id=None)
    sent, finished = await process.logged()
    assert parsed(sent.details) == {
        "service": "shop",
        "operation": "refund",
        "method": "POST",
        "url": "http://shop/refunds",
        "arguments": '{"amount":1.10}',
        "idempotency_key": "act_1-act_1",
    }
    body_sha256 = "4062edaf750fb8074e7e83e0c9028c94e32468a8b6f1614774328ef045150f93"
    assert parsed(finished.details) == {
        "http_status": 200,
        "duration_ms": 1.5,
        "body_sha256": body_sha256,
        "evidence": "answer",
    }
    assert (sent.actor, sent.request_id) == ("server", None)


async def test_a_request_that_was_only_asked_says_nothing(process: Process) -> None:
    await process.approvals.ask(request("apr_1"))
    assert await process.logged() == []


async def test_what_expires_or_is_cancelled_is_logged_after_its_decision(process: Process) -> None:
    for name in ("apr_1", "apr_2", "apr_3"):
        await process.approvals.ask(request(name, lasts=20, run_id="run_2" if name == "apr_1" else "run_1"))
    await process.approvals.decide("apr_3", verdict(at=after(1)), owner=None)
    await process.approvals.cancel("run_1", by="oli", at=after(9))
    await process.approvals.expire(after(25))
    assert told(await process.logged()) == [
        ("approval.decided", "approved", "bob"),
        ("approval.cancelled", "cancelled", "oli"),
        ("approval.cancelled", "cancelled", "oli"),
        ("approval.expired", "expired", "server"),
    ]


async def test_a_withdrawal_without_a_time_is_logged_when_it_was_noticed(process: Process) -> None:
    await process.approvals.ask(request("apr_1"))
    await process.approvals.cancel("run_1")
    (entry,) = await process.logged()
    assert (entry.actor, entry.at) == ("server", after(99))


async def test_each_step_is_logged_once_however_often_it_is_looked_for(process: Process) -> None:
    await process.approvals.ask(request("apr_1"))
    await process.approvals.decide("apr_1", verdict(at=after(1)), owner=None)
    assert len(await process.logged()) == 1
    hold = await process.ledger.begin(order("act_1", approval_id="apr_1"), at=after(2))
    assert len(await process.logged()) == 1  # whether it was sent is not known yet
    await process.ledger.finish(hold, result("act_1", outcome="unknown"), at=after(3))
    await process.ledger.finish(hold, result("act_1", outcome="failed"), at=after(4))
    assert [each.outcome for each in await process.logged()] == ["approved", "sent", "unknown"]
    assert len(await process.logged()) == 3


async def test_what_was_never_sent_is_never_logged_as_sent(process: Process) -> None:
    for number in (1, 2, 3):
        hold = await process.ledger.begin(order(f"act_{number}"), at=after(number))
        await process.logged()
        if number == 1:
            await process.ledger.finish(hold, result("act_1", outcome="failed"), unsent=True, at=after(9))
        else:
            await process.ledger.put_off(hold, "the circuit is open")
            await process.logged()
    again = await process.ledger.begin(order("act_3"), at=after(5))
    await process.ledger.finish(again, result("act_3"), at=after(6))
    await process.ledger.settle("run_1", at=after(7))
    assert [(each.action_id, each.event, each.outcome, each.at) for each in await process.logged()] == [
        ("act_1", "action.finished", "failed", after(9)),
        ("act_3", "action.sent", "sent", after(5)),
        ("act_3", "action.finished", "executed", after(6)),
        ("act_2", "action.finished", "cancelled", after(7)),
    ]


async def test_what_may_have_been_sent_is_logged_while_its_service_is_waited_for(process: Process) -> None:
    hold = await process.ledger.begin(order("act_1"), at=after(1))
    await process.ledger.put_off(hold, "it is silent", in_doubt=True)
    assert [each.event for each in await process.logged()] == ["action.sent"]
    await process.ledger.settle("run_1", at=after(2))
    assert [each.outcome for each in await process.logged()] == ["sent", "unknown"]
    assert len(await process.database["ledger"].find({"unaudited": {"$exists": True}}).to_list()) == 0


async def test_a_process_that_ended_between_entry_and_mark_leaves_no_second_entry(process: Process) -> None:
    await process.approvals.ask(request("apr_1"))
    await process.approvals.decide("apr_1", verdict(at=after(1)), owner=None)
    first = await process.logged()
    await process.database["approvals"].update_one({"_id": "apr_1"}, {"$set": {"unaudited": "approval.decided"}})
    assert await (await Process.on(process.database)).logged() == first


async def test_what_happens_while_the_records_are_read_is_logged_too(process: Process) -> None:
    async def sent(number: int) -> None:
        name = f"act_{number}"
        hold = await process.ledger.begin(order(name), at=after(number))
        await asyncio.gather(process.auditor.catch_up(), process.ledger.finish(hold, result(name), at=after(number)))

    await asyncio.gather(*(sent(number) for number in range(20)))
    wanted = [f"action.{event}/act_{number}-act_{number}" for event in ("sent", "finished") for number in range(20)]
    assert sorted(each.event_id for each in await process.logged()) == sorted(wanted)


@pytest.mark.parametrize("damage", [{"verdict": "yes"}, {"unaudited": "approval.invented"}, {"action": None}])
async def test_a_record_nobody_of_ours_wrote_holds_up_no_other(process: Process, damage: dict[str, object]) -> None:
    for name in ("apr_1", "apr_2"):
        await process.approvals.ask(request(name))
        await process.approvals.decide(name, verdict(at=after(1)), owner=None)
    await process.database["approvals"].update_one({"_id": "apr_1"}, {"$set": damage})
    await process.auditor.catch_up()
    assert "approval.decided/apr_2" in {each.event_id async for each in process.audit.entries()}
    assert await process.database["approvals"].distinct("_id", {"unaudited": {"$exists": True}}) == ["apr_1"]


async def test_two_processes_that_follow_the_same_records_log_each_fact_once(process: Process) -> None:
    other = await Process.on(process.database)

    async def decided(number: int) -> None:
        await process.approvals.ask(request(f"apr_{number}"))
        await process.approvals.decide(f"apr_{number}", verdict(at=after(number)), owner=None)
        await asyncio.gather(process.auditor.catch_up(), other.auditor.catch_up())

    await asyncio.gather(*(decided(number) for number in range(20)))
    entries = await process.logged()
    assert sorted(each.event_id for each in entries) == sorted(f"approval.decided/apr_{n}" for n in range(20))
    assert await other.logged() == entries
