"""Every run of a variant's user is measured, and measured once, wherever the server is killed."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx2

from tests.experimenting import begun
from tests.running import server_process
from tests.services import DemoServices

type Json = dict[str, Any]


async def speak(client: httpx2.AsyncClient, user_id: int) -> None:
    try:
        await client.post("/orchestrate", json={"user_id": user_id, "session_id": "s1", "message": "hello there"})
    except httpx2.TransportError:
        return  # the server was killed


async def runs(client: httpx2.AsyncClient) -> list[Json]:
    """Return every run, once all of them have ended."""
    async with asyncio.timeout(60):
        while True:
            found: list[Json] = (await client.get("/orchestrations", params={"limit": 100})).json()["orchestrations"]
            if all(each["status"] == "completed" for each in found):
                return found
            await asyncio.sleep(0.1)


async def test_runs_are_measured_once_whenever_the_server_is_killed(tmp_path: Path, demo: DemoServices) -> None:
    async with (
        server_process(tmp_path / "data", demo) as process,
        httpx2.AsyncClient(base_url=process.url, timeout=30, trust_env=False) as client,
    ):
        experiment_id = await begun(client)
        for turn, delay in enumerate((0.05, 0.2, 0.6, 1.2)):
            speaking = [asyncio.create_task(speak(client, 10 * turn + number)) for number in range(10)]
            await asyncio.sleep(delay)
            await process.end(signal.SIGKILL)
            await asyncio.gather(*speaking)
            await process.start()
        done = await runs(client)
        details: Json = (await client.get(f"/experiments/{experiment_id}")).json()
    variants = details["results"]["variants"]
    measured = sum(each["metrics"]["latency_ms"]["events"] for each in variants)
    assert len(done) > 10
    assert (details["results"]["exposures"], measured) == (len(done), len(done))
