"""What tests say to a server's knowledge base, in one line each."""

import asyncio
from typing import Any

import httpx2

OPEN = ("queued", "running")
RETURNS = "# Returns\n\nGoods may be sent back within 30 days of delivery. We pay the postage for faulty articles only."
DEPOSIT = "# Deposit\n\nWhen the keys are handed over we block 400 euros on the credit card of the driver."


async def add(client: httpx2.AsyncClient, text: str, **more: Any) -> dict[str, Any]:
    """Ingest a text, wait for the end, and return the job."""
    answer = await client.post("/rag/documents", json={"text": text, **more})
    assert answer.status_code == 202, answer.text
    return await ended(client, answer.json()["job_id"])


async def upload(client: httpx2.AsyncClient, name: str, content: bytes, **fields: str) -> dict[str, Any]:
    """Ingest a file, wait for the end, and return the job."""
    answer = await client.post("/rag/documents", files={"file": (name, content)}, data=fields)
    assert answer.status_code == 202, answer.text
    return await ended(client, answer.json()["job_id"])


async def ended(client: httpx2.AsyncClient, job_id: str) -> dict[str, Any]:
    """Wait for a job and return it."""
    async with asyncio.timeout(60):
        while (job := (await client.get(f"/rag/jobs/{job_id}")).json())["state"] in OPEN:  # noqa: ASYNC110  # asked over HTTP
            await asyncio.sleep(0.05)
    told: dict[str, Any] = job
    return told


async def search(client: httpx2.AsyncClient, query: str, **more: Any) -> list[dict[str, Any]]:
    """Return what a question finds."""
    answer = await client.post("/rag/search", json={"query": query, **more})
    assert answer.status_code == 200, answer.text
    hits: list[dict[str, Any]] = answer.json()["hits"]
    return hits


async def stats(client: httpx2.AsyncClient) -> dict[str, Any]:
    """Return how the knowledge base is."""
    told: dict[str, Any] = (await client.get("/rag/stats")).json()
    return told


async def pieces(client: httpx2.AsyncClient, document_id: str) -> dict[str, str]:
    """Return the texts of a document's pieces by their ids."""
    answer = (await client.get(f"/rag/documents/{document_id}/chunks", params={"limit": 100})).json()
    return {chunk["chunk_id"]: chunk["text"] for chunk in answer["chunks"]}


async def assert_true_to_the_letter(client: httpx2.AsyncClient, reply: dict[str, Any]) -> None:
    """Check that every quote of a reply is where it says it is, and in the reply."""
    for source in reply["sources"]:
        text = (await pieces(client, source["document_id"]))[source["chunk_id"]]
        assert text[source["start"] : source["end"]] == source["quote"]
        assert f"[{source['chunk_id']}]" in reply["reply"]
