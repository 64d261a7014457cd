"""The clocks of an approval on the running server, and what the statistics say of many."""

import asyncio
from pathlib import Path

from domain.approval_stats import NOISE_APPROVALS
from tests.asking import decide, paused, refunds, requested, resume, seen
from tests.running import served, settings_for
from tests.services import DemoServices


async def test_statistics_tell_noise_from_judgement(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings_for(tmp_path / "data", demo)) as server:
        for number in range(NOISE_APPROVALS):
            asked = (await requested(server.client)).json()
            await decide(server.client, asked["request_id"], approver_id=2)
            if number == NOISE_APPROVALS - 2:
                before = (await server.client.get("/approvals/stats")).json()
        quiet = (await server.client.get("/approvals/stats")).json()
        asked = (await requested(server.client, approval_type="legal")).json()
        await decide(server.client, asked["request_id"], approved=False, approver_id=2)
        stats = (await server.client.get("/approvals/stats")).json()
        later = (await server.client.get("/approvals/stats?since=2999-01-01T00:00:00Z")).json()
    assert [each["rules"][0]["noise"] for each in (before, quiet, stats)] == [False, True, False]
    assert stats["by_state"] == {"approved": NOISE_APPROVALS, "rejected": 1}
    assert stats["by_type"] == {"financial": NOISE_APPROVALS, "legal": 1}
    assert (stats["total"], stats["expiry_rate"], later["total"]) == (NOISE_APPROVALS + 1, 0.0, 0)
    assert 0 <= stats["seconds_to_decide"]["p50"] <= stats["seconds_to_decide"]["p95"]
    assert stats["rules"][0]["reject_rate"] == round(1 / (NOISE_APPROVALS + 1), 4)


async def test_a_yes_that_came_and_was_not_used_in_time_sends_nothing(tmp_path: Path, demo: DemoServices) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{name: asks, then: ask, execute_within_seconds: 1}]")
    async with served(settings_for(tmp_path / "data", demo, policy_file=policy)) as server:
        await server.client.post("/circuit-breakers/cloudapp/force-open", json={"reason": "maintenance"})
        run_id, request_id = await paused(server.client)
        await decide(server.client, request_id)
        async with asyncio.timeout(30):
            while (body := (await resume(server.client, run_id)).json())["status"] == "running":  # noqa: ASYNC110  # as a client does
                await asyncio.sleep(0.1)  # the action waits for its service
        record = await seen(server.client, request_id)
    assert (body["status"], record["state"]) == ("completed", "execution_expired")
    assert body["actions"][0]["status"] in ("denied", "rejected")
    assert await refunds(demo["cloudapp"]) == []


async def test_a_second_group_is_asked_before_it_expires(tmp_path: Path, demo: DemoServices) -> None:
    policy = tmp_path / "policy.yaml"
    rule = "{name: asks, then: ask, expires_in_seconds: 1, on_expiry: escalate, escalate_to: [cfo]}"
    policy.write_text(f"rules: [{rule}]")
    async with served(settings_for(tmp_path / "data", demo, policy_file=policy)) as server:
        run_id, request_id = await paused(server.client)
        async with asyncio.timeout(30):
            record = await seen(server.client, request_id, wait=20)
            body = (await resume(server.client, run_id)).json()
    assert [step["what"] for step in record["history"]] == ["escalated", "expired"]
    assert (record["round"], record["groups"]) == (2, ["cfo"])
    assert body["actions"][0]["status"] == "rejected"
    assert await refunds(demo["cloudapp"]) == []
