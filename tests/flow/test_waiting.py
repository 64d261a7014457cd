"""What happens to an approved action between the yes and the send: it waits, and the world is asked again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
import yaml

from checkpoints.locks import Lease, writing_under
from domain.actions import Action, Call
from domain.errors import StoreUnavailable
from domain.ledger import Order
from tests.asking import REFUND, decide, ended, paused, resume
from tests.downstream_document import services_file
from tests.downstream_simulator import Downstream, downstream_simulator
from tests.experimenting import begun, get
from tests.running import Served, served, settings_for
from tools.toolbox import Toolbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Downstream]:
    async with downstream_simulator(tmp_path_factory.mktemp("shop")) as running:
        yield running


@pytest.fixture
def realm() -> str:
    return uuid4().hex


def policy(folder: Path, **rule: Any) -> Path:
    """Write a policy of one rule."""
    path = folder / f"policy-{uuid4().hex}.yaml"
    path.write_text(yaml.safe_dump({"rules": [{"name": "only", "when": {}, "then": "ask", **rule}]}))
    return path


@asynccontextmanager
async def shopping(folder: Path, url: str, **rule: Any) -> AsyncIterator[Served]:
    """Serve on a data folder, one service and one rule."""
    file = services_file(folder, url)
    async with served(
        settings_for(folder / "data", {}, services_file=file, policy_file=policy(folder, **rule))
    ) as server:
        yield server


def proposed(box: Toolbox) -> Action:
    call = Call(service="shop", operation="refundOrder", arguments={"order_id": 1, "amount": 5})
    return box.propose(call, run_id="run_1", step=1, index=0, thread_id="thr", requester="ann/1", policy="p")


async def waiting(client: httpx2.AsyncClient, *, seconds: float | None = None) -> tuple[str, str, dict[str, Any]]:
    """Approve a refund whose service's circuit is open; return the ids of run and request, and the run's answer."""
    run_id, request_id = await paused(client, REFUND)
    order = {"expires_in_seconds": seconds} if seconds else {}
    assert (await client.post("/circuit-breakers/shop/force-open", json=order)).status_code == 200
    await decide(client, request_id)
    answer = await resume(client, run_id)
    assert answer.status_code == 202, answer.text
    return run_id, request_id, answer.json()


async def test_an_approved_action_waits_for_an_open_circuit_and_is_sent_by_the_probe(
    shop: Downstream, realm: str, tmp_path: Path
) -> None:
    async with shopping(tmp_path, shop.url(realm, "neither")) as server:
        run_id, request_id, answer = await waiting(server.client, seconds=1)
        listed = (await server.client.get("/actions", params={"state": "waiting"})).json()["actions"]
        approval = (await server.client.get(f"/approvals/{request_id}")).json()
        action = await ended(server.client, run_id)
        events = (await server.client.get(f"/orchestrations/{run_id}/stream")).text
    assert (answer["status"], answer["actions"][0]["status"], approval["state"]) == ("running", "waiting", "claimed")
    assert "circuit" in answer["actions"][0]["result"]
    assert [each["reason"] for each in listed] == [answer["actions"][0]["result"]]
    assert (action["status"], len(shop.events(realm, "arrived"))) == ("executed", 1)
    assert '"outcome":"waiting"' in events


async def test_an_action_that_a_breaker_kept_back_is_counted_for_the_experiment(
    shop: Downstream, realm: str, tmp_path: Path
) -> None:
    async with shopping(tmp_path, shop.url(realm, "neither")) as server:
        experiment_id = await begun(server.client)
        run_id, _, _ = await waiting(server.client, seconds=1)
        action = await ended(server.client, run_id)
        results = (await get(server.client, f"/experiments/{experiment_id}"))["results"]
    refusals = [each["metrics"].get("breaker_refusals") for each in results["variants"]]
    assert action["status"] == "executed"
    assert [(each["events"], each["total"]) for each in refusals if each] == [(1, 1)]


async def test_a_waiting_action_can_be_cancelled(shop: Downstream, realm: str, tmp_path: Path) -> None:
    async with shopping(tmp_path, shop.url(realm, "neither")) as server:
        run_id, request_id, _ = await waiting(server.client)
        cancelled = (await server.client.post(f"/orchestrations/{run_id}/cancel")).json()
        approval = (await server.client.get(f"/approvals/{request_id}")).json()
        (entry,) = (await server.client.get("/actions")).json()["actions"]
        logged = (await server.client.get("/audit")).json()["entries"]
    assert [(each["event"], each["outcome"], each["actor"]) for each in logged if each["request_id"]] == [
        ("approval.decided", "approved", "anonymous"),
        ("approval.cancelled", "cancelled", "anonymous"),
        ("action.finished", "cancelled", "anonymous/1"),
    ]
    (step,) = [each for each in approval["history"] if each["what"] == "cancelled"]
    assert (step["by"], step["at"] < approval["expires_at"]) == ("anonymous", True)
    assert (cancelled["status"], cancelled["actions"][0]["status"]) == ("cancelled", "cancelled")
    assert (approval["state"], entry["state"], shop.events(realm, "arrived")) == ("cancelled", "cancelled", [])


async def test_a_waiting_action_outlives_the_server(shop: Downstream, realm: str, tmp_path: Path) -> None:
    url = shop.url(realm, "neither")
    async with shopping(tmp_path, url) as server:
        run_id, _, _ = await waiting(server.client)
    async with shopping(tmp_path, url) as server:
        await server.client.post("/circuit-breakers/shop/reset", json={})
        action = await ended(server.client, run_id)
    assert (action["status"], len(shop.events(realm, "arrived"))) == ("executed", 1)


async def test_a_plain_action_fails_at_once_behind_an_open_circuit(
    shop: Downstream, realm: str, tmp_path: Path
) -> None:
    async with shopping(tmp_path, shop.url(realm, "neither"), then="run") as server:
        await server.client.post("/circuit-breakers/shop/force-open", json={})
        message = {"user_id": 1, "session_id": "s1", "message": REFUND}
        body = (await server.client.post("/orchestrate", json=message)).json()
    assert (body["status"], body["actions"][0]["status"]) == ("completed", "failed")
    assert shop.events(realm, "arrived") == []


async def test_what_waits_longer_than_it_may_is_never_sent(shop: Downstream, realm: str, tmp_path: Path) -> None:
    async with shopping(tmp_path, shop.url(realm, "neither"), execute_within_seconds=1) as server:
        run_id, request_id, _ = await waiting(server.client)
        action = await ended(server.client, run_id)
        approval = (await server.client.get(f"/approvals/{request_id}")).json()
    assert (action["status"], approval["state"]) == ("denied", "execution_expired")
    assert "the time to carry it out is over" in action["result"]
    assert shop.events(realm, "arrived") == []


async def test_what_the_policy_denies_by_now_is_never_sent(shop: Downstream, realm: str, tmp_path: Path) -> None:
    url = shop.url(realm, "neither")
    async with shopping(tmp_path, url) as server:
        run_id, request_id, _ = await waiting(server.client)
    async with shopping(tmp_path, url, then="deny", reason="No money today.") as server:
        action = await ended(server.client, run_id)
        (entry,) = (await server.client.get("/actions")).json()["actions"]
        approval = (await server.client.get(f"/approvals/{request_id}")).json()
    assert (action["status"], entry["state"], approval["state"]) == ("denied", "denied", "failed")
    assert "No money today." in action["result"]
    assert shop.events(realm, "arrived") == []


async def test_a_process_that_was_stopped_past_its_lease_right_before_the_send_sends_nothing(
    shop: Downstream, realm: str, tmp_path: Path
) -> None:
    """The lease's clock jumps when the intent is written; the next look is the one before the first byte."""
    looks = iter([0.0])
    lease = Lease("thr", number=1, clock=lambda: next(looks, 100.0))
    lease.renewed(until=50.0)
    async with shopping(tmp_path, shop.url(realm, "neither"), then="run") as server:
        sender, box = server.container.afterwards.sender, server.container.toolbox
        action = proposed(box)
        order = Order(action=action, run_id="run_1", requester="ann/1")
        with writing_under(lease), pytest.raises(StoreUnavailable, match="lost the thread's lease"):
            await sender.carry_out(order)
        assert shop.events(realm, "arrived") == []
        assert (await server.container.ledger.get(action.action_id)).state == "waiting"
        assert (await sender.carry_out(order)).outcome == "executed"
    assert len(shop.events(realm, "arrived")) == 1
