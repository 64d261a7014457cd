"""Which checkpointer the settings ask for, and how it is opened."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol

from boot.fallback import ONE_SERVER, Form
from boot.settings import Settings
from checkpoints.lean.packing import keys_of, serializer
from checkpoints.lean.parts import Care
from checkpoints.saver import open_memory_saver, open_redis_json_saver, open_redis_saver, open_sqlite_saver
from domain.errors import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio import Redis

type Saver = BaseCheckpointSaver[Any]

MINUTE_MS = 60_000


def care(settings: Settings) -> Care:
    """Return how long checkpoints are kept."""
    minutes, kept = settings.checkpoint_ttl_minutes, settings.checkpoints_kept
    return Care(
        kept=None if kept == "all" else kept,
        ttl_ms=None if minutes is None else minutes * MINUTE_MS,
        ends_waiting=settings.checkpoint_ttl_waiting,
    )


def packing(settings: Settings) -> SerializerProtocol:
    """Return what packs checkpoints; raises `ConfigurationError` for a CHECKPOINT_KEY that is none."""
    keys = keys_of(settings.checkpoint_key.get_secret_value()) if settings.checkpoint_key else []
    return serializer(compress_above_bytes=settings.checkpoint_compress_bytes, keys=keys)


def redis_saver(settings: Settings, connected: Callable[[], "Redis"]) -> Form[Saver] | None:
    """Return the networked form, or None where it is not asked for.

    Raises `ConfigurationError` where it is asked for without an address.

    Args:
        connected: Returns the client; raises `StoreUnavailable` or `ImportError` where there is none.
    """
    wanted = settings.checkpointer or "redis"
    if not settings.enable_checkpointing or wanted not in ("redis", "redis-json"):
        return None
    if settings.redis_url is None:
        if settings.checkpointer:
            raise ConfigurationError(f"CHECKPOINTER={wanted} needs REDIS_URL.")
        return None
    kept, serde = care(settings), packing(settings)

    @asynccontextmanager
    async def ours() -> AsyncIterator[Saver]:
        async with open_redis_saver(connected(), care=kept, serde=serde) as saver:
            yield saver

    @asynccontextmanager
    async def packaged() -> AsyncIterator[Saver]:
        async with open_redis_json_saver(connected(), ttl_minutes=settings.checkpoint_ttl_minutes) as saver:
            yield saver

    if wanted == "redis":
        return Form(name="Redis", opener=ours)
    return Form(name="Redis, as JSON (langgraph-checkpoint-redis)", opener=packaged)


def embedded_saver(settings: Settings, data_dir: Path) -> Form[Saver]:
    """Return the form without a network."""
    if not settings.enable_checkpointing or settings.checkpointer == "memory":
        return Form(name="memory", opener=open_memory_saver, lost="Conversations and pauses end with the process.")
    path, kept, serde = data_dir / "checkpoints.sqlite", care(settings), packing(settings)
    return Form(
        name=f"SQLite file {path}", opener=lambda: open_sqlite_saver(path, care=kept, serde=serde), lost=ONE_SERVER
    )
