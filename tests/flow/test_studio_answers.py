"""Answers given straight to the graph, as LangGraph Studio gives them: only a clear yes in time is a yes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from boot.parts import open_parts
from checkpoints.documents import open_documents
from graph.build import Graph, build
from tests.asking import REFUND, refunds
from tests.running import settings_for
from tests.services import DemoServices

CONFIG: Any = {"configurable": {"thread_id": "t1"}}


@dataclass
class Clock:
    """A time that moves when told."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Asked:
    """A graph that waits for a human at one refund."""

    graph: Graph
    clock: Clock
    interrupt_id: str

    async def answer(self, answer: Any) -> dict[str, Any]:
        return await self.graph.ainvoke(Command(resume={self.interrupt_id: answer}), CONFIG)


@pytest.fixture
async def asked(tmp_path: Path, demo: DemoServices) -> AsyncIterator[Asked]:
    clock = Clock()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_documents(tmp_path / "documents.sqlite"))
        opened = await open_parts(stack, settings_for(tmp_path, demo), database, tmp_path, clock)
        async with asyncio.timeout(30):
            while not opened.services.operation("cloudapp", "refundOrder"):  # noqa: ASYNC110  # a busy machine
                await asyncio.sleep(0.1)
        graph = build(opened.parts, checkpointer=InMemorySaver())
        output = await graph.ainvoke({"message": REFUND}, CONFIG)
        yield Asked(graph, clock, output["__interrupt__"][0].id)


async def test_a_clear_yes_is_a_yes(asked: Asked, demo: DemoServices) -> None:
    output = await asked.answer({"approved": True, "approver_id": 1, "approval_notes": "ok"})
    assert [result["outcome"] for result in output["results"].values()] == ["executed"]
    assert len(await refunds(demo["cloudapp"])) == 1


SEEN = {"action": "cloudapp.refundOrder", "args": {"order_id": "1001", "amount": "500"}}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"type": "approve"}, id="one call"),
        pytest.param({"decisions": [{"type": "approve"}]}, id="a batch"),
        pytest.param([{"type": "accept", "args": SEEN}], id="agent inbox"),
    ],
)
async def test_a_yes_of_another_tool_is_a_yes(asked: Asked, demo: DemoServices, answer: object) -> None:
    await asked.answer(answer)
    assert len(await refunds(demo["cloudapp"])) == 1


EDITED = {"name": "cloudapp.refundOrder", "args": {"order_id": 1001, "amount": 40}}
EDITED_AS_TEXT = {"action": "cloudapp.refundOrder", "args": {"order_id": "1001", "amount": "40"}}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"type": "edit", "edited_action": EDITED}, id="one call"),
        pytest.param({"decisions": [{"type": "edit", "edited_action": EDITED}]}, id="a batch"),
        pytest.param([{"type": "edit", "args": EDITED_AS_TEXT}], id="agent inbox"),
    ],
)
async def test_an_edit_of_another_tool_is_what_is_sent(asked: Asked, demo: DemoServices, answer: object) -> None:
    output = await asked.answer(answer)
    (verdict,) = output["verdicts"].values()
    assert (verdict["outcome"], verdict["edited"]) == ("released", True)
    assert [refund["amount"] for refund in await refunds(demo["cloudapp"])] == [40]


async def test_an_edit_that_cannot_be_sent_is_asked_about_again(asked: Asked, demo: DemoServices) -> None:
    wrong = {"name": "cloudapp.refundOrder", "args": {"order_id": 1001, "amount": -1}}
    output = await asked.answer({"type": "edit", "edited_action": wrong})
    (again,) = output["__interrupt__"]
    assert "The answer did not count: " in again.value["description"]
    assert again.value["args"] == {"order_id": 1001, "amount": 500}
    right = Asked(asked.graph, asked.clock, again.id)
    await right.answer({"type": "edit", "edited_action": EDITED})
    assert [refund["amount"] for refund in await refunds(demo["cloudapp"])] == [40]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"type": "reject", "message": "too much"}, id="one call"),
        pytest.param({"decisions": [{"type": "respond", "message": "too much"}]}, id="a batch"),
        pytest.param([{"type": "response", "args": "too much"}], id="agent inbox"),
    ],
)
async def test_a_no_of_another_tool_is_a_no_whose_words_are_told(
    asked: Asked, demo: DemoServices, answer: object
) -> None:
    output = await asked.answer(answer)
    (verdict,) = output["verdicts"].values()
    assert (verdict["outcome"], verdict["message"]) == ("rejected", "too much")
    assert await refunds(demo["cloudapp"]) == []


async def test_a_tool_is_told_what_an_answer_looks_like(asked: Asked) -> None:
    (interrupt,) = (await asked.graph.aget_state(CONFIG)).interrupts
    schema: Any = interrupt.response_schema
    edit = schema["$defs"]["EditDecision"]["properties"]["edited_action"]["properties"]
    assert interrupt.value["action_request"]["args"] == {"order_id": 1001, "amount": 500}
    assert edit["name"] == {"const": "cloudapp.refundOrder"}
    assert set(edit["args"]["properties"]) == {"order_id", "amount", "reason"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("approve", id="a word"),
        pytest.param("", id="an empty text"),
        pytest.param(None, id="null"),
        pytest.param(True, id="a bare true"),
        pytest.param(1, id="a number"),
        pytest.param([{"type": "accept"}], id="a list"),
        pytest.param([{"type": "accept", "args": None}], id="an acceptance of nothing in particular"),
        pytest.param([{"type": "accept", "args": {**SEEN, "args": {"order_id": "1001"}}}], id="one of something else"),
        pytest.param({"decisions": [{"type": "approve"}] * 2}, id="two decisions"),
        pytest.param({}, id="an empty object"),
        pytest.param({"approver_id": 1}, id="no word on approval"),
        pytest.param({"approved": "true", "approver_id": 1}, id="a text that says true"),
        pytest.param({"approved": 1, "approver_id": 1}, id="a number for true"),
        pytest.param({"approved": True, "approver_id": "x"}, id="an approver that is no number"),
        pytest.param({"approved": True, "approver_id": 2**60}, id="an approver beyond every bound"),
        pytest.param({"approved": True, "approval_notes": "n" * 4_001}, id="a note beyond every bound"),
        pytest.param({"approved": True, "amount": 400}, id="an edit that nobody would make"),
    ],
)
async def test_whatever_is_not_a_clear_yes_is_a_no_that_says_why(
    asked: Asked, demo: DemoServices, answer: object
) -> None:
    output = await asked.answer(answer)
    (verdict,) = output["verdicts"].values()
    assert verdict["outcome"] == "rejected"
    assert verdict["message"].startswith("Taken for a no: ")
    assert verdict["message"] in output["reply"]
    assert await refunds(demo["cloudapp"]) == []


async def test_a_yes_that_comes_too_late_ends_the_waiting(asked: Asked, demo: DemoServices) -> None:
    asked.clock.now += timedelta(days=2)
    output = await asked.answer({"approved": True, "approver_id": 1})
    assert [verdict["outcome"] for verdict in output["verdicts"].values()] == ["expired"]
    assert "Nobody decided in time" in output["reply"]
    assert await refunds(demo["cloudapp"]) == []
