"""Graph checkpoints: in Redis, in a SQLite file, or in memory; our own savers, and the packages they replace."""

import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.base import SerializerProtocol

from checkpoints.lean.packing import serializer
from checkpoints.lean.parts import Care, Shelf
from checkpoints.lean.saver import LeanSaver
from checkpoints.lean.sqlite_shelf import SqliteShelf
from checkpoints.locks import writing_lease
from checkpoints.probe import check_saver
from domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis


USUAL = Care(kept=10)


class FencedSaver(BaseCheckpointSaver[Any]):
    """Any saver, with its driver's errors made ours, and nothing written by a run that lost its thread's lease.

    Every method raises `StoreUnavailable`. In Redis the lease is checked in the same step as the write
    (`checkpoints.fencing`); a file belongs to one process, whose leases nobody else takes.

    Args:
        errors: What the driver raises.
        store: What did not answer, for people.
    """

    def __init__(
        self, saver: BaseCheckpointSaver[Any], *, errors: tuple[type[Exception], ...] = (), store: str = "memory"
    ) -> None:
        super().__init__(serde=saver.serde)
        self._saver = saver
        self._errors = errors
        self._store = store

    @property
    def config_specs(self) -> list[Any]:
        """What the saver reads from a config."""
        return self._saver.config_specs

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Return the version behind `current`."""
        return self._saver.get_next_version(current, channel)

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> "FencedSaver":
        """Return the same with more types that may be read."""
        allowing = self._saver.with_allowlist(extra_allowlist)
        return FencedSaver(allowing, errors=self._errors, store=self._store)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, the last one where the config names none."""
        with self._answering():
            return await self._saver.aget_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""
        with self._answering():
            async for each in self._saver.alist(config, filter=filter, before=before, limit=limit):
                yield each

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint."""
        writing_lease()
        with self._answering():
            return await self._saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what one task wrote."""
        writing_lease()
        with self._answering():
            await self._saver.aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove everything of a thread."""
        writing_lease()
        with self._answering():
            await self._saver.adelete_thread(thread_id)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what was written to channels that keep their changes only."""
        with self._answering():
            return await self._saver.aget_delta_channel_history(config=config, channels=channels)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            writing_lease()  # says so where that is the reason
            raise StoreUnavailable(f"The checkpoints' {self._store} does not answer.") from error


@asynccontextmanager
async def open_redis_saver(
    client: "Redis", *, care: Care = USUAL, serde: SerializerProtocol | None = None
) -> AsyncIterator[LeanSaver]:
    """Open the checkpoints of a plain Redis; raises `StoreUnavailable` where it cannot keep what the graph gives it."""
    from checkpoints.lean.line import Line  # Redis's driver is not always installed
    from checkpoints.lean.redis_shelf import RedisShelf

    async with _lean(RedisShelf(Line(client), care), serde) as saver:
        yield saver


@asynccontextmanager
async def open_redis_json_saver(client: "Redis", *, ttl_minutes: int | None = None) -> AsyncIterator[FencedSaver]:
    """Open what langgraph-checkpoint-redis keeps; raises `StoreUnavailable` where it cannot keep what it is given.

    Args:
        ttl_minutes: How long a thread is kept after it was last used; None keeps it.
    """
    from checkpoints.redis_saver import ERRORS, opened_saver  # slow, and not always installed

    saver = FencedSaver(await opened_saver(client, ttl_minutes=ttl_minutes), errors=ERRORS, store="Redis")
    await check_saver(saver)
    yield saver


@asynccontextmanager
async def open_sqlite_saver(
    path: Path, *, care: Care = USUAL, serde: SerializerProtocol | None = None
) -> AsyncIterator[LeanSaver]:
    """Open the checkpoints of a file, one writer, every commit synced; raises `StoreUnavailable`."""
    async with _lean(await SqliteShelf.opened(path, care), serde) as saver:
        yield saver


@asynccontextmanager
async def open_langgraph_sqlite_saver(path: Path) -> AsyncIterator[FencedSaver]:
    """Open a file of langgraph-checkpoint-sqlite, every commit synced; raises `StoreUnavailable`."""
    import aiosqlite  # this format's own
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    try:
        async with AsyncSqliteSaver.from_conn_string(str(path)) as sqlite:
            await sqlite.setup()
            await sqlite.conn.execute("PRAGMA synchronous=FULL")
            saver = FencedSaver(sqlite, errors=(sqlite3.Error,), store=f"file {path.name}")
            await check_saver(saver)
            yield saver
    except aiosqlite.DatabaseError as error:
        raise StoreUnavailable(f"The checkpoint file {path.name} cannot be used.") from error


@asynccontextmanager
async def open_memory_saver() -> AsyncIterator[FencedSaver]:
    """Open checkpoints that end with the process."""
    yield FencedSaver(InMemorySaver())


@asynccontextmanager
async def _lean(shelf: Shelf, serde: SerializerProtocol | None) -> AsyncIterator[LeanSaver]:
    saver = LeanSaver(shelf, serde or serializer())
    try:
        await check_saver(saver)
        yield saver
    finally:
        await saver.close()
