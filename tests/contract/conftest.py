"""What the contract tests share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.redis_server import RedisServer, redis_server
from tests.savers import client_of
from tests.shared_mongo import MONGO


@pytest.fixture(scope="session", autouse=True)
def _shared_servers() -> Iterator[None]:
    yield
    MONGO.end()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A plain Redis; a module that needs another server overrides it, and has its client all the same."""
    async with redis_server(tmp_path / "redis", modules=False) as running:
        yield running


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    """A client of the server."""
    async with client_of(server) as opened:
        yield opened
