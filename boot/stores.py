"""What survives a restart, each in the first form that opens."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from boot.fallback import Form, first_available
from boot.ports import Port
from boot.settings import Settings
from checkpoints.collections import Database
from checkpoints.documents import open_documents
from checkpoints.locks import Locks
from checkpoints.saver import open_memory_saver, open_sqlite_saver

ONE_SERVER = "One server only: replicas cannot share it."


@dataclass(frozen=True, kw_only=True)
class Stores:
    """The opened stores, and which form each one has."""

    database: Database
    saver: BaseCheckpointSaver[Any]
    locks: Locks
    ports: tuple[Port, ...]


async def open_stores(stack: AsyncExitStack, settings: Settings, data_dir: Path, now: datetime) -> Stores:
    """Open every store; the stack closes them.

    Raises `ConfigurationError` where a configured store does not answer and degrading is not allowed, and
    `StoreUnavailable` where not even the embedded form opens.
    """
    strict = settings.environment == "production" and not settings.allow_degraded
    database, documents = await first_available(
        stack, "documents", networked=None, embedded=_documents_file(data_dir), strict=strict, now=now
    )
    saver, checkpoints = await first_available(
        stack, "checkpoints", networked=None, embedded=_checkpoints_file(settings, data_dir), strict=strict, now=now
    )
    locks, one_writer = await first_available(
        stack, "locks", networked=None, embedded=_locks_here(), strict=strict, now=now
    )
    return Stores(database=database, saver=saver, locks=locks, ports=(checkpoints, documents, one_writer))


def _documents_file(data_dir: Path) -> Form[Database]:
    path = data_dir / "documents.sqlite"
    return Form(name=f"SQLite file {path}", opener=lambda: open_documents(path), lost=ONE_SERVER)


def _checkpoints_file(settings: Settings, data_dir: Path) -> Form[BaseCheckpointSaver[Any]]:
    if not settings.enable_checkpointing:
        return Form(name="memory", opener=open_memory_saver, lost="Conversations and pauses end with the process.")
    path = data_dir / "checkpoints.sqlite"
    return Form(name=f"SQLite file {path}", opener=lambda: open_sqlite_saver(path), lost=ONE_SERVER)


def _locks_here() -> Form[Locks]:
    return Form(name="this process", opener=_own_locks, lost=ONE_SERVER)


@asynccontextmanager
async def _own_locks() -> AsyncIterator[Locks]:
    yield Locks()
