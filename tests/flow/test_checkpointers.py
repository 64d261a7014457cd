"""Every CHECKPOINTER in a server of its own: a pause outlives it, and what makes no sense is refused."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.asking import decide, paused, refunds, resume
from tests.redis_server import redis_server
from tests.running import free_port, refused, server_process
from tests.services import DemoServices

SERVED_BY = {
    "redis": "Redis",
    "redis-json": "Redis, as JSON (langgraph-checkpoint-redis)",
    "sqlite": "SQLite file",
    "memory": "memory",
}


def client_of(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False)


async def port_of(client: httpx2.AsyncClient, name: str) -> dict[str, Any]:
    ports = (await client.get("/feature-status")).json()["ports"]
    found: dict[str, Any] = next(port for port in ports if port["port"] == name)
    return found


@pytest.mark.parametrize("checkpointer", SERVED_BY)
async def test_a_pause_outlives_the_server_and_is_carried_out_once(
    tmp_path: Path, demo: DemoServices, checkpointer: str
) -> None:
    async with redis_server(tmp_path / "redis") as redis:
        told: Any = {"CHECKPOINTER": checkpointer, "REDIS_URL": redis.url, "LEASE_SECONDS": "2"}
        async with server_process(tmp_path / "data", demo, **told) as process, client_of(process.url) as client:
            run_id, request_id = await paused(client)
            assert (await port_of(client, "checkpoints"))["form"].startswith(SERVED_BY[checkpointer])
        async with server_process(tmp_path / "data", demo, **told) as process, client_of(process.url) as client:
            await decide(client, request_id)
            body = (await resume(client, run_id)).json()
    assert (body["status"], [action["status"] for action in body["actions"]]) == ("completed", ["executed"])
    assert len(await refunds(demo["cloudapp"])) == 1


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"CHECKPOINTER": "mysql"}, "CHECKPOINTER"),
        ({"CHECKPOINTER": "redis"}, "CHECKPOINTER=redis needs REDIS_URL."),
        ({"CHECKPOINTER": "redis-json"}, "CHECKPOINTER=redis-json needs REDIS_URL."),
        ({"CHECKPOINTS_KEPT": "-1"}, "CHECKPOINTS_KEPT"),
        ({"CHECKPOINT_KEY": "short"}, "CHECKPOINT_KEY is no key"),
    ],
)
async def test_what_makes_no_sense_stops_the_start(tmp_path: Path, told: dict[str, str], words: str) -> None:
    assert words in await refused(DATA_DIR=str(tmp_path), **told)


async def test_a_cluster_stops_the_start(tmp_path: Path) -> None:
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    async with redis_server(tmp_path / "redis", modules=False, options=options) as node:
        assert "a node of a Redis Cluster" in await refused(DATA_DIR=str(tmp_path), REDIS_URL=node.url)
