"""LangGraph Studio: `langgraph dev` serves the same graph, its pauses and its memory, and speaks to nobody outside."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.asking import REFUND, ask, refunds
from tests.running import ROOT, served, settings_for
from tests.services import demo_services
from tests.studio import GRAPH, Studio, studio

pytestmark = pytest.mark.asyncio(loop_scope="module")

YES = {"approved": True, "approver_id": 1}
SMALL = "refund order 1001 with $20"  # the order's total bears only two of the large ones
NO = {"approved": False, "approver_id": 1, "approval_notes": "too much"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    """One `langgraph dev` for the module; each test has threads of its own and counts refunds before and after."""
    folder = tmp_path_factory.mktemp("studio")
    async with demo_services(folder / "demo") as services, studio(folder, services) as running:
        yield running


async def made(dev: Studio) -> int:
    return len(await refunds(dev.demo["cloudapp"]))


async def test_the_drawing_shows_every_node(dev: Studio) -> None:
    (assistant,) = await dev.client.assistants.search()
    drawing = await dev.client.assistants.get_graph(assistant["assistant_id"])
    nodes = [node["id"] for node in drawing["nodes"]]
    edges = {(edge["source"], edge["target"]) for edge in drawing["edges"]}
    assert assistant["graph_id"] == GRAPH
    assert nodes == ["__start__", "assign", "retrieve", "plan", "review", "gate", "act", "respond", "__end__"]
    assert {("review", "gate"), ("gate", "review"), ("review", "act"), ("act", "plan")} <= edges


async def test_a_message_is_all_it_asks_for(dev: Studio) -> None:
    (assistant,) = await dev.client.assistants.search()
    schemas: Any = await dev.client.assistants.get_schemas(assistant["assistant_id"])
    assert schemas["input_schema"]["properties"] == {"message": {"title": "Message", "type": "string"}}
    assert schemas["input_schema"]["required"] == ["message"]
    assert {"reply", "actions", "results", "sources"} <= set(schemas["output_schema"]["properties"])


async def test_a_message_is_answered_and_the_thread_remembers_it(dev: Studio) -> None:
    thread_id = await dev.thread()
    output = await dev.run(thread_id, "which pets are available?")
    values: Any = (await dev.client.threads.get_state(thread_id))["values"]
    assert "Rex" in output["reply"]
    assert [result["outcome"] for result in output["results"].values()] == ["executed"]
    assert values["thread_id"] == thread_id
    assert [message["role"] for message in values["window"]] == ["user", "action", "assistant"]


async def test_a_refund_waits_and_shows_what_would_be_sent(dev: Studio) -> None:
    before = await made(dev)
    thread_id, interrupt = await dev.paused(REFUND)
    assert (await dev.client.threads.get(thread_id))["status"] == "interrupted"
    assert interrupt["value"]["arguments"] == {"order_id": 1001, "amount": 500}
    assert interrupt["value"]["operation"] == "refundOrder"
    assert await made(dev) == before


@pytest.mark.parametrize("by_id", [True, False], ids=["by-interrupt", "scalar"])
async def test_an_approved_refund_is_made_once(dev: Studio, *, by_id: bool) -> None:
    before = await made(dev)
    thread_id, interrupt = await dev.paused(REFUND)
    output = await dev.answer(thread_id, {interrupt["id"]: YES} if by_id else YES)
    assert [result["outcome"] for result in output["results"].values()] == ["executed"]
    assert "500" in output["reply"]
    assert await made(dev) == before + 1


async def test_a_rejected_refund_is_not_made_and_the_reply_says_so(dev: Studio) -> None:
    before = await made(dev)
    thread_id, interrupt = await dev.paused(REFUND)
    output = await dev.answer(thread_id, {interrupt["id"]: NO})
    assert output.get("results", {}) == {}
    assert "too much" in output["reply"]
    assert await made(dev) == before


async def test_the_same_answer_twice_at_once_makes_one_refund(dev: Studio) -> None:
    before = await made(dev)
    thread_id, interrupt = await dev.paused(SMALL)
    await asyncio.gather(*(dev.answer(thread_id, {interrupt["id"]: YES}) for _ in range(2)), return_exceptions=True)
    assert await made(dev) == before + 1


@pytest.mark.parametrize("answer", ["approve", [YES]], ids=["a-word", "a-list"])
async def test_an_answer_that_is_no_clear_yes_is_a_no(dev: Studio, answer: object) -> None:
    before = await made(dev)
    thread_id, interrupt = await dev.paused(REFUND)
    output = await dev.answer(thread_id, {interrupt["id"]: answer})
    assert [verdict["outcome"] for verdict in output["verdicts"].values()] == ["rejected"]
    assert "Taken for a no" in output["reply"]
    assert await made(dev) == before


async def test_a_pause_survives_a_restart_that_takes_seconds_and_leaves_nothing(dev: Studio) -> None:
    before = await made(dev)
    thread_id, interrupt = await dev.paused(SMALL)
    await dev.stop(within_seconds=5)
    assert dev.is_gone
    await dev.start()
    output = await dev.answer(thread_id, {interrupt["id"]: YES})
    assert [result["outcome"] for result in output["results"].values()] == ["executed"]
    assert await made(dev) == before + 1
    assert "Traceback" not in dev.output
    assert "Blocking call" not in dev.output


async def test_it_runs_beside_a_server_on_the_same_data_directory(dev: Studio) -> None:
    async with served(settings_for(dev.folder / "data", dev.demo)) as server:
        reply = await ask(server.client, "which pets are available?")
        output = await dev.run(await dev.thread(), "which pets are available?")
    assert reply.json()["reply"] == output["reply"]


async def test_it_speaks_to_nobody_outside_and_writes_nothing_into_the_repository(dev: Studio) -> None:
    present = (ROOT / ".langgraph_api").exists()
    await dev.run(await dev.thread(), "which pets are available?")
    assert dev.outward == []
    assert (dev.folder / ".langgraph_api").is_dir()
    assert (ROOT / ".langgraph_api").exists() == present
