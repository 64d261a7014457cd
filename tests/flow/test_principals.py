"""Keys, roles and ownership: what is somebody else's is not there."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from tests.asking import REFUND, ask, decide, paused
from tests.running import Served, refused, served, settings_for
from tests.services import DemoServices

ROLES = {"ann": "user", "bob": "user", "eve": "approver", "oli": "operator"}


def api_keys() -> str:
    return ",".join(
        f"{name}:{role}:{hashlib.sha256(f'key-{name}'.encode()).hexdigest()}" for name, role in ROLES.items()
    )


@pytest.fixture
async def locked(tmp_path: Path, demo: DemoServices) -> AsyncIterator[Served]:
    settings = settings_for(tmp_path / "data", demo, environment="production", api_keys=SecretStr(api_keys()))
    async with served(settings) as running:
        yield running


def caller(locked: Served, name: str) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer key-{name}"}
    return httpx2.AsyncClient(base_url=locked.url, headers=headers, timeout=30, trust_env=False)


async def test_production_without_keys_does_not_start(tmp_path: Path) -> None:
    told = await refused(ENVIRONMENT="production", DATA_DIR=str(tmp_path), API_KEYS="")
    assert "ENVIRONMENT=production needs API_KEYS" in told


@pytest.mark.parametrize("entry", ["ann", "ann:user:short", "ann:king:" + "0" * 64, "a b:user:" + "0" * 64])
async def test_a_key_that_is_none_does_not_start_and_is_not_shown(tmp_path: Path, entry: str) -> None:
    told = await refused(DATA_DIR=str(tmp_path), API_KEYS=entry)
    assert "entry 1 is not" in told
    assert "0" * 64 not in told


async def test_without_a_known_key_nothing_but_health_answers(locked: Served) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-API-Key": "wrong"}):
        answer = await locked.client.get("/orchestrations", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await locked.client.get("/health")).status_code == 200
    assert (await locked.client.get("/orchestrations", headers={"X-API-Key": "key-ann"})).status_code == 200


async def test_what_is_somebody_elses_is_not_found(locked: Served) -> None:
    async with caller(locked, "ann") as ann, caller(locked, "bob") as bob:
        run_id, request_id = await paused(ann)
        paths = ["GET /orchestrations/{}", "POST /orchestrations/{}/resume", "POST /orchestrations/{}/cancel",
                 "GET /orchestrations/{}/stream"]  # fmt: skip
        for method, path in (each.split(" ") for each in paths):
            assert (await bob.request(method, path.format(run_id))).status_code == 404
        stolen = {"Last-Event-ID": f"{run_id}:1:0"}
        body = {"user_id": 1, "session_id": "s1", "message": "x"}
        assert (await bob.post("/orchestrate/stream", json=body, headers=stolen)).status_code == 404
        assert (await bob.get(f"/approvals/{request_id}")).status_code == 404
        assert (await bob.get("/approvals/pending")).json()["total"] == 0
        assert (await bob.get("/orchestrations")).json()["orchestrations"] == []
        assert (await ann.get(f"/orchestrations/{run_id}")).json()["status"] == "awaiting_approval"


async def test_the_same_user_and_session_of_two_principals_are_two_threads(locked: Served) -> None:
    async with caller(locked, "ann") as ann, caller(locked, "bob") as bob:
        anns = (await ask(ann, "show order 1001")).json()
        bobs = (await ask(bob, "what did I ask before?")).json()
    assert anns["thread_id"] != bobs["thread_id"]
    assert "1001" not in bobs["reply"]


async def test_only_an_approver_decides(locked: Served) -> None:
    async with caller(locked, "ann") as ann, caller(locked, "eve") as eve:
        _, request_id = await paused(ann)
        denied = await decide(ann, request_id)
        seen = (await eve.get("/approvals/pending")).json()["approvals"]
        decided = await decide(eve, request_id)
        asked = await ask(eve, REFUND)
    assert (denied.status_code, denied.json()["type"]) == (403, "/problems/forbidden")
    assert [request["request_id"] for request in seen] == [request_id]
    assert (decided.status_code, decided.json()["verdict"]["decided_by"]) == (200, "eve")
    assert asked.status_code == 403


async def test_operations_are_for_operators(locked: Served) -> None:
    async with caller(locked, "ann") as ann, caller(locked, "oli") as oli:
        for path in ("/config", "/connection-stats"):
            assert (await ann.get(path)).status_code == 403
            assert (await oli.get(path)).status_code == 200
        run_id, _ = await paused(ann)
        assert (await oli.get(f"/orchestrations/{run_id}")).status_code == 200
