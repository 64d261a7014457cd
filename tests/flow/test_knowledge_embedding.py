"""Vectors of two embeddings are never mixed: the old ones answer until the new ones are all there."""

import asyncio
import shutil
from pathlib import Path

from tests.asking import ask
from tests.chroma_server import chroma_server
from tests.knowing import DEPOSIT, RETURNS, add, ended, search, stats
from tests.mongo_server import mongo_server
from tests.ollama_server import MODEL, ollama_server
from tests.running import Served, served, settings_for
from tests.services import DemoServices

NOMIC = "nomic-embed-text"
MODELS = (MODEL, f"{NOMIC}:latest")


async def near(server: Served, query: str) -> list[str]:
    """Return the titles of what is near in meaning."""
    return [hit["title"] for hit in await search(server.client, query, way="meaning", min_score=0)]


async def models(server: Served) -> tuple[str, str, bool]:
    """Return the model of the vectors there are, of those wanted, and whether a re-index is offered."""
    told = await stats(server.client)
    return told["fingerprint"]["model"], told["wanted_fingerprint"]["model"], told["reindex_needed"]


async def test_ollama_embeds_where_it_has_the_model(tmp_path: Path, demo: DemoServices) -> None:
    async with (
        ollama_server(models=MODELS) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        await add(server.client, RETURNS, title="Returns")
        assert await near(server, "goods may be sent back") == ["Returns"]
        assert await models(server) == (NOMIC, NOMIC, False)
        assert ollama.embedded >= 2


async def test_a_model_that_is_gone_leaves_the_words_and_a_reindex_brings_the_meaning_back(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with (
        ollama_server(models=MODELS) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        await add(server.client, RETURNS, title="Returns")
    async with served(settings_for(tmp_path / "data", demo)) as server:
        lost = (await ask(server.client, "How long may goods be sent back?")).json()
        assert "within 30 days" in lost["reply"]
        assert next((each["port"], each["mode"]) for each in lost["degraded"]) == ("knowledge", "degraded")
        assert await near(server, "goods") == []
        await add(server.client, DEPOSIT, title="Deposit")
        assert await models(server) == (NOMIC, "all-MiniLM-L6-v2", True)
        job = await ended(server.client, (await server.client.post("/rag/reindex")).json()["job_id"])
        assert (job["state"], job["done"]) == ("done", 2)
        assert await models(server) == ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2", False)
        assert sorted(await near(server, "how much money is reserved?")) == ["Deposit", "Returns"]


async def test_a_model_server_that_is_gone_is_not_called_a_missing_model(tmp_path: Path, demo: DemoServices) -> None:
    async with (
        ollama_server(models=MODELS) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        await add(server.client, RETURNS)
    async with served(settings_for(tmp_path / "data", demo, ollama_url="http://127.0.0.1:9")) as server:
        answer = (await server.client.post("/rag/search", json={"query": "goods"})).json()
    assert [notice["reason"] for notice in answer["degraded"]] == ["The model server gives no embeddings."]


async def test_while_everything_is_embedded_anew_the_old_vectors_answer(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings_for(tmp_path / "data", demo)) as server:
        await add(server.client, RETURNS, title="Returns")
    async with (
        ollama_server(models=MODELS) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        assert await near(server, "send goods back") == ["Returns"]
        assert await models(server) == ("all-MiniLM-L6-v2", NOMIC, True)
        ollama.may_embed = asyncio.Event()
        job_id = (await server.client.post("/rag/reindex")).json()["job_id"]
        again = (await server.client.post("/rag/reindex")).json()["job_id"]
        await add(server.client, DEPOSIT, title="Deposit")
        assert sorted(await near(server, "send goods back")) == ["Deposit", "Returns"]
        assert await models(server) == ("all-MiniLM-L6-v2", NOMIC, True)
        ollama.may_embed.set()
        assert (again, (await ended(server.client, job_id))["state"]) == (job_id, "done")
        assert await models(server) == (NOMIC, NOMIC, False)
        assert sorted(await near(server, "send goods back")) == ["Deposit", "Returns"]


async def test_replicas_share_a_chroma_server_and_do_without_while_it_is_gone(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with chroma_server(tmp_path / "chroma") as chroma, mongo_server(tmp_path / "mongo") as mongo:
        shared = {"chroma_url": chroma.url, "mongodb_url": mongo.url, "mongodb_database": "knowledge"}
        async with (
            served(settings_for(tmp_path / "a", demo, **shared)) as one,
            served(settings_for(tmp_path / "b", demo, **shared)) as other,
        ):
            await add(one.client, RETURNS, title="Returns")
            assert await near(other, "bring goods back") == ["Returns"]
            async with asyncio.timeout(20):
                while not await search(other.client, "postage", way="words"):  # noqa: ASYNC110  # tending ends it
                    await asyncio.sleep(0.1)
            assert (await stats(other.client))["mode"] == "networked"
            await chroma.kill()
            answer = (await other.client.post("/rag/search", json={"query": "postage for faulty articles"})).json()
            assert [hit["found_by"] for hit in answer["hits"]] == [["words"]]
            assert answer["degraded"][0]["mode"] == "degraded"
            added = await add(one.client, DEPOSIT, title="Deposit")
            assert added["state"] == "done"
            await chroma.start()
            async with asyncio.timeout(30):
                while "Deposit" not in await near(other, "reserved money"):  # noqa: ASYNC110  # tending ends it
                    await asyncio.sleep(0.2)


async def test_a_chroma_server_that_comes_back_empty_is_filled_from_the_records(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with (
        chroma_server(tmp_path / "chroma") as chroma,
        served(settings_for(tmp_path / "data", demo, chroma_url=chroma.url)) as server,
    ):
        await add(server.client, RETURNS, title="Returns")
        assert await near(server, "bring goods back") == ["Returns"]
        await chroma.kill()
        assert await near(server, "bring goods back") == []
        await asyncio.to_thread(shutil.rmtree, chroma.folder)
        await chroma.start()
        async with asyncio.timeout(30):
            while not await near(server, "bring goods back"):  # noqa: ASYNC110  # tending ends it
                await asyncio.sleep(0.2)
        async with asyncio.timeout(30):
            while (await stats(server.client))["mode"] != "networked":  # noqa: ASYNC110  # tending ends it
                await asyncio.sleep(0.1)
