"""Graph checkpoints: a SQLite file, or memory where checkpointing is switched off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from domain.errors import StoreUnavailable


@asynccontextmanager
async def open_sqlite_saver(path: Path) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open the checkpoints of a file, one writer, every commit synced; raises `StoreUnavailable`."""
    try:
        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            await saver.setup()
            yield saver
    except aiosqlite.DatabaseError as error:
        raise StoreUnavailable(f"The checkpoint file {path.name} cannot be used.") from error


@asynccontextmanager
async def open_memory_saver() -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open checkpoints that end with the process."""
    yield InMemorySaver()
