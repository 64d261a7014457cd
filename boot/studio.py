"""LangGraph Studio: what `langgraph.json` names for `langgraph dev` (docs/decisions/0003-studio-checkpointer.md)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from boot.container import utc_now
from boot.data_dir import claimed
from boot.parts import open_parts
from boot.settings import read_settings
from boot.stores import open_stores
from domain.errors import ConfigurationError
from graph.build import Graph, build

_opened: list[Graph] = []
"""How `checkpointer` hands the graph to `graph`, at most one: `langgraph dev` passes nothing from one to the other."""


@asynccontextmanager
async def checkpointer() -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open everything the graph needs, and yield where its checkpoints go.

    `langgraph dev` enters this once, before it asks for the graph, and leaves it when it stops. Studio has a folder of
    its own below DATA_DIR, so that it runs beside the server. Raises `ConfigurationError` or `StoreUnavailable`.
    """
    given = await asyncio.to_thread(read_settings)
    embedded = {"redis_url": None, "mongodb_url": None, "checkpointer": None}  # a playground, not the fleet's data
    settings = given.model_copy(update=embedded)
    async with AsyncExitStack() as stack:
        data_dir = await stack.enter_async_context(claimed(settings.data_dir / "studio"))
        stores = await open_stores(stack, settings, data_dir, utc_now)
        opened = await open_parts(stack, settings, stores.database, data_dir, utc_now)
        _opened.append(build(opened.parts, checkpointer=None))
        stack.callback(_opened.clear)
        yield stores.saver


def graph() -> Graph:
    """Return the graph that `checkpointer` opened; it is asked for at every request, and opens nothing."""
    if not _opened:
        raise ConfigurationError("langgraph.json must name `boot.studio.checkpointer`: it opens what the graph needs.")
    return _opened[0]
