"""A process that runs a graph step by step, tells each step that is stored, and is killed by its test."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from checkpoints.lean.parts import Care
from checkpoints.redis import PATIENT, open_redis
from checkpoints.saver import open_redis_saver, open_sqlite_saver
from tests.savers import Saver, config_of

STEPS = 12


class State(TypedDict):
    n: int
    text: str


def text_at(n: int) -> str:
    """Return the text that belongs to a number."""
    return f"{n} " * 500 if n else ""


def counting(saver: Saver, effects: Path) -> Any:
    """Return a graph of one node that notes each of its steps in a file."""

    async def count(state: State) -> State:
        with effects.open("a") as file:  # before the step is stored
            file.write(f"{state['n']}\n")
        return {"n": state["n"] + 1, "text": text_at(state["n"] + 1)}

    graph = StateGraph(State)
    graph.add_node("count", count)
    graph.add_edge(START, "count")
    graph.add_conditional_edges("count", lambda state: END if state["n"] >= STEPS else "count", ["count", END])
    return graph.compile(checkpointer=saver)


async def opened(stack: AsyncExitStack, place: str, *, kept: int = 2) -> Saver:
    """Open the saver of a URL or a path."""
    if not place.startswith("redis:"):
        return await stack.enter_async_context(open_sqlite_saver(Path(place), care=Care(kept=kept)))
    client = await stack.enter_async_context(open_redis(place, max_connections=2, manner=PATIENT))
    return await stack.enter_async_context(open_redis_saver(client, care=Care(kept=kept)))


async def run(place: str, effects: Path, thread: str) -> None:
    """Run the graph and print each stored step."""
    async with AsyncExitStack() as stack:
        graph = counting(await opened(stack, place), effects)
        given = {"n": 0, "text": ""}
        async for state in graph.astream(given, config_of(thread), stream_mode="values", durability="sync"):
            sys.stdout.write(f"{state['n']}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
