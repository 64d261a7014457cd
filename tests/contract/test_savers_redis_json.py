"""langgraph-checkpoint-redis as we use it: what Redis must hold, what is refused, and what is made again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from checkpoints.redis import PATIENT, open_redis
from checkpoints.saver import open_redis_json_saver
from domain.errors import StoreUnavailable
from tests.redis_server import RedisServer, redis_server
from tests.savers import client_of, config_of, history, stored, values_of


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path / "redis") as running:
        yield running


async def test_deleting_a_thread_leaves_no_key_behind(client: Redis) -> None:
    async with open_redis_json_saver(client) as saver:
        await stored(saver, "kept", n=1)
        kept = set(await client.keys("*"))
        for n in range(20):
            await stored(saver, "gone", n=n)
        await saver.adelete_thread("gone")
        assert set(await client.keys("*")) == kept


async def test_keys_expire_where_a_time_to_live_is_set(client: Redis) -> None:
    async with open_redis_json_saver(client, ttl_minutes=10) as saver:
        await stored(saver, "t", n=1)
        left = {key: await client.ttl(key) for key in await client.keys("*")}
    assert left
    assert all(590 <= seconds <= 600 for seconds in left.values()), left


async def test_a_flushed_redis_is_empty_and_goes_on(client: Redis) -> None:
    async with open_redis_json_saver(client) as saver:
        await stored(saver, "t", n=1)
        await client.flushall()
        assert await history(saver, "t") == []
        await client.flushall()
        await saver.adelete_thread("t")
        await stored(saver, "t", n=2)
        assert await history(saver, "t") == [{"n": 2}]


async def test_a_lost_index_is_made_again_over_what_is_there(client: Redis) -> None:
    async with open_redis_json_saver(client) as saver:
        for n in range(30):
            await stored(saver, "t", n=n)
        for index in await client.execute_command("FT._LIST"):  # type: ignore[no-untyped-call]  # redis-py
            await client.execute_command("FT.DROPINDEX", index)  # type: ignore[no-untyped-call]  # redis-py
        await saver.adelete_thread("t")
    assert await client.keys("*") == []


async def test_a_plain_redis_is_refused_and_says_why(tmp_path: Path) -> None:
    async with redis_server(tmp_path / "redis", modules=False) as server, client_of(server) as client:
        with pytest.raises(StoreUnavailable, match=r"no search and JSON modules; Redis 8 has them"):
            async with open_redis_json_saver(client):
                pass


async def test_another_database_than_0_is_refused_and_says_why(server: RedisServer) -> None:
    async with open_redis(server.url[:-1] + "1", max_connections=4, manner=PATIENT) as client:
        with pytest.raises(StoreUnavailable, match=r"database 0 only"):
            async with open_redis_json_saver(client):
                pass


async def test_a_killed_redis_is_unavailable_and_has_everything_when_it_is_back(server: RedisServer) -> None:
    async with client_of(server) as client, open_redis_json_saver(client) as saver:
        await stored(saver, "t", n=1)
        await server.kill()
        for asked in (
            saver.aget_tuple(config_of("t")),
            stored(saver, "t", n=2),
            saver.adelete_thread("t"),
            history(saver, "t"),
        ):
            with pytest.raises(StoreUnavailable, match=r"The checkpoints' Redis does not answer"):
                await asked
        await server.start()
        assert await values_of(saver, "t") == {"n": 1}
