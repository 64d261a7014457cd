"""Real Redis and document servers for flow tests, and the settings that use them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.mongo_server import MongoServer, mongo_server
from tests.redis_server import RedisServer, redis_server


@dataclass
class Servers:
    """Both stores."""

    redis: RedisServer
    mongo: MongoServer
    database: str

    def environment(self, *, number: int = 0) -> dict[str, str]:
        """Return what a server process is told.

        Args:
            number: Of Redis' databases, for those who share nothing in it.
        """
        return {
            "REDIS_URL": self.redis.url_of(number),
            "MONGODB_URL": self.mongo.url,
            "MONGODB_DATABASE": self.database,
        }

    def settings(self) -> dict[str, str]:
        """Return what `settings_for` is told."""
        return {name.lower(): value for name, value in self.environment().items()}


@asynccontextmanager
async def store_servers(folder: Path) -> AsyncIterator[Servers]:
    """Run both, each on data of its own."""
    async with redis_server(folder / "redis") as redis, mongo_server(folder / "mongo") as mongo:
        yield Servers(redis, mongo, f"test_{uuid4().hex[:12]}")
