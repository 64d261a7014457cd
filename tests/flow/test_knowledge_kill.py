"""SIGKILL in the middle of an ingest: the job goes on, and no half document ever answers."""

import asyncio
import signal
from pathlib import Path

import httpx2

from tests.knowing import ended, search, stats
from tests.running import Process, server_process

SECTIONS = 60


def book(edition: str) -> str:
    return "\n\n".join(
        f"# Part {number}\n\nThe {edition} edition says this. " + "Words. " * 60 for number in range(SECTIONS)
    )


async def test_a_killed_ingest_goes_on_and_no_half_document_answers(tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", {}) as server:
        async with connected(server) as client:
            first = await put(client, "first")
            assert (await ended(client, first["job_id"]))["state"] == "done"
            second = await put(client, "second")
            await embedding(client, second["job_id"])
        await server.end(signal.SIGKILL)
        await server.start()
        async with connected(server) as client:
            seen = set()
            while (await client.get(f"/rag/jobs/{second['job_id']}")).json()["state"] in ("queued", "running"):
                seen |= await editions(client)
            job = await ended(client, second["job_id"])
            assert (job["state"], job["attempt"]) == ("done", 2)
            assert seen <= {("first",), ("second",)}
            assert await editions(client) == {("second",)}
            told = await stats(client)
            assert (told["documents"], told["chunks"], told["jobs_unfinished"]) == (1, SECTIONS, 0)


async def test_what_was_sent_last_is_written_last_whoever_dies(tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", {}) as server:
        async with connected(server) as client:
            long = await put(client, "first")
            short = (await client.post("/rag/documents", json={"text": "It is short.", "document_id": "book"})).json()
            await embedding(client, long["job_id"])
        await server.end(signal.SIGKILL)
        await server.start()
        async with connected(server) as client:
            ends = [(await ended(client, each["job_id"]))["state"] for each in (long, short)]
            record = (await client.get("/rag/documents/book")).json()
    assert ends == ["done", "done"]
    assert (record["chunks"], record["size_bytes"]) == (1, len("It is short."))


async def put(client: httpx2.AsyncClient, edition: str) -> dict[str, str]:
    answer = await client.post("/rag/documents", json={"text": book(edition), "document_id": "book"})
    told: dict[str, str] = answer.json()
    return told


def connected(server: Process) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=server.url, timeout=60, trust_env=False)


async def embedding(client: httpx2.AsyncClient, job_id: str) -> None:
    """Wait until a job is in the middle of its work."""
    async with asyncio.timeout(60):
        while not 0 < (job := (await client.get(f"/rag/jobs/{job_id}")).json())["done"] < SECTIONS:
            assert job["state"] in ("queued", "running")
            await asyncio.sleep(0.02)


async def editions(client: httpx2.AsyncClient) -> set[tuple[str, ...]]:
    """Return which editions one search finds together."""
    hits = await search(client, "what does the edition say?", top_k=50, min_score=0)
    found = {word for hit in hits for word in ("first", "second") if f"The {word} edition" in hit["text"]}
    return {tuple(sorted(found))} if found else set()
