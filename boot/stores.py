"""What survives a restart, each in the first form that opens."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from boot.fallback import ONE_SERVER, Form, first_available
from boot.ports import Port
from boot.savers import embedded_saver, redis_saver
from boot.settings import Settings
from boot.watched import Watched
from checkpoints.collections import Database
from checkpoints.documents import open_documents
from checkpoints.locks import Leases, Locks
from domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from checkpoints.mongo import MongoDatabase

LEASE_CONNECTIONS = 8


@dataclass(frozen=True, kw_only=True)
class Stores:
    """The opened stores, which form each one has, and the connections they share.

    Args:
        prompt: A Redis client that gives up at once, for what can go on without; None where Redis is not used.
    """

    database: Database
    saver: BaseCheckpointSaver[Any]
    locks: Leases
    prompt: "Redis | None"
    watched: tuple[Watched, ...]
    redis_stats: Callable[[], dict[str, int]] | None
    mongodb_stats: Callable[[], dict[str, int]] | None

    async def ports(self) -> tuple[Port, ...]:
        """Return every store's port as it is now."""
        return tuple([await each.now() for each in self.watched])


async def open_stores(
    stack: AsyncExitStack, settings: Settings, data_dir: Path, clock: Callable[[], datetime]
) -> Stores:
    """Open every store; the stack closes them.

    Raises `ConfigurationError` where a configured store does not answer and degrading is not allowed, and
    `StoreUnavailable` where not even the embedded form opens.
    """
    mongo, redis = _Mongo(settings), _Redis(settings)
    await redis.connect(stack)

    async def opened[T](port: str, networked: Form[T] | None, embedded: Form[T], ping: Ping) -> tuple[T, Watched]:
        strict = settings.environment == "production" and not settings.allow_degraded
        thing, seen = await first_available(
            stack, port, networked=networked, embedded=embedded, strict=strict, now=clock()
        )
        return thing, Watched(seen, ping if seen.mode == "networked" else None, clock)

    database, documents = await opened("documents", mongo.form(), _documents_file(data_dir), mongo.ping)
    saver, checkpoints = await opened(
        "checkpoints", redis.checkpoints(), embedded_saver(settings, data_dir), redis.ping
    )
    locks, one_writer = await opened("locks", redis.locks(), _locks_here(), redis.ping)
    return Stores(
        database=database,
        saver=saver,
        locks=locks,
        prompt=redis.prompt,
        watched=(checkpoints, documents, one_writer),
        redis_stats=redis.stats if redis.patient is not None else None,
        mongodb_stats=mongo.opened.stats if mongo.opened is not None else None,
    )


type Ping = Callable[[], Awaitable[object]]


class _Mongo:
    """The document store's networked form, where one is configured."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.opened: MongoDatabase | None = None

    def form(self) -> Form[Database] | None:
        return Form(name="MongoDB", opener=self._open) if self._settings.mongodb_url else None

    async def ping(self) -> None:
        if self.opened is not None:
            await self.opened.ping()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Database]:
        from checkpoints.mongo import open_mongo  # slow to import, and not needed without it

        settings = self._settings
        url = settings.mongodb_url.get_secret_value() if settings.mongodb_url else ""
        opening = open_mongo(url, database=settings.mongodb_database, max_pool_size=settings.mongodb_max_pool_size)
        async with opening as self.opened:
            yield self.opened


class _Redis:
    """What Redis serves, where it is configured: one connection decides for all of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._failure: StoreUnavailable | ImportError | None = None
        self.patient: Redis | None = None
        self.prompt: Redis | None = None

    @property
    def _url(self) -> str:
        return self._settings.redis_url.get_secret_value() if self._settings.redis_url else ""

    async def connect(self, stack: AsyncExitStack) -> None:
        if self._settings.redis_url is None:
            return
        url, most = self._url, self._settings.redis_max_connections
        try:
            from checkpoints.redis import PATIENT, PROMPT, open_redis

            self.patient = await stack.enter_async_context(open_redis(url, max_connections=most, manner=PATIENT))
            self.prompt = await stack.enter_async_context(open_redis(url, max_connections=most, manner=PROMPT))
        except (StoreUnavailable, ImportError) as error:
            self._failure = error

    def checkpoints(self) -> Form[BaseCheckpointSaver[Any]] | None:
        return redis_saver(self._settings, self._connected)

    def locks(self) -> Form[Leases] | None:
        return Form(name="Redis", opener=self._locks) if self._settings.redis_url else None

    def stats(self) -> dict[str, int]:
        from checkpoints.redis import pool_stats

        return pool_stats(self._connected())

    async def ping(self) -> None:
        from checkpoints.redis import ping

        if self.prompt is not None:
            await ping(self.prompt)

    def _connected(self) -> "Redis":
        if self.patient is None:
            raise self._failure or StoreUnavailable("Redis is not connected.")
        return self.patient

    @asynccontextmanager
    async def _locks(self) -> AsyncIterator[Leases]:
        """Open the leases on connections of their own: a renewal that queues behind checkpoints comes too late."""
        self._connected()
        from checkpoints.redis import PATIENT, open_redis
        from checkpoints.redis_locks import open_redis_locks

        async with (
            open_redis(self._url, max_connections=LEASE_CONNECTIONS, manner=PATIENT) as own,
            open_redis_locks(own, lease_seconds=self._settings.lease_seconds) as locks,
        ):
            yield locks


def _documents_file(data_dir: Path) -> Form[Database]:
    path = data_dir / "documents.sqlite"
    return Form(name=f"SQLite file {path}", opener=lambda: open_documents(path), lost=ONE_SERVER)


def _locks_here() -> Form[Leases]:
    return Form(name="this process", opener=_own_locks, lost=ONE_SERVER)


@asynccontextmanager
async def _own_locks() -> AsyncIterator[Leases]:
    yield Locks()
