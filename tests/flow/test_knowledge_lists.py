"""What the knowledge base tells about itself: documents and pieces page by page, hits, and how it goes."""

import asyncio
from pathlib import Path
from typing import Any

from tests.knowing import DEPOSIT, RETURNS, add, ended, search, stats
from tests.ollama_server import MODEL, ollama_server
from tests.running import Served, served, settings_for
from tests.services import DemoServices


async def pages(server: Served, path: str, key: str) -> list[list[Any]]:
    """Return what is listed, page by page, two on each."""
    found, params = [], {"limit": "2"}
    while True:
        told = (await server.client.get(path, params=params)).json()
        found.append([each["index"] if key == "chunks" else each["document_id"] for each in told[key]])
        if told["next"] is None:
            return found
        params["after"] = str(told["next"])


async def test_documents_and_their_pieces_are_listed_in_pages(server: Served) -> None:
    sections = "\n\n".join(f"# Part {number}\n\nThis is said in part {number}." for number in range(5))
    for name in ("a", "b", "c"):
        await add(server.client, f"{sections} {name}", document_id=name)
    assert await pages(server, "/rag/documents", "documents") == [["a", "b"], ["c"]]
    assert await pages(server, "/rag/documents/a/chunks", "chunks") == [[0, 1], [2, 3], [4]]


async def test_a_search_gives_no_more_than_asked_for_and_nothing_less_relevant(server: Served) -> None:
    for text in (RETURNS, DEPOSIT, "Tyres are changed twice a year."):
        await add(server.client, text)
    asked = "How much money is reserved on the card of a driver?"
    scores = [hit["score"] for hit in await search(server.client, asked, min_score=0)]
    assert (len(scores), scores) == (3, sorted(scores, reverse=True))
    assert len(await search(server.client, asked, min_score=0, top_k=2)) == 2
    assert [hit["score"] for hit in await search(server.client, asked, min_score=scores[0])] == scores[:1]


async def test_a_base_that_is_still_indexing_is_told_from_an_empty_one(tmp_path: Path, demo: DemoServices) -> None:
    async with (
        ollama_server(models=(MODEL, "nomic-embed-text:latest")) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        empty = await stats(server.client)
        ollama.may_embed = asyncio.Event()
        job = (await server.client.post("/rag/documents", json={"text": RETURNS})).json()
        indexing = await stats(server.client)
        ollama.may_embed.set()
        await ended(server.client, job["job_id"])
        found = await search(server.client, "goods sent back", min_score=0)
        nothing = await search(server.client, "submarines", min_score=0.99)
        ready = await stats(server.client)
    assert [told["state"] for told in (empty, indexing, ready)] == ["empty", "indexing", "ready"]
    assert [told["jobs_unfinished"] for told in (empty, indexing, ready)] == [0, 1, 0]
    assert (len(found), nothing, ready["queries"], ready["hit_rate"]) == (1, [], 2, 0.5)
    assert (ready["documents"], ready["chunks"], ready["fingerprint"]["dimension"]) == (1, 1, 64)
    assert 0 < ready["latency_p50_ms"] <= ready["latency_p95_ms"]
    assert (empty["last_ingest"], empty["latency_p50_ms"], ready["last_ingest"] is None) == (None, None, False)
