"""The same product on Redis and MongoDB: what it uses it says, and what it loses it says too."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.asking import REFUND, ask, decide, paused, refunds, resume
from tests.networked import Servers, store_servers
from tests.redis_server import redis_server
from tests.running import Served, refused, served, settings_for
from tests.services import DemoServices


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Servers]:
    async with store_servers(tmp_path / "stores") as servers:
        yield servers


@pytest.fixture
async def networked(tmp_path: Path, demo: DemoServices, stores: Servers) -> AsyncIterator[Served]:
    async with served(settings_for(tmp_path / "data", demo, **stores.settings())) as running:
        yield running


async def modes(server: Served) -> dict[str, tuple[str, bool]]:
    ports: list[dict[str, Any]] = (await server.client.get("/feature-status")).json()["ports"]
    return {port["port"]: (port["mode"], port["healthy"]) for port in ports}


async def test_what_is_configured_is_used_and_said(networked: Served) -> None:
    assert await modes(networked) == {
        "model": ("embedded", True),
        "checkpoints": ("networked", True),
        "documents": ("networked", True),
        "locks": ("networked", True),
        "breakers": ("networked", True),
        "knowledge": ("embedded", True),
    }
    stats = (await networked.client.get("/connection-stats")).json()
    assert set(stats["redis"]) == {"idle_connections", "in_use_connections", "max_connections"}
    assert stats["mongodb"]["pool_max"] == 50
    assert "test_" in (await networked.client.get("/config")).json()["MONGODB_DATABASE"]


async def test_the_tour_works_on_them(networked: Served, demo: DemoServices) -> None:
    pets = (await ask(networked.client, "which pets are available?")).json()
    run_id, request_id = await paused(networked.client)
    await decide(networked.client, request_id)
    body = (await resume(networked.client, run_id)).json()
    assert "Whiskers" in pets["reply"]
    assert (body["status"], body["actions"][0]["status"]) == ("completed", "executed")
    assert len(await refunds(demo["cloudapp"])) == 1
    assert REFUND in (await ask(networked.client, "what did I ask before?")).json()["reply"]


async def test_either_of_two_servers_serves_any_thread(tmp_path: Path, demo: DemoServices, stores: Servers) -> None:
    first_settings = settings_for(tmp_path / "one", demo, **stores.settings())
    second_settings = settings_for(tmp_path / "two", demo, **stores.settings())
    async with served(first_settings) as first, served(second_settings) as second:
        run_id, request_id = await paused(first.client)
        assert (await second.client.get("/approvals/pending")).json()["total"] == 1
        await decide(second.client, request_id)
        bodies = [(await resume(server.client, run_id)).json() for server in (first, second)]
        knows = (await ask(first.client, "what did I ask before?")).json()
    assert [body["status"] for body in bodies] == ["completed", "completed"]
    assert bodies[0]["actions"] == bodies[1]["actions"]
    assert len(await refunds(demo["cloudapp"])) == 1
    assert REFUND in knows["reply"]


@pytest.mark.parametrize("lost", ["redis", "mongo"])
async def test_a_lost_store_is_503_and_comes_back_without_a_restart(
    networked: Served, stores: Servers, demo: DemoServices, lost: str
) -> None:
    run_id, request_id = await paused(networked.client)
    store = stores.redis if lost == "redis" else stores.mongo
    await store.kill()
    refusal = await ask(networked.client, "which pets are available?", session_id="s2")
    assert (refusal.status_code, refusal.json()["type"]) == (503, "/problems/store-unavailable")
    assert refusal.headers["retry-after"]
    await asyncio.sleep(2.1)
    health = (await networked.client.get("/health")).json()
    assert health["status"] == "degraded"
    await store.start()
    await decide(networked.client, request_id)
    body = (await resume(networked.client, run_id)).json()
    assert body["status"] == "completed"
    assert len(await refunds(demo["cloudapp"])) == 1
    assert (await ask(networked.client, "which pets are available?", session_id="s3")).status_code == 200


async def test_in_development_a_store_that_does_not_answer_is_stood_in_for_and_said(
    tmp_path: Path, demo: DemoServices
) -> None:
    nowhere = {"redis_url": "redis://127.0.0.1:1/0", "mongodb_url": "mongodb://127.0.0.1:1/"}
    async with served(settings_for(tmp_path / "data", demo, **nowhere)) as server:
        assert (await modes(server))["checkpoints"] == ("degraded", False)
        assert (await modes(server))["documents"] == ("degraded", False)
        health = (await server.client.get("/health")).json()
        body = (await ask(server.client, "which pets are available?")).json()
    assert health["status"] == "degraded"
    assert "Redis does not answer." in health["details"]["checkpoints"]
    assert {"checkpoints", "documents", "locks"} <= {notice["port"] for notice in body["degraded"]}


async def test_in_production_a_store_that_does_not_answer_stops_the_start(tmp_path: Path) -> None:
    keys = f"oli:operator:{'0' * 64}"
    for name, url in (("REDIS_URL", "redis://:pw@127.0.0.1:1/0"), ("MONGODB_URL", "mongodb://me:pw@127.0.0.1:1/")):
        told = await refused(ENVIRONMENT="production", API_KEYS=keys, DATA_DIR=str(tmp_path), **{name: url})
        assert "ALLOW_DEGRADED=true starts without it" in told


async def test_a_redis_without_modules_serves_everything_but_checkpoints_as_json(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with (
        redis_server(tmp_path / "redis", modules=False) as plain,
        served(settings_for(tmp_path / "data", demo, redis_url=plain.url)) as server,
    ):
        seen = await modes(server)
        as_json = settings_for(tmp_path / "other", demo, redis_url=plain.url, checkpointer="redis-json")
        async with served(as_json) as other:
            lacking = await modes(other)
    assert {port: seen[port] for port in ("locks", "breakers", "checkpoints")} == dict.fromkeys(
        ("locks", "breakers", "checkpoints"), ("networked", True)
    )
    assert lacking["checkpoints"] == ("degraded", False)
