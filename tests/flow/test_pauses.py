"""What a run that waits for humans says of itself: how it stands now, not how it stood when it paused."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.asking import ask, decide, paused, resume
from tests.downstream_document import services_file
from tests.downstream_simulator import downstream_simulator
from tests.ollama_server import calls, ollama_server, say
from tests.running import served, settings_for
from tests.services import DemoServices


def refund(amount: int, service: str = "cloudapp") -> tuple[str, dict[str, Any]]:
    return f"{service}__refundOrder", {"order_id": 1001, "amount": amount}


async def told(client: httpx2.AsyncClient, run_id: str) -> dict[str, Any]:
    """Return what a paused run says of itself; every way to ask says the same."""
    one = (await client.get(f"/orchestrations/{run_id}")).json()
    again = await resume(client, run_id)
    (listed,) = (await client.get("/orchestrations")).json()["orchestrations"]
    assert again.status_code == 202
    assert one == again.json() == listed
    return dict(one)


@pytest.mark.parametrize(
    ("approved", "status", "said"),
    [(True, "waiting", "It is approved, and sent when the run goes on."), (False, "rejected", "too much")],
)
async def test_an_action_that_is_decided_does_not_wait_for_a_human_any_more(
    tmp_path: Path, demo: DemoServices, approved: bool, status: str, said: str
) -> None:
    async with (
        ollama_server([calls(refund(5), refund(7)), say("Done.")]) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        asked = (await ask(server.client, "refund twice")).json()
        first, second = asked["approvals"]
        decided = await decide(server.client, first["request_id"], approved=approved, notes=said)
        then = await told(server.client, asked["orchestration_id"])
    assert decided.status_code == 200
    assert asked["reply"] == "2 actions wait for a human's approval and have not been sent."
    assert then["reply"] == "An action waits for a human's approval and has not been sent."
    assert then["approvals"] == [second]
    actions = {each["approval_id"]: (each["status"], each["result"]) for each in then["actions"]}
    assert actions == {first["request_id"]: (status, said), second["request_id"]: ("awaiting_approval", None)}


async def test_an_edited_action_is_shown_as_it_is_now(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings_for(tmp_path / "data", demo)) as server:
        run_id, request_id = await paused(server.client)
        edit = {"edited_arguments": {"order_id": 1001, "amount": 20}, "approver_id": 1}
        record = (await server.client.post(f"/approvals/pending/{request_id}/edit", json=edit)).json()
        then = await told(server.client, run_id)
    (action,) = then["actions"]
    (waits,) = then["approvals"]
    assert {**waits, "interrupt": None} == {**record, "interrupt": None}
    assert waits["interrupt"]["value"]["args"] == record["arguments"]
    assert (action["arguments"], action["digest"]) == (record["arguments"], record["digest"])
    assert (action["status"], action["edited"]) == ("awaiting_approval", True)


async def test_what_was_found_out_at_a_later_gate_is_told(tmp_path: Path) -> None:
    script = calls(refund(5, "shop")), calls(refund(7, "shop"))
    async with downstream_simulator(tmp_path) as shop, ollama_server(script) as ollama:
        url = shop.url(uuid4().hex, "neither", "drop_after-1")
        given = {
            "services_file": services_file(tmp_path, url, timeout_seconds=0.5),
            "action_resolve_seconds": 0.2,
            "ollama_url": ollama.url,
        }
        async with served(settings_for(tmp_path / "data", {}, **given)) as server:
            run_id, request_id = await paused(server.client)
            await decide(server.client, request_id)
            before = (await resume(server.client, run_id)).json()["actions"]
            word = {"verdict": "happened", "by": 1}
            await server.client.post(f"/actions/{before[0]['action_id']}/reconcile", json=word)
            after = (await told(server.client, run_id))["actions"]
    assert [each["status"] for each in before] == ["unknown", "awaiting_approval"]
    assert [each["status"] for each in after] == ["executed", "awaiting_approval"]
