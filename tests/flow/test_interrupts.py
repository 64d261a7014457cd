"""What a client is asked in the exact words of LangChain's tools and Agent Inbox, and that its answer is taken."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.asking import ask, paused, refunds
from tests.ollama_server import calls, ollama_server, say
from tests.running import Served, served, settings_for
from tests.services import DemoServices

NAME = "cloudapp.refundOrder"


def refund(amount: int) -> tuple[str, dict[str, Any]]:
    return "cloudapp__refundOrder", {"order_id": 1001, "amount": amount}


async def test_a_paused_run_asks_once_for_everything_and_takes_one_batch(tmp_path: Path, demo: DemoServices) -> None:
    script = calls(refund(5), refund(7)), say("Done.")
    async with (
        ollama_server(script) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        run = (await ask(server.client, "refund twice")).json()
        asked = run["interrupt"]
        said = [{"type": "approve" if each["args"]["amount"] == 7 else "reject"} for each in asked["action_requests"]]
        resume = f"/orchestrations/{run['orchestration_id']}/resume"
        reply = (await server.client.post(resume, json={"decisions": said})).json()
    assert set(asked) == {"action_requests", "review_configs"}
    assert [set(each) for each in asked["action_requests"]] == [{"name", "args", "description"}] * 2
    allowed = {"action_name": NAME, "allowed_decisions": ["approve", "edit", "reject", "respond"]}
    assert asked["review_configs"] == [allowed] * 2
    assert (reply["status"], reply["approvals"], reply.get("interrupt")) == ("completed", [], None)
    assert [each["amount"] for each in await refunds(demo["cloudapp"])] == [7]


async def test_every_open_request_says_the_same_question_wherever_it_is_shown(server: Served) -> None:
    run_id, request_id = await paused(server.client)
    one = (await server.client.get(f"/approvals/{request_id}")).json()
    (listed,) = (await server.client.get("/approvals/pending")).json()["approvals"]
    run = (await server.client.get(f"/orchestrations/{run_id}")).json()
    interrupt = one["interrupt"]
    value = interrupt["value"]
    assert listed["interrupt"] == run["approvals"][0]["interrupt"] == interrupt
    assert (interrupt["id"], value["type"], value["name"]) == (request_id, "tool_approval", NAME)
    assert value["args"] == {"order_id": 1001, "amount": 500}
    assert value["action_request"] == {"action": NAME, "args": value["args"]}
    assert value["config"] == dict.fromkeys(("allow_accept", "allow_edit", "allow_respond", "allow_ignore"), True)
    assert [value[each] for each in ("action_requests", "review_configs")] == list(run["interrupt"].values())
    for fact in (
        "Rule: money-asks",
        "Risk: high (0.75)",
        "To be decided before: ",
        "Service when this was asked: heal",
    ):
        assert fact in value["description"]
    decisions = Draft202012Validator(interrupt["response_schema"])
    decisions.validate({"type": "approve"})
    decisions.validate({"type": "edit", "edited_action": {"name": NAME, "args": {"order_id": 1001, "amount": 40}}})
    assert not decisions.is_valid({"type": "edit", "edited_action": {"name": NAME, "args": {"order_id": "x"}}})


@pytest.mark.parametrize(
    "said",
    [
        {"type": "approve"},
        {"decisions": [{"type": "approve"}]},
        [{"type": "accept", "args": {"action": NAME, "args": {"order_id": "1001", "amount": "7"}}}],
    ],
)
async def test_an_interrupt_is_answered_by_its_id_also_when_the_run_has_asked_before(
    tmp_path: Path, demo: DemoServices, said: object
) -> None:
    script = calls(refund(5)), calls(refund(7)), say("Done.")
    async with (
        ollama_server(script) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        run_id, first = await paused(server.client)
        resume = f"/orchestrations/{run_id}/resume"
        then = (await server.client.post(resume, json={first: {"type": "reject"}})).json()
        reply = await server.client.post(resume, json={then["approvals"][0]["interrupt"]["id"]: said})
        over = (await server.client.get(f"/approvals/{first}")).json()
    assert then["interrupt"] is None
    assert (reply.status_code, reply.json()["status"]) == (200, "completed")
    assert over["interrupt"] is None
    assert [each["amount"] for each in await refunds(demo["cloudapp"])] == [7]
