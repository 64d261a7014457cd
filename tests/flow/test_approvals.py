"""A human gate in the middle of a run: nothing is sent before it opens, and once afterwards."""

import asyncio
from pathlib import Path

from tests.asking import REFUND, ask, decide, paused, refunds, resume
from tests.ollama_server import call, ollama_server, say
from tests.running import Served, served, settings_for
from tests.services import DemoServices


async def test_a_refund_waits_for_a_human(server: Served, demo: DemoServices) -> None:
    answer = await ask(server.client, REFUND)
    pending = (await server.client.get("/approvals/pending")).json()
    assert answer.status_code == 202
    assert answer.json()["status"] == "awaiting_approval"
    assert pending["total"] == 1
    (request,) = pending["approvals"]
    assert request["arguments"] == {"order_id": 1001, "amount": 500}
    assert request["action"]["arguments"] == '{"amount":500,"order_id":1001}'
    assert (request["approval_type"], request["risk_level"]) == ("financial", "high")
    assert await refunds(demo["cloudapp"]) == []


async def test_what_of_a_message_is_left_out_is_said_before_anybody_decides(server: Served) -> None:
    answer = (await ask(server.client, "refund order 1001 with $10 and order 1002")).json()
    shown = (await server.client.get(f"/orchestrations/{answer['orchestration_id']}")).json()
    assert len(answer["approvals"]) == 1
    assert "Beside it the model said: To refund an order I need: amount" in answer["reply"]
    assert shown["reply"] == answer["reply"]


async def test_an_approved_refund_is_made_once_and_told(server: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(server.client)
    decision = await decide(server.client, request_id)
    first, again = await resume(server.client, run_id), await resume(server.client, run_id)
    assert (decision.status_code, decision.json()["state"]) == (200, "approved")
    assert (first.status_code, first.json()["status"]) == (200, "completed")
    assert first.json() == again.json()
    assert "500" in first.json()["reply"]
    assert [refund["amount"] for refund in await refunds(demo["cloudapp"])] == [500]
    assert (await server.client.get(f"/approvals/{request_id}")).json()["state"] == "executed"


async def test_an_approved_run_goes_on_by_itself(server: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(server.client)
    await decide(server.client, request_id)
    async with asyncio.timeout(10):
        while (await server.client.get(f"/orchestrations/{run_id}")).json()["status"] != "completed":  # noqa: ASYNC110  # another process ends it
            await asyncio.sleep(0.02)
    assert len(await refunds(demo["cloudapp"])) == 1


async def test_a_rejected_refund_is_not_made_and_the_reply_says_so(server: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(server.client)
    decision = await decide(server.client, request_id, approved=False, notes="too much")
    body = (await resume(server.client, run_id)).json()
    assert decision.json()["state"] == "rejected"
    assert body["status"] == "completed"
    assert body["actions"][0]["status"] == "rejected"
    assert "too much" in body["reply"]
    assert await refunds(demo["cloudapp"]) == []


async def test_the_same_decision_again_gives_the_same_answer(server: Served) -> None:
    run_id, request_id = await paused(server.client)
    first = await decide(server.client, request_id)
    await resume(server.client, run_id)
    again = await decide(server.client, request_id)
    assert (again.status_code, again.content) == (200, first.content)


async def test_another_decision_afterwards_is_refused_with_the_record(server: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(server.client)
    await decide(server.client, request_id, approved=False)
    late = await decide(server.client, request_id, approved=True)
    await resume(server.client, run_id)
    assert (late.status_code, late.json()["type"]) == (409, "/problems/already-decided")
    assert late.json()["approval"]["state"] == "rejected"
    assert await refunds(demo["cloudapp"]) == []


async def test_fifty_deciders_at_once_make_one_decision_and_one_refund(server: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(server.client)
    deciders = (decide(server.client, request_id, approved=bool(n % 2), approver_id=n) for n in range(50))
    answers = await asyncio.gather(*deciders)
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    body = (await resume(server.client, run_id)).json()
    assert sorted({answer.status_code for answer in answers}) == [200, 409]
    assert len(await refunds(demo["cloudapp"])) == (1 if winner["state"] == "approved" else 0)
    assert body["actions"][0]["status"] == ("executed" if winner["state"] == "approved" else "rejected")


async def test_five_resumes_at_once_make_one_refund_and_give_one_reply(server: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(server.client)
    await decide(server.client, request_id)
    answers = await asyncio.gather(*(resume(server.client, run_id) for _ in range(5)))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert len(await refunds(demo["cloudapp"])) == 1


async def test_a_pending_approval_survives_a_restart(tmp_path: Path, demo: DemoServices) -> None:
    settings = settings_for(tmp_path / "data", demo)
    async with served(settings) as server:
        run_id, request_id = await paused(server.client)
    async with served(settings) as server:
        pending = (await server.client.get("/approvals/pending")).json()
        await decide(server.client, request_id)
        body = (await resume(server.client, run_id)).json()
    assert [request["request_id"] for request in pending["approvals"]] == [request_id]
    assert body["status"] == "completed"
    assert len(await refunds(demo["cloudapp"])) == 1


async def test_a_waiting_session_takes_no_new_message_unless_told(server: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(server.client)
    refused = await ask(server.client, "which pets are available?")
    taken = await ask(server.client, "which pets are available?", on_pending="cancel")
    late = await decide(server.client, request_id)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/approval-pending")
    assert refused.json()["orchestration_id"] == run_id
    assert taken.json()["status"] == "completed"
    assert (late.status_code, late.json()["approval"]["state"]) == (409, "cancelled")
    assert (await server.client.get(f"/orchestrations/{run_id}")).json()["status"] == "cancelled"
    assert await refunds(demo["cloudapp"]) == []


async def test_a_cancelled_run_withdraws_its_request(server: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(server.client)
    cancelled = await server.client.post(f"/orchestrations/{run_id}/cancel")
    again = await server.client.post(f"/orchestrations/{run_id}/cancel")
    late = await decide(server.client, request_id)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert again.json() == cancelled.json()
    assert late.status_code == 409
    assert (await server.client.get("/approvals/pending")).json()["total"] == 0
    assert await refunds(demo["cloudapp"]) == []


async def test_without_humans_what_would_ask_is_denied(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings_for(tmp_path / "data", demo, enable_hitl=False)) as server:
        body = (await ask(server.client, REFUND)).json()
    assert body["actions"][0]["status"] == "denied"
    assert await refunds(demo["cloudapp"]) == []


async def test_a_run_cancelled_after_a_refund_still_tells_of_it(tmp_path: Path, demo: DemoServices) -> None:
    never = asyncio.Event()
    refund = call("cloudapp__refundOrder", {"order_id": 1001, "amount": 5})
    async with ollama_server([refund, say("never heard", gate=never)]) as ollama:
        settings = settings_for(tmp_path / "data", demo, ollama_url=ollama.url)
        async with served(settings) as server:
            run_id, request_id = await paused(server.client)
            await decide(server.client, request_id)
            await ollama.received(2)
            cancelled = (await server.client.post(f"/orchestrations/{run_id}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    assert [action["status"] for action in cancelled["actions"]] == ["executed"]
    assert "1 of its actions had been sent" in cancelled["reply"]
    assert len(await refunds(demo["cloudapp"])) == 1
