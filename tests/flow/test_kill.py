"""SIGKILL at bad moments: what was acknowledged is there afterwards, and nothing is done twice."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx2

from tests.asking import REFUND, ask, decide, paused, refunds, resume
from tests.ollama_server import call, ollama_server, say
from tests.running import Process, refused, server_process
from tests.services import DemoServices


def client_of(process: Process) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=process.url, timeout=30, trust_env=False)


async def restarted(process: Process) -> None:
    await process.end(signal.SIGKILL)
    await process.start()


async def ended(client: httpx2.AsyncClient, run_id: str) -> dict[str, Any]:
    """Wait for a run to end by itself."""
    async with asyncio.timeout(20):
        while (run := (await client.get(f"/orchestrations/{run_id}")).json())["status"] == "running":  # noqa: ASYNC110  # another process ends it
            await asyncio.sleep(0.05)
    body: dict[str, Any] = run
    return body


async def test_a_pending_approval_survives_sigkill_and_is_carried_out_once(tmp_path: Path, demo: DemoServices) -> None:
    async with server_process(tmp_path / "data", demo) as process, client_of(process) as client:
        run_id, request_id = await paused(client)
        await restarted(process)
        pending = (await client.get("/approvals/pending")).json()["approvals"]
        assert [request["request_id"] for request in pending] == [request_id]
        assert await refunds(demo["cloudapp"]) == []
        await decide(client, request_id)
        body = (await resume(client, run_id)).json()
    assert (body["status"], body["actions"][0]["status"]) == ("completed", "executed")
    assert len(await refunds(demo["cloudapp"])) == 1


async def test_a_decision_acknowledged_before_sigkill_is_carried_out_after_it(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with server_process(tmp_path / "data", demo) as process, client_of(process) as client:
        asked = [await paused(client, f"refund order 1001 with ${n}", session_id=f"s{n}") for n in range(1, 9)]
        decisions = await asyncio.gather(*(decide(client, request_id) for _, request_id in asked))
        await restarted(process)
        bodies = [(await resume(client, run_id)).json() for run_id, _ in asked]
    assert {decision.status_code for decision in decisions} == {200}
    assert {body["actions"][0]["status"] for body in bodies} == {"executed"}
    assert sorted(refund["amount"] for refund in await refunds(demo["cloudapp"])) == list(range(1, 9))


async def test_a_run_killed_while_the_model_thinks_goes_on_by_itself(tmp_path: Path, demo: DemoServices) -> None:
    never = asyncio.Event()
    script = [say("never heard", gate=never), call("petstore__getPetById", {"petId": 3}), say("It is here.")]
    async with ollama_server(script) as ollama:
        urls = {**demo, "ollama": ollama.url}
        async with server_process(tmp_path / "data", urls) as process, client_of(process) as client:
            asking = asyncio.create_task(ask(client, "where is pet 3?"))
            await ollama.received(1)
            (run,) = (await client.get("/orchestrations")).json()["orchestrations"]
            await restarted(process)
            await asyncio.gather(asking, return_exceptions=True)
            body = await ended(client, run["orchestration_id"])
    assert (body["status"], body["reply"]) == ("completed", "It is here.")


async def test_kills_at_random_moments_lose_no_acknowledged_run_and_double_no_refund(
    tmp_path: Path, demo: DemoServices
) -> None:
    acknowledged: list[tuple[str, str]] = []

    async def one(client: httpx2.AsyncClient, number: int) -> None:
        try:
            run_id, request_id = await paused(client, f"refund order 1001 with ${number}", session_id=f"s{number}")
            if (await decide(client, request_id)).status_code == 200:
                acknowledged.append((run_id, request_id))
            await resume(client, run_id)
        except (httpx2.TransportError, AssertionError):
            return

    async with server_process(tmp_path / "data", demo) as process, client_of(process) as client:
        for batch in range(4):
            crowd = [asyncio.create_task(one(client, batch * 10 + n + 1)) for n in range(10)]
            await asyncio.wait(crowd, timeout=0.15 + 0.1 * batch)
            await restarted(process)
            await asyncio.gather(*crowd)
        bodies = [(await resume(client, run_id)).json() for run_id, _ in acknowledged]
    amounts = [refund["amount"] for refund in await refunds(demo["cloudapp"])]
    assert {(body["status"], body["actions"][0]["status"]) for body in bodies} <= {("completed", "executed")}
    assert len(amounts) == len(set(amounts)) >= len(acknowledged)


async def test_a_refused_refund_stays_refused_over_sigkill(tmp_path: Path, demo: DemoServices) -> None:
    async with server_process(tmp_path / "data", demo) as process, client_of(process) as client:
        run_id, request_id = await paused(client, REFUND)
        await decide(client, request_id, approved=False, notes="no")
        await restarted(process)
        body = (await resume(client, run_id)).json()
    assert body["actions"][0]["status"] == "rejected"
    assert await refunds(demo["cloudapp"]) == []


async def test_two_servers_do_not_share_a_data_folder(tmp_path: Path, demo: DemoServices) -> None:
    async with server_process(tmp_path / "data", demo) as first:
        told = await refused(**first.environment)
    assert "Another server uses DATA_DIR" in told
