"""Other systems ask humans, and wait for the answer."""

import asyncio
from typing import Any

import pytest

from tests.asking import WANTED, decide, requested, seen
from tests.running import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_another_systems_request_is_decided_like_any_other(shared: Served) -> None:
    asked = (await requested(shared.client)).json()
    decision = await decide(shared.client, asked["request_id"], approver_id=2)
    record = await seen(shared.client, asked["request_id"])
    assert (asked["kind"], asked["state"], asked["risk_score"]) == ("external", "pending", 0.75)
    assert (asked["proposed_action"], asked["context"]) == (WANTED["proposed_action"], WANTED["context"])
    assert (decision.status_code, record["state"], record["execute_by"]) == (200, "approved", None)


async def test_who_waits_hears_at_once(shared: Served) -> None:
    request_id = (await requested(shared.client)).json()["request_id"]
    waiting = asyncio.create_task(seen(shared.client, request_id, wait=60))
    await decide(shared.client, request_id, approved=False, approver_id=2, notes="no")
    async with asyncio.timeout(20):
        record = await waiting
    assert (record["state"], record["verdict"]["approval_notes"]) == ("rejected", "no")


async def test_who_waits_in_vain_is_told_how_it_stands(shared: Served) -> None:
    request_id = (await requested(shared.client)).json()["request_id"]
    assert (await seen(shared.client, request_id, wait=0.05))["state"] == "pending"


async def test_one_key_asks_once(shared: Served) -> None:
    answers = await asyncio.gather(*(requested(shared.client, key="k1") for _ in range(10)))
    other = await requested(shared.client, key="k1", proposed_action="Refund order 18")
    assert len({answer.json()["request_id"] for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {200}
    assert (other.status_code, other.json()["type"]) == (409, "/problems/key-reused")


@pytest.mark.parametrize(
    "changed",
    [
        {"quorum": 3},
        {"groups": ["finance"]},
        {"requester_may_approve": False},
        {"risk_level": "critical"},
        {"expires_in_seconds": 61},
        {"context": {"state_summary": {"n": 2}}},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_one_key_never_stands_for_other_terms(shared: Served, changed: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        "key": f"terms-{next(iter(changed))}",
        "context": {"state_summary": {"n": 1.0, "who": "é"}},
    }
    first = await requested(shared.client, **given)
    same = await requested(shared.client, **given)
    other = await requested(shared.client, **(given | changed))
    assert (same.status_code, same.json()["request_id"]) == (200, first.json()["request_id"])
    assert (other.status_code, other.json()["type"]) == (409, "/problems/key-reused")


async def test_an_object_is_shown_as_it_is_digested(shared: Served) -> None:
    proposed = {"order": 17, "amount": 1.1}
    asked = (await requested(shared.client, proposed_action=proposed)).json()
    edit = await shared.client.post(
        f"/approvals/pending/{asked['request_id']}/edit", json={"edited_arguments": {"order": 18}, "approver_id": 2}
    )
    assert asked["arguments"] == proposed
    assert (edit.status_code, edit.json()["type"]) == (409, "/problems/conflict")


async def test_what_json_cannot_carry_exactly_is_refused(shared: Served) -> None:
    for wrong in ({"context": {"state_summary": {"n": 2**60}}}, {"proposed_action": {"n": 2**60}}):
        assert (await requested(shared.client, **wrong)).status_code == 422


async def test_the_history_is_told_by_state_newest_first(shared: Served) -> None:
    ids = [(await requested(shared.client, requester_id=n)).json()["request_id"] for n in (31, 32)]
    for request_id in ids:
        await decide(shared.client, request_id, approved=False, approver_id=2)
    page = (await shared.client.get("/approvals?state=rejected&limit=2")).json()
    assert [each["request_id"] for each in page["approvals"]] == ids[::-1]
