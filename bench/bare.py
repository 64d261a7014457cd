"""The ceiling: the compiled graph alone, in this process, on each checkpointer."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from bench.load import Shot, timed_ms
from bench.processes import ROOT, no_services
from boot.container import utc_now
from boot.knowledge import open_knowledge
from boot.parts import open_parts
from boot.settings import Settings
from checkpoints.documents import open_documents
from checkpoints.locks import Locks
from checkpoints.saver import open_memory_saver, open_sqlite_saver
from domain.conversation import Turn
from domain.ports import Model
from graph.build import Parts, build

MESSAGE = "hello"
"""It needs no call: the embedded planner answers from its words alone."""


@asynccontextmanager
async def bare_graphs(folder: Path) -> AsyncIterator[tuple[dict[str, Shot], Model]]:
    """Give a run on a new thread for every checkpointer, by its name, and the model the runs ask.

    Nodes, model, knowledge base, policy and checkpointer are those the server has.
    """
    settings = Settings(
        _env_file=None,
        data_dir=folder,
        services_file=no_services(folder),
        policy_file=ROOT / "policy.yaml",
    )
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_documents(folder / "documents.sqlite"))
        knowledge = await open_knowledge(stack, settings, database, Locks(), folder, utc_now)
        opened = await open_parts(stack, settings, database, folder, utc_now, knowledge=knowledge.retrieval)
        memory = await stack.enter_async_context(open_memory_saver())
        sqlite = await stack.enter_async_context(open_sqlite_saver(folder / "checkpoints.sqlite"))
        savers = {"none": None, "memory": memory, "SQLite": sqlite}
        yield {name: _run(opened.parts, saver) for name, saver in savers.items()}, opened.parts.model


async def model_ms(model: Model, *, runs: int) -> float:
    """Return what the model itself costs per run, in milliseconds: it is in every figure."""

    async def on_token(_: str) -> None:
        return

    async def decisions() -> None:
        for _ in range(runs):
            await model.decide(Turn(message=MESSAGE), on_token=on_token)

    return await timed_ms(decisions) / runs


def _run(parts: Parts, saver: BaseCheckpointSaver[Any] | None) -> Shot:
    graph: Any = build(parts, checkpointer=saver)
    how: dict[str, Any] = {"durability": "sync"} if saver else {}
    numbers = count()

    async def run() -> object:
        number = next(numbers)
        configurable = {"thread_id": f"thr_{number}", "orchestration_id": f"run_{number}", "requester": "bench/1"}
        return await graph.ainvoke({"message": MESSAGE}, {"configurable": configurable}, **how)

    return run
