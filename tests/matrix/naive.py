"""What everybody writes first, and what must fail: an approval node that acts in the same node, resumed by a scalar.

`main` is a whole program, killed and started again like the server: it asks, is approved, acts, and goes on from its
checkpoints as LangGraph's own pages say. `scalar_resume` delivers one human's "approve" twice.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypedDict

import httpx2
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from tests.matrix.history import Asked, Voted

ARGUMENTS = '{"amount":5,"order_id":7}'
DIGEST = "d" * 64
GATES = ("first", "second")
CONFIG: Any = {"configurable": {"thread_id": "t"}}


class Paid(TypedDict, total=False):
    """The state."""

    first: str
    second: str


async def pay(gate: str, *, url: str = "") -> str:
    """Act."""
    url = url or os.environ["SHOP_URL"]
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        headers = {"Idempotency-Key": f"{gate}-{DIGEST[:32]}"}
        answer = await client.post(f"{url}/orders/7/refunds", json={"amount": 5}, headers=headers)
    return str(answer.status_code)


def asking(gate: str, act: Callable[[str], Awaitable[str]]) -> Any:
    """Return a node that asks and acts."""

    async def node(_: Paid) -> dict[str, str]:
        if interrupt(f"Pay {gate}?") == "approve":
            return {gate: await act(gate)}
        return {gate: "rejected"}

    return node


def graph_of(gates: tuple[str, ...], saver: BaseCheckpointSaver[Any], act: Callable[[str], Awaitable[str]]) -> Any:
    """Return a graph of such nodes, one behind the other."""
    graph = StateGraph(Paid)
    for before, gate in zip((START, *gates), gates, strict=False):
        graph.add_node(gate, asking(gate, act))
        graph.add_edge(before, gate)
    graph.add_edge(gates[-1], END)
    return graph.compile(checkpointer=saver)


def main() -> int:
    """Go on from wherever the program was killed until the graph has ended."""
    asyncio.run(_to_the_end())
    return 0


async def _to_the_end() -> None:
    async with AsyncSqliteSaver.from_conn_string("naive.sqlite") as saver:
        graph = graph_of(GATES[:1], saver, pay)
        while True:
            state = await graph.aget_state(CONFIG)
            if state.values.get("first") and not state.next:
                return
            command: Any = {} if not state.next else Command(resume="approve") if state.interrupts else None
            await graph.ainvoke(command, CONFIG, durability="sync")


async def scalar_resume(act: Callable[[str], Awaitable[str]]) -> None:
    """Let a human approve the first of two gates, and deliver the answer twice, as a client does that heard nothing."""
    graph = graph_of(GATES, InMemorySaver(), act)
    await graph.ainvoke({}, CONFIG)
    for _ in range(2):
        await graph.ainvoke(Command(resume="approve"), CONFIG)


def asked(gate: str, *, approved: bool) -> Asked:
    """Return a gate as an approval's record, for the checker."""
    votes = (Voted(1, True, DIGEST),) if approved else ()
    return Asked(gate, "run", "executed" if approved else "pending", DIGEST, ARGUMENTS, 1, votes)
