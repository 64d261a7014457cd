"""What the ledger promises, in both forms of the document store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from checkpoints.collections import Database
from checkpoints.ledger import Ledger
from domain.actions import Result
from domain.errors import AlreadyReconciled, StoreUnavailable
from domain.ledger import Entry, Finding, Hold, Reconciliation
from tests.documents import OPENERS, Opener
from tests.records import action, after, order, result


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


async def begun(ledger: Ledger, name: str = "act_1", at: float = 0) -> Hold:
    return await ledger.begin(order(name, approval_id="apr_1"), at=after(at))


async def unknown(ledger: Ledger, name: str = "act_1") -> Entry:
    """Leave an entry whose outcome nobody knows."""
    await ledger.finish(await begun(ledger, name), result(name, outcome="unknown"), at=after(1))
    return await ledger.get(name)


def said(verdict: Finding = "happened", *, by: int = 7, at: float = 5) -> Reconciliation:
    return Reconciliation(verdict=verdict, by=by, note="seen", decided_by="oli", decided_at=after(at))


async def test_an_action_may_be_sent_by_who_began_it_first(ledger: Ledger) -> None:
    first, again, other = await begun(ledger), await begun(ledger), await begun(ledger, "act_2")
    assert [(each.may_send, each.in_doubt, each.result) for each in (first, again, other)] == [
        (True, False, None),
        (False, True, None),
        (True, False, None),
    ]


async def test_one_of_25_at_the_same_moment_may_send_an_action(ledger: Ledger) -> None:
    holds = await asyncio.gather(*(begun(ledger) for _ in range(25)))
    assert sorted(each.may_send for each in holds) == [False] * 24 + [True]


async def test_what_came_of_an_action_is_told_to_who_begins_it_again(ledger: Ledger) -> None:
    await ledger.finish(await begun(ledger), result("act_1", duration_ms=1.5), at=after(1))
    assert (await begun(ledger)).result == result("act_1", duration_ms=1.5)


async def test_the_first_outcome_stays(ledger: Ledger) -> None:
    hold = await begun(ledger)
    await ledger.finish(hold, result("act_1"), at=after(1))
    later = result("act_1", outcome="failed", http_status=500)
    assert await ledger.finish(hold, later, at=after(2)) == result("act_1")
    assert (await begun(ledger)).result == result("act_1")


async def test_whose_entry_was_taken_over_writes_no_outcome(ledger: Ledger) -> None:
    stalled, newer = await begun(ledger), await begun(ledger, at=1)
    with pytest.raises(StoreUnavailable):
        await ledger.finish(stalled, result("act_1"), at=after(2))
    await ledger.put_off(stalled, "no reason")
    assert (await ledger.get("act_1")).state == "intent"
    await ledger.finish(newer, result("act_1", outcome="failed"), at=after(3))
    assert await ledger.finish(stalled, result("act_1"), at=after(4)) == result("act_1", outcome="failed")


async def test_an_answer_that_arrives_after_all_clears_the_doubt(ledger: Ledger) -> None:
    stalled, newer = await begun(ledger), await begun(ledger, at=1)
    await ledger.finish(newer, result("act_1", outcome="unknown"), at=after(2))
    assert await ledger.finish(stalled, result("act_1"), at=after(3)) == result("act_1")
    entry = await ledger.get("act_1")
    assert (entry.state, entry.evidence, entry.reconciliations[0].decided_by) == ("executed", "answer", "server")
    assert [each.entry_id for each in await ledger.untold()] == [entry.entry_id]


async def test_the_intent_says_what_is_sent_under_which_key_and_for_whom(ledger: Ledger) -> None:
    await begun(ledger)
    assert await ledger.get("act_1") == Entry(
        entry_id="act_1-act_1",
        run_id="run_1",
        owner="ann",
        requester="ann/1",
        approval_id="apr_1",
        key="apr_1-act_1",
        action=action("act_1"),
        state="intent",
        begun_at=after(0),
    )


async def test_the_key_is_the_one_it_was_begun_under(ledger: Ledger) -> None:
    await begun(ledger)
    assert (await ledger.begin(order("act_1", approval_id=None), at=after(1))).key == "apr_1-act_1"


async def test_another_action_at_the_same_place_of_a_run_is_another_entry(ledger: Ledger) -> None:
    other = order("act_1").model_copy(update={"action": action("act_1").model_copy(update={"digest": "d" * 64})})
    await begun(ledger)
    assert (await ledger.begin(other, at=after(0))).may_send


async def test_what_was_put_off_may_be_sent_later(ledger: Ledger) -> None:
    await ledger.put_off(await begun(ledger), "the circuit is open")
    waiting = await ledger.get("act_1")
    assert (waiting.state, waiting.reason) == ("waiting", "the circuit is open")
    again = await begun(ledger, at=9)
    assert (again.may_send, again.in_doubt, again.begun_at) == (True, False, after(9))


async def test_what_waits_in_doubt_may_not_be_denied_and_counts_as_sent_once(
    ledger: Ledger, database: Database
) -> None:
    no = Result(action_id="act_1", outcome="denied", body="too late")
    for at in (0, 3, 6):
        await ledger.put_off(await begun(ledger, at=at), "the circuit is open", in_doubt=True)
    hold = await ledger.refuse(order("act_1"), no, at=after(9))
    assert (hold.result, hold.in_doubt, hold.begun_at) == (None, True, after(0))
    (entry,) = await database["ledger"].find({}).to_list()
    assert entry["sent"] == [after(0)]
    await ledger.put_off(hold, "the circuit is open")
    assert (await ledger.settle("run_1", at=after(9)))["act_1"].outcome == "unknown"


async def test_what_may_not_be_sent_is_denied_unless_somebody_may_have_sent_it(ledger: Ledger) -> None:
    no = Result(action_id="act_1", outcome="denied", body="too late")
    assert (await ledger.refuse(order("act_1"), no, at=after(1))).result == no
    assert (await begun(ledger)).result == no
    await ledger.put_off(await begun(ledger, "act_2"), "the circuit is open")
    assert (await ledger.refuse(order("act_2"), no, at=after(1))).result == no
    await begun(ledger, "act_3")
    hold = await ledger.refuse(order("act_3"), no, at=after(1))
    assert (hold.result, hold.may_send, hold.in_doubt) == (None, False, True)


async def test_a_run_that_ends_leaves_nothing_open(ledger: Ledger) -> None:
    done = Result(action_id="act_1", outcome="executed", http_status=201)
    await ledger.finish(await begun(ledger), done, at=after(1))
    await begun(ledger, "act_2")
    await ledger.put_off(await begun(ledger, "act_3"), "the circuit is open")
    results = await ledger.settle("run_1", at=after(2))
    assert (sorted(results), results["act_1"]) == (["act_1", "act_2"], done)
    assert results["act_2"].outcome == "unknown"
    assert (await ledger.get("act_3")).state == "cancelled"
    assert await ledger.settle("run_1", at=after(3)) == results


@pytest.mark.parametrize(("verdict", "outcome"), [("happened", "executed"), ("did_not_happen", "failed")])
async def test_a_human_says_what_became_of_an_unknown_action(ledger: Ledger, verdict: Finding, outcome: str) -> None:
    entry = await ledger.reconcile(await unknown(ledger), said(verdict))
    assert (entry.state, entry.evidence, entry.reconciliations) == (outcome, "human", (said(verdict),))
    assert entry.result
    assert entry.result.body.endswith("as oli found out. seen")
    assert (await begun(ledger)).result == entry.result


async def test_the_same_word_again_changes_nothing_and_another_is_refused(ledger: Ledger) -> None:
    entry = await unknown(ledger)
    first = await ledger.reconcile(entry, said())
    assert await ledger.reconcile(await ledger.get("act_1"), said(at=9)) == first
    for other in (said("did_not_happen"), said(by=8)):
        with pytest.raises(AlreadyReconciled):
            await ledger.reconcile(entry, other)
    assert await ledger.get("act_1") == first


async def test_one_of_25_contradicting_words_counts(ledger: Ledger) -> None:
    entry = await unknown(ledger)
    words = [ledger.reconcile(entry, said("happened" if by % 2 else "did_not_happen", by=by)) for by in range(25)]
    answers = await asyncio.gather(*words, return_exceptions=True)
    assert [isinstance(each, AlreadyReconciled) for each in answers].count(False) == 1
    assert len((await ledger.get("act_1")).reconciliations) == 1


async def test_an_action_that_was_never_in_doubt_cannot_be_reconciled(ledger: Ledger) -> None:
    await begun(ledger)
    with pytest.raises(AlreadyReconciled, match="intent"):
        await ledger.reconcile(await ledger.get("act_1"), said())


async def test_a_retry_lets_an_action_be_sent_once_more_under_its_key(ledger: Ledger) -> None:
    entry = await ledger.reconcile(await unknown(ledger), said("retry"))
    assert (entry.state, [each.entry_id for each in await ledger.untold()]) == ("waiting", [entry.entry_id])
    hold, crashed = await begun(ledger, at=6), await begun(ledger, at=7)
    assert (hold.may_send, hold.in_doubt, hold.key, hold.round) == (True, True, "apr_1-act_1", 1)
    assert (crashed.may_send, crashed.in_doubt) == (False, True)
    await ledger.finish(crashed, result("act_1"), at=after(8))
    entry = await ledger.get("act_1")
    assert entry.state == "executed"
    await ledger.told(entry)
    assert await ledger.untold() == []


async def test_entries_are_found_by_state_service_operation_run_owner_and_time(ledger: Ledger) -> None:
    await unknown(ledger)
    await ledger.begin(order("act_2", run_id="run_2", requester="bob/1"), at=after(3))
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["act_2", "act_1"]),
        ({"state": "unknown"}, ["act_1"]),
        ({"service": "shop", "operation": "refund"}, ["act_2", "act_1"]),
        ({"service": "other"}, []),
        ({"run_id": "run_2"}, ["act_2"]),
        ({"owner": "bob"}, ["act_2"]),
        ({"since": after(2)}, ["act_2"]),
        ({"skip": 1, "limit": 1}, ["act_1"]),
    ]
    for fields, found in cases:
        entries, _ = await ledger.page(**{"owner": None, **fields})
        assert [each.action.action_id for each in entries] == found
