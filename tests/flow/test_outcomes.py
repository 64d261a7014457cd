"""What a server says of an approved action is what the service's own truth says, or that nobody knows."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from tests.asking import REFUND, decide, ended, paused, resume
from tests.downstream_document import services_file
from tests.downstream_simulator import Downstream, downstream_simulator
from tests.running import served, server_process, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Downstream]:
    async with downstream_simulator(tmp_path_factory.mktemp("shop"), slow_seconds=1.0) as running:
        yield running


@pytest.fixture
def realm() -> str:
    return uuid4().hex


async def outcome(folder: Path, url: str, **settings: Any) -> dict[str, Any]:
    """Approve a refund at a service and return what the reply says of it."""
    file = services_file(folder, url, timeout_seconds=0.5, settled_after=0.8)
    async with served(settings_for(folder / "data", {}, services_file=file, **settings)) as server:
        run_id, request_id = await paused(server.client)
        await decide(server.client, request_id)
        action: dict[str, Any] = (await resume(server.client, run_id)).json()["actions"][0]
        approval = (await server.client.get(f"/approvals/{request_id}")).json()
        entry = await server.container.ledger.get(action["action_id"])
    assert {action["status"], approval["state"], entry.state} == {action["status"]}
    return {**action, "evidence": entry.evidence}


@pytest.mark.parametrize(
    ("mode", "fault", "status", "evidence", "effects"),
    [
        ("dedupes", "drop_after-1", "executed", "answer", 1),
        ("dedupes", "fail_after-1", "executed", "resend", 1),
        ("dedupes", "fail_before-1", "executed", "resend", 1),
        ("queryable", "drop_after-1", "executed", "lookup", 1),
        ("queryable", "drop_before-1", "executed", "answer", 1),
        ("queryable", "fail_after-1", "executed", "lookup", 1),
        ("queryable", "fail_before-1", "executed", "answer", 1),
        ("queryable", "fail_before", "failed", "lookup", 0),
        ("queryable", "slow_before-1", "executed", "lookup", 1),
        ("queryable", "slow_after-1", "executed", "lookup", 1),
        ("neither", "drop_after-1", "unknown", "none", 1),
        ("neither", "drop_before-1", "unknown", "none", 0),
        ("neither", "fail_after-1", "unknown", "none", 1),
        ("neither", "none", "executed", "answer", 1),
    ],
)
async def test_a_lost_answer_is_found_out_where_the_service_can_tell(
    shop: Downstream, realm: str, tmp_path: Path, mode: str, fault: str, status: str, evidence: str, effects: int
) -> None:
    action = await outcome(tmp_path, shop.url(realm, mode, fault), action_resolve_seconds=3)
    assert (action["status"], action["evidence"]) == (status, evidence)
    assert len(shop.events(realm)) == effects


@pytest.mark.parametrize("mode", ["dedupes", "queryable"])
async def test_who_gets_no_word_from_a_service_says_that_nobody_knows(
    shop: Downstream, realm: str, tmp_path: Path, mode: str
) -> None:
    url = shop.url(realm, mode, "hold_after")
    action = await outcome(tmp_path, url, action_resolve_seconds=0.5, breaker_minimum_calls=100)
    expected = {"dedupes": ("unknown", 1), "queryable": ("executed", 1)}
    assert (action["status"], len(shop.events(realm))) == expected[mode]


@asynccontextmanager
async def in_doubt(folder: Path, url: str) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """Approve a refund whose answer is lost, and with it the circuit; yield a client and the run's id."""
    file = services_file(folder, url, timeout_seconds=0.5, settled_after=0.1)
    breaker = {"breaker_minimum_calls": 1, "breaker_open_seconds": 2.0}
    settings = settings_for(folder / "data", {}, services_file=file, action_resolve_seconds=0.1, **breaker)
    async with served(settings) as server:
        run_id, request_id = await paused(server.client)
        await decide(server.client, request_id)
        answer = await resume(server.client, run_id)
        assert (answer.status_code, answer.json()["actions"][0]["status"]) == (202, "waiting")
        yield server.client, run_id


@pytest.mark.parametrize(("mode", "evidence"), [("dedupes", "resend"), ("queryable", "lookup")])
async def test_a_service_that_could_tell_is_waited_for_while_its_circuit_is_open(
    shop: Downstream, realm: str, tmp_path: Path, mode: str, evidence: str
) -> None:
    async with in_doubt(tmp_path, shop.url(realm, mode, "drop_after-1")) as (client, run_id):
        action = await ended(client, run_id)
        (entry,) = (await client.get("/actions")).json()["actions"]
        sent = (await client.get("/audit", params={"event": "action.sent"})).json()["entries"]
    assert (action["status"], entry["evidence"]) == ("executed", evidence)
    assert (len(shop.events(realm)), len(sent)) == (1, 1)


@pytest.mark.parametrize("mode", ["dedupes", "queryable"])
async def test_a_service_that_could_tell_is_not_waited_for_for_ever(
    shop: Downstream, realm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    async with in_doubt(tmp_path, shop.url(realm, mode, "drop_after-1")) as (client, run_id):
        await client.post("/circuit-breakers/shop/force-open", json={})
        monkeypatch.setattr("nodes.act.KEY_LASTS", timedelta(seconds=1))
        action = await ended(client, run_id)
    assert (action["status"], len(shop.events(realm))) == ("unknown", 1)


@pytest.mark.parametrize(("mode", "state"), [("dedupes", {"unknown"}), ("queryable", {"unknown", "executed"})])
async def test_what_may_have_been_sent_is_unknown_when_its_run_is_cancelled(
    shop: Downstream, realm: str, tmp_path: Path, mode: str, state: set[str]
) -> None:
    async with in_doubt(tmp_path, shop.url(realm, mode, "drop_after-1")) as (client, run_id):
        cancelled = (await client.post(f"/orchestrations/{run_id}/cancel")).json()
        (entry,) = (await client.get("/actions")).json()["actions"]
    assert (cancelled["status"], cancelled["actions"][0]["status"]) == ("cancelled", "unknown")
    assert entry["state"] in state  # the service's own records are asked again afterwards


@pytest.mark.parametrize(
    ("mode", "fault", "status", "effects"),
    [
        ("dedupes", "hold_after-1", "executed", 1),
        ("dedupes", "hold_before-1", "executed", 1),
        ("queryable", "hold_after-1", "executed", 1),
        ("queryable", "hold_before-1", "executed", 1),
        ("neither", "hold_after-1", "unknown", 1),
        ("neither", "hold_before-1", "unknown", 0),
    ],
)
async def test_a_server_killed_while_it_sends_finds_out_what_happened(
    shop: Downstream, realm: str, tmp_path: Path, mode: str, fault: str, status: str, effects: int
) -> None:
    file = services_file(tmp_path, shop.url(realm, mode, fault), settled_after=0.3)
    async with (
        server_process(tmp_path / "data", {}, SERVICES_FILE=str(file)) as process,
        httpx2.AsyncClient(base_url=process.url, trust_env=False, timeout=30) as client,
    ):
        run_id, request_id = await paused(client, REFUND)
        await decide(client, request_id)
        await shop.happened(realm, "effect" if fault.startswith("hold_after") else "arrived")
        await process.end(signal.SIGKILL)
        await process.start()
        action = (await resume(client, run_id)).json()["actions"][0]
    assert (action["status"], len(shop.events(realm))) == (status, effects)
    assert {each.key for each in shop.events(realm, "arrived")} == {f"{request_id}-{action['digest'][:32]}"}
