"""What tests say to a server, in one line each."""

import asyncio
from typing import Any

import httpx2

REFUND = "refund order 1001 with $500"


async def ask(client: httpx2.AsyncClient, message: str, *, session_id: str = "s1", **more: Any) -> httpx2.Response:
    """Send one message of user 1."""
    return await client.post("/orchestrate", json={"user_id": 1, "session_id": session_id, "message": message, **more})


async def paused(client: httpx2.AsyncClient, message: str = REFUND, *, session_id: str = "s1") -> tuple[str, str]:
    """Send a message that has to wait for a human, and return the ids of its run and of the request."""
    answer = await ask(client, message, session_id=session_id)
    assert answer.status_code == 202, answer.text
    body = answer.json()
    return body["orchestration_id"], body["approvals"][0]["request_id"]


async def decide(
    client: httpx2.AsyncClient, request_id: str, *, approved: bool = True, approver_id: int = 1, notes: str = "ok"
) -> httpx2.Response:
    """Decide one request."""
    verdict = {"approved": approved, "approver_id": approver_id, "approval_notes": notes}
    return await client.post(f"/approvals/pending/{request_id}/decide", json=verdict)


async def resume(client: httpx2.AsyncClient, run_id: str) -> httpx2.Response:
    """Wait for a run."""
    return await client.post(f"/orchestrations/{run_id}/resume")


async def refunds(cloudapp_url: str, order_id: int = 1001) -> list[dict[str, Any]]:
    """Return what the cloud application really refunded."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        order = (await client.get(f"{cloudapp_url}/orders/{order_id}")).json()
        found: list[dict[str, Any]] = order["refunds"]
        return found


WANTED: dict[str, Any] = {
    "orchestration_id": "order-17",
    "approval_type": "financial",
    "proposed_action": "Refund order 17 in full",
    "risk_level": "high",
    "requester_id": 9,
    "context": {"state_summary": {"order": 17, "a.b": {"$set": 10**15}}, "risk_score": 0.75},
    "expires_in_seconds": 300,
}


async def requested(client: httpx2.AsyncClient, *, key: str = "", **more: Any) -> httpx2.Response:
    """Ask humans on behalf of another system."""
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/approvals/request", json={**WANTED, **more}, headers=headers)


async def seen(client: httpx2.AsyncClient, request_id: str, wait: float = 0) -> dict[str, Any]:
    """Return a request, waiting for its decision."""
    record: dict[str, Any] = (await client.get(f"/approvals/{request_id}?wait={wait}")).json()
    return record


async def ended(client: httpx2.AsyncClient, run_id: str) -> dict[str, Any]:
    """Wait until a run is over, and return its only action."""
    async with asyncio.timeout(20):
        while (answer := await resume(client, run_id)).status_code == 202:  # noqa: ASYNC110  # over HTTP
            await asyncio.sleep(0.02)
    action: dict[str, Any] = answer.json()["actions"][0]
    return action
