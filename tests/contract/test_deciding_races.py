"""Deciders, editors and the clock at the same moment, in both forms of the store: one outcome, and never another."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from checkpoints.approval_queries import decidable_by
from checkpoints.approvals import Approvals
from checkpoints.collections import Database
from domain.approvals import Approval
from domain.deciding import Person, barred, delegated, edited
from domain.errors import Conflict, DigestChanged
from domain.policy import Rule
from tests.documents import OPENERS, Opener
from tests.records import after, person, request, verdict

ASK = Rule(name="writes-ask", then="ask")


@pytest.fixture(params=OPENERS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opener: Opener = request.param
    async with opener(tmp_path) as opened:
        yield opened


@pytest.fixture
async def approvals(database: Database) -> Approvals:
    records = Approvals(database)
    await records.open()
    return records


async def said(saying: Awaitable[Approval]) -> Approval | None:
    """Return the record as somebody got it, None where they were refused."""
    try:
        return await saying
    except Conflict:
        return None


def vote(approvals: Approvals, number: int, *, approved: bool = True, seen: str | None = None) -> Awaitable[Approval]:
    given = verdict(approved=approved, approver_id=number, by=f"key-{number}", at=after(1))
    return approvals.decide("apr_1", given, owner=None, seen=seen)


def edit(approvals: Approvals, who: Person, digest: str) -> Awaitable[Approval]:
    def change(record: Approval) -> Approval:
        action = record.action.model_copy(update={"digest": digest})
        return edited(record, action, ASK, policy_version="2", who=who, seen=None, at=after(1))

    return approvals.change("apr_1", change)


async def test_50_who_approve_are_counted_up_to_the_quorum(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1", quorum=5))
    answers = await asyncio.gather(*(said(vote(approvals, number)) for number in range(50)))
    record = await approvals.get("apr_1")
    assert sum(answer is not None for answer in answers) == 5 == len(record.votes)
    assert sorted(answer.state for answer in answers if answer) == ["approved"] + ["pending"] * 4
    assert {vote.approver_id for vote in record.votes} == {n for n, answer in enumerate(answers) if answer}


async def test_50_who_disagree_leave_one_outcome(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1", quorum=3))
    answers = await asyncio.gather(*(said(vote(approvals, n, approved=n % 2 == 0)) for n in range(50)))
    record = await approvals.get("apr_1")
    ended = [answer for answer in answers if answer and answer.state != "pending"]
    assert ended == [record]
    assert record.state == ("rejected" if any(not each.approved for each in record.votes) else "approved")


async def test_one_person_at_50_windows_is_one_vote(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1", quorum=2))
    answers = await asyncio.gather(*(vote(approvals, 1) for _ in range(50)))
    assert {len(answer.votes) for answer in answers} == {1}
    assert len((await approvals.get("apr_1")).votes) == 1


async def test_an_edit_and_its_approvers_never_mix(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1", quorum=3))
    voting = [said(vote(approvals, n, seen="act_1")) for n in range(10)]
    voting += [said(vote(approvals, n, seen="act_2")) for n in range(10, 20)]
    await asyncio.gather(said(edit(approvals, person(99), "act_2")), *voting)
    record = await approvals.get("apr_1")
    assert {each.digest for each in record.votes} <= {record.action.digest}
    assert record.state != "approved" or len(record.votes) == 3
    assert record.action.digest == ("act_2" if record.revision else "act_1")


async def test_of_two_edits_both_count_in_turn(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1"))
    await asyncio.gather(*(edit(approvals, person(n), f"act_{n}") for n in range(2, 12)))
    record = await approvals.get("apr_1")
    assert (record.revision, record.original_digest, len(record.trail)) == (10, "act_1", 10)
    assert record.action.digest == record.trail[-1].digest


async def test_a_claim_and_the_end_of_its_time_do_not_both_happen(approvals: Approvals) -> None:
    for number in range(10):
        name = f"apr_{number}"
        await approvals.ask(request(name, execute_within_seconds=10))
        await approvals.decide(name, verdict(at=after(1)), owner=None)
        claimed, ended = await asyncio.gather(
            approvals.claim(name, action_digest="act_1", at=after(10)), approvals.expire(after(11))
        )
        expected = "execution_expired" if name in {each.request_id for each in ended} else "claimed"
        assert claimed.state == (await approvals.get(name)).state == expected


async def test_another_action_than_was_approved_is_not_claimed(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1"))
    await approvals.decide("apr_1", verdict(at=after(1)), owner=None)
    assert (await approvals.claim("apr_1", action_digest="act_2", at=after(2))).state == "approved"
    assert (await approvals.claim("apr_1", action_digest="act_1", at=after(86_401))).state == "execution_expired"


async def test_the_second_round_has_its_own_clock_and_the_first_its_place_in_the_record(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1", on_expiry="escalate", escalate_to=("cfo",), expires_in_seconds=60))
    assert await approvals.expire(after(60)) == []
    record = await approvals.get("apr_1")
    assert (record.state, record.round, record.groups, record.expires_at) == ("pending", 2, ("cfo",), after(120))
    (ended,) = await approvals.expire(after(120))
    assert (ended.state, [step.what for step in ended.trail]) == ("expired", ["escalated", "expired"])


async def test_what_is_planned_anew_supersedes_what_was_asked_in_its_place(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1"))
    other = request("apr_2")
    await approvals.ask(other.model_copy(update={"action": other.action.model_copy(update={"digest": "act_2"})}))
    assert [(await approvals.get(name)).state for name in ("apr_1", "apr_2")] == ["superseded", "pending"]


async def test_another_systems_request_is_no_part_of_a_run(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1", kind="external"))
    assert (await approvals.of_run("run_1"), await approvals.undecided()) == ([], set())
    await approvals.cancel("run_1", at=after(1))
    assert (await approvals.get("apr_1")).state == "pending"


async def test_a_decision_wakes_who_waits_for_it(approvals: Approvals, database: Database) -> None:
    elsewhere = Approvals(database)  # as another process has it: nothing rings there
    await approvals.ask(request("apr_1"))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        waiting = group.create_task(approvals.decided("apr_1", wait_seconds=60))
        other = group.create_task(elsewhere.decided("apr_1", wait_seconds=60))
        await asyncio.sleep(0)
        await vote(approvals, 1)
    assert waiting.result().state == other.result().state == "approved"
    assert (await approvals.decided("apr_1", wait_seconds=60)).state == "approved"


WHO = [
    person(1),
    person(1, key="ann"),
    person(2, "finance", key="bob"),
    person(2, "finance", key="bob", vouched=True),
    person(3, "cfo", "legal", key="eve"),
    Person(principal=person(4, key="kim", vouched=True).principal, approver_id=5),
]


@pytest.mark.parametrize("who", WHO, ids=lambda who: f"{who.principal.name}-{who.approver_id}")
async def test_what_the_store_finds_for_somebody_is_what_they_may_decide(approvals: Approvals, who: Person) -> None:
    kinds: list[dict[str, Any]] = [{}, {"groups": ("finance",)}, {"groups": ("cfo",)}, {"requester_may_approve": False}]
    handed = partial(delegated, to="group:legal", who=person(2, "finance", key="bob"), note="", at=after(1))
    for number, kind in enumerate([*kinds, *kinds]):
        await approvals.ask(request(f"apr_{number}", quorum=2, **kind))
        if number >= len(kinds) and kind != {"groups": ("cfo",)}:
            await approvals.change(f"apr_{number}", handed)
    await approvals.change("apr_6", lambda record: record.model_copy(update={"delegates": ("approver:2",)}))
    found, total = await approvals.page({"$and": [decidable_by(who)]}, owner=None, skip=0, limit=50)
    everything, _ = await approvals.page({}, owner=None, skip=0, limit=50)
    assert [each.request_id for each in found] == [e.request_id for e in everything if barred(e, who) is None]
    assert total == len(found)


async def test_a_refused_change_leaves_the_record_as_it_was(approvals: Approvals) -> None:
    asked = await approvals.ask(request("apr_1"))
    with pytest.raises(DigestChanged):
        await vote(approvals, 1, seen="f" * 64)
    assert await approvals.get("apr_1") == asked
