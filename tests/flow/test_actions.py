"""What was really sent, over HTTP, and a human's word where nobody knows what came of it."""

import asyncio
import hashlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from tests.asking import REFUND, decide, paused, resume
from tests.downstream_document import services_file
from tests.downstream_simulator import Downstream, downstream_simulator
from tests.running import Served, served, server_process, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Downstream]:
    async with downstream_simulator(tmp_path_factory.mktemp("shop")) as running:
        yield running


@pytest.fixture
def realm() -> str:
    return uuid4().hex


@asynccontextmanager
async def shopping(folder: Path, url: str, **settings: Any) -> AsyncIterator[Served]:
    """Serve on a data folder and one service."""
    file = services_file(folder, url, timeout_seconds=0.5, settled_after=0.2)
    given = {"services_file": file, "action_resolve_seconds": 0.2, **settings}
    async with served(settings_for(folder / "data", {}, **given)) as server:
        yield server


async def unknown(client: httpx2.AsyncClient) -> tuple[str, str, str]:
    """Approve a refund whose answer is lost; return the ids of its run, request and action."""
    run_id, request_id = await paused(client, REFUND)
    await decide(client, request_id)
    (action,) = (await resume(client, run_id)).json()["actions"]
    assert action["status"] == "unknown"
    return run_id, request_id, action["action_id"]


async def reconcile(client: httpx2.AsyncClient, action_id: str, verdict: str, **more: Any) -> httpx2.Response:
    body = {"verdict": verdict, "by": 7, "note": "looked it up", **more}
    return await client.post(f"/actions/{action_id}/reconcile", json=body)


async def run_says(client: httpx2.AsyncClient, run_id: str, status: str) -> dict[str, Any]:
    """Wait until a run's record says this of its only action, and return the action."""
    async with asyncio.timeout(10):
        while True:
            action: dict[str, Any] = (await client.get(f"/orchestrations/{run_id}")).json()["actions"][0]
            if action["status"] == status:
                return action
            await asyncio.sleep(0.02)


def thread_of(run: dict[str, Any]) -> Any:
    return {"configurable": {"thread_id": run["thread_id"]}}


async def in_doubt(client: httpx2.AsyncClient, action_id: str) -> None:
    """Wait until nobody knows what came of an action."""
    async with asyncio.timeout(10):
        while (await client.get(f"/actions/{action_id}")).json()["state"] != "unknown":  # noqa: ASYNC110  # over HTTP
            await asyncio.sleep(0.02)


async def test_unknown_actions_are_listed_and_shown(shop: Downstream, realm: str, tmp_path: Path) -> None:
    async with shopping(tmp_path, shop.url(realm, "neither", "drop_after-1")) as server:
        run_id, request_id, action_id = await unknown(server.client)
        page = (await server.client.get("/actions", params={"state": "unknown"})).json()
        one = (await server.client.get(f"/actions/{action_id}")).json()
        other = (await server.client.get("/actions", params={"state": "executed"})).json()
    assert (page["total"], page["actions"], other["actions"]) == (1, [one], [])
    (effect,) = shop.events(realm)
    assert (one["orchestration_id"], one["approval_id"], one["idempotency_key"]) == (run_id, request_id, effect.key)
    assert (one["arguments"], one["evidence"], one["requester"]) == (
        {"amount": 500, "order_id": 1001},
        "none",
        "anonymous/1",
    )


@pytest.mark.parametrize(
    ("verdict", "state", "said"),
    [("happened", "executed", "was carried out"), ("did_not_happen", "failed", "was not carried out")],
)
async def test_a_human_settles_an_unknown_action_and_everybody_hears_of_it(
    shop: Downstream, realm: str, tmp_path: Path, verdict: str, state: str, said: str
) -> None:
    async with shopping(tmp_path, shop.url(realm, "neither", "drop_after-1")) as server:
        run_id, request_id, action_id = await unknown(server.client)
        first = await reconcile(server.client, action_id, verdict)
        again = await reconcile(server.client, action_id, verdict)
        other = await reconcile(server.client, action_id, "retry")
        await run_says(server.client, run_id, state)
        run = (await server.client.get(f"/orchestrations/{run_id}")).json()
        approval = (await server.client.get(f"/approvals/{request_id}")).json()
        window = (await server.container.afterwards.graph.aget_state(thread_of(run))).values["window"]
    assert (first.status_code, first.json()["state"], again.json()) == (200, state, first.json())
    assert (other.status_code, other.json()["type"]) == (409, "/problems/already-reconciled")
    assert (approval["state"], len(shop.events(realm))) == (state, 1)
    assert "could not find out" in run["reply"]
    assert run["reply"].endswith(f"\n\nFound out later: refundOrder of shop {said}.")
    assert '"outcome":"unknown"' in window[-3]["content"]
    assert f'"outcome":"{state}"' in window[-1]["content"]


@pytest.mark.parametrize(
    ("mode", "fault", "effects"), [("neither", "drop_before-1", 1), ("neither", "drop_after-1", 2)]
)
async def test_a_retry_is_sent_once_more_under_the_same_key(
    shop: Downstream, realm: str, tmp_path: Path, mode: str, fault: str, effects: int
) -> None:
    async with shopping(tmp_path, shop.url(realm, mode, fault)) as server:
        run_id, request_id, action_id = await unknown(server.client)
        answers = await asyncio.gather(*(reconcile(server.client, action_id, "retry") for _ in range(5)))
        action = await run_says(server.client, run_id, "executed")
        approval = (await server.client.get(f"/approvals/{request_id}")).json()
    assert ({each.status_code for each in answers}, action["http_status"], approval["state"]) == (
        {200},
        201,
        "executed",
    )
    arrived = shop.events(realm, "arrived")
    assert (len(arrived), len({each.key for each in arrived}), len(shop.events(realm))) == (2, 1, effects)


async def test_one_word_for_a_retry_sends_once_however_often_it_comes(
    shop: Downstream, realm: str, tmp_path: Path
) -> None:
    async with shopping(tmp_path, shop.url(realm, "neither", "drop_after-9")) as server:
        _, _, action_id = await unknown(server.client)
        await reconcile(server.client, action_id, "retry")
        await shop.happened(realm, times=2)
        await in_doubt(server.client, action_id)
        late = await asyncio.gather(*(reconcile(server.client, action_id, "retry") for _ in range(5)))
        assert [(each.status_code, each.json()["state"]) for each in late] == [(200, "unknown")] * 5
        stale = await reconcile(server.client, action_id, "happened", known=0)
        meant = await asyncio.gather(*(reconcile(server.client, action_id, "retry", known=1) for _ in range(5)))
        await shop.happened(realm, times=3)
        await in_doubt(server.client, action_id)
        await reconcile(server.client, action_id, "retry", known=1)
        done = await reconcile(server.client, action_id, "happened", known=2)
    assert (stale.status_code, {each.status_code for each in meant}, done.json()["state"]) == (409, {200}, "executed")
    assert len(shop.events(realm, "arrived")) == 3


async def test_a_retry_outlives_the_server_and_its_second_doubt_waits_for_a_human_again(
    shop: Downstream, realm: str, tmp_path: Path
) -> None:
    file = services_file(tmp_path, shop.url(realm, "neither", "hold_after-2"), timeout_seconds=1)
    async with (
        server_process(tmp_path / "data", {}, SERVICES_FILE=str(file)) as process,
        httpx2.AsyncClient(base_url=process.url, trust_env=False, timeout=30) as client,
    ):
        _, _, action_id = await unknown(client)
        await reconcile(client, action_id, "retry")
        await shop.happened(realm, times=2)
        await process.end(signal.SIGKILL)
        await process.start()
        await in_doubt(client, action_id)
        assert len(shop.events(realm, "arrived")) == 2
        assert (await reconcile(client, action_id, "happened")).json()["state"] == "executed"


async def test_what_a_cancelled_run_left_open_is_looked_up(shop: Downstream, realm: str, tmp_path: Path) -> None:
    file = services_file(tmp_path, shop.url(realm, "queryable", "hold_after-1"), settled_after=0.2)
    async with (
        server_process(tmp_path / "data", {}, SERVICES_FILE=str(file)) as process,
        httpx2.AsyncClient(base_url=process.url, trust_env=False, timeout=30) as client,
    ):
        run_id, request_id = await paused(client, REFUND)
        await decide(client, request_id)
        await shop.happened(realm)
        cancelling = asyncio.create_task(client.post(f"/orchestrations/{run_id}/cancel"))
        await asyncio.wait({cancelling}, timeout=0.2)
        await process.end(signal.SIGKILL)
        await process.start()
        await asyncio.gather(cancelling, return_exceptions=True)
        await client.post(f"/orchestrations/{run_id}/cancel")
        action = await run_says(client, run_id, "executed")
        entry = (await client.get(f"/actions/{action['action_id']}")).json()
    assert entry["evidence"] == "lookup"
    assert len(shop.events(realm)) == 1


async def test_only_those_who_may_reconcile_and_see_their_own(shop: Downstream, realm: str, tmp_path: Path) -> None:
    keys = {name: f"{name}-key" for name in ("ann", "bob", "app")}
    roles = {"ann": "user+approver", "bob": "user", "app": "approver"}
    api_keys = ",".join(
        f"{name}:{roles[name]}:{hashlib.sha256(key.encode()).hexdigest()}" for name, key in keys.items()
    )
    async with shopping(tmp_path, shop.url(realm, "neither", "drop_after-1"), api_keys=api_keys) as server:
        server.client.headers["X-API-Key"] = keys["ann"]
        _, _, action_id = await unknown(server.client)
        server.client.headers["X-API-Key"] = keys["bob"]
        assert (await server.client.get("/actions")).json()["actions"] == []
        assert (await server.client.get(f"/actions/{action_id}")).status_code == 404
        assert (await reconcile(server.client, action_id, "happened")).status_code == 403
        server.client.headers["X-API-Key"] = keys["app"]
        assert (await server.client.get("/actions")).json()["total"] == 1
        assert (await reconcile(server.client, action_id, "happened")).status_code == 200


async def test_every_step_of_a_doubt_is_in_the_audit_log(shop: Downstream, realm: str, tmp_path: Path) -> None:
    async with shopping(tmp_path, shop.url(realm, "neither", "drop_after-2")) as server:
        run_id, _, action_id = await unknown(server.client)
        await reconcile(server.client, action_id, "retry")
        await shop.happened(realm, times=2)
        await in_doubt(server.client, action_id)
        await reconcile(server.client, action_id, "happened")
        await run_says(server.client, run_id, "executed")
        entries = (await server.client.get("/audit", params={"action_id": action_id})).json()["entries"]
    told = [(each["event"], each["outcome"]) for each in entries if each["event"].startswith("action.")]
    assert told == [
        ("action.sent", "sent"),
        ("action.finished", "unknown"),
        ("action.reconciled", "retry"),
        ("action.sent", "sent"),
        ("action.finished", "unknown"),
        ("action.reconciled", "happened"),
    ]
