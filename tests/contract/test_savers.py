"""Every saver we open: LangGraph's conformance suite, our own probe, and what Redis must hold besides."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import BASE_CAPABILITIES, EXTENDED_CAPABILITIES
from langgraph.checkpoint.redis.aio import AsyncRedisSaver
from langgraph.graph import END, START, StateGraph
from redis.asyncio import Redis

from checkpoints.probe import MARKERS, check_saver
from checkpoints.redis import PATIENT, PROMPT, open_redis
from checkpoints.saver import open_memory_saver, open_redis_saver, open_sqlite_saver
from domain.errors import StoreUnavailable
from tests.redis_server import RedisServer, redis_server

type Saver = BaseCheckpointSaver[Any]
type Opener = Callable[[Path], AbstractAsyncContextManager[Saver]]


def memory(_: Path) -> AbstractAsyncContextManager[Saver]:
    return open_memory_saver()


def sqlite(folder: Path) -> AbstractAsyncContextManager[Saver]:
    return open_sqlite_saver(folder / "checkpoints.sqlite")


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[Saver]:
    async with redis_server(folder / "redis") as server, client_of(server) as client, open_redis_saver(client) as saver:
        yield saver


OPENERS = [pytest.param(memory, id="memory"), pytest.param(sqlite, id="sqlite"), pytest.param(redis, id="redis")]


def client_of(server: RedisServer, *, max_connections: int = 32) -> AbstractAsyncContextManager[Redis]:
    return open_redis(server.url, max_connections=max_connections, manner=PATIENT)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path / "redis") as running:
        yield running


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with client_of(server) as opened:
        yield opened


def config_of(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}


async def stored(saver: Saver, thread_id: str, **values: Any) -> Any:
    """Store a checkpoint with these values and one task's write, and return its config."""
    versions: dict[str, Any] = {name: saver.get_next_version(None, None) for name in values}
    checkpoint: Any = {**empty_checkpoint(), "channel_values": values, "channel_versions": versions}
    config = await saver.aput(config_of(thread_id), checkpoint, {"source": "input", "step": 0, "parents": {}}, versions)
    await saver.aput_writes(config, [("out", values)], "task")
    return config


async def values_of(saver: Saver, thread_id: str) -> Any:
    found = await saver.aget_tuple(config_of(thread_id))
    return found and found.checkpoint["channel_values"]


async def history(saver: Saver, thread_id: str) -> list[Any]:
    return [each.checkpoint["channel_values"] async for each in saver.alist(config_of(thread_id))]


@pytest.mark.parametrize("opener", OPENERS)
async def test_every_saver_conforms_to_what_langgraph_asks_of_one(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as saver:

        @checkpointer_test(name="ours")
        async def same() -> Any:
            yield saver

        report = await validate(same)
    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert failures == {}
    assert {name for name, result in report.results.items() if result.passed} == {
        each.value for each in BASE_CAPABILITIES
    }
    offered = {each.value for each in EXTENDED_CAPABILITIES if report.results[each.value].detected}
    assert offered == set(), "nobody needs them yet; offer one, and it is tested here"


@pytest.mark.parametrize("opener", OPENERS)
async def test_values_come_back_with_their_types(opener: Opener, tmp_path: Path) -> None:
    given = {"price": Decimal("1.10"), "at": datetime(2026, 11, 3, tzinfo=UTC), "big": 2**53 + 1, "ids": {7: b"\x00"}}
    async with opener(tmp_path) as saver:
        await stored(saver, "t", **given)
        assert await values_of(saver, "t") == given


@pytest.mark.parametrize("opener", OPENERS)
async def test_what_looks_like_a_serializers_marker_stays_what_it_is(opener: Opener, tmp_path: Path) -> None:
    module = "this"  # prints a poem when it is imported
    given = {"lc": 1, "type": "constructor", "id": [module, "s"], "kwargs": {}}
    async with opener(tmp_path) as saver:
        await stored(saver, "t", answer=[given, MARKERS])
        assert await values_of(saver, "t") == {"answer": [given, MARKERS]}
        assert await history(saver, "t") == [{"answer": [given, MARKERS]}]
    assert module not in sys.modules


@pytest.mark.parametrize("opener", OPENERS)
async def test_the_probe_is_quick_and_leaves_nothing(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as saver:
        took = []
        for _ in range(5):
            begun = time.perf_counter()
            await check_saver(saver)
            took.append(time.perf_counter() - begun)
        assert [each async for each in saver.alist(None)] == []
    assert min(took) < 0.1


async def test_the_probe_refuses_a_saver_that_changes_what_it_gets(client: Redis) -> None:
    async with AsyncRedisSaver(redis_client=client) as saver:  # the package's own serializer
        with pytest.raises(StoreUnavailable, match=r"variants"):
            await check_saver(saver)


async def test_deleting_a_thread_leaves_no_key_behind(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        await stored(saver, "kept", n=1)
        kept = set(await client.keys("*"))
        for n in range(20):
            await stored(saver, "gone", n=n)
        await saver.adelete_thread("gone")
        assert set(await client.keys("*")) == kept


async def test_keys_expire_where_a_time_to_live_is_set(client: Redis) -> None:
    async with open_redis_saver(client, ttl_minutes=10) as saver:
        await stored(saver, "t", n=1)
        left = {key: await client.ttl(key) for key in await client.keys("*")}
    assert left
    assert all(590 <= seconds <= 600 for seconds in left.values()), left


async def test_a_flushed_redis_is_empty_and_goes_on(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        await stored(saver, "t", n=1)
        await client.flushall()
        assert await history(saver, "t") == []
        await client.flushall()
        await saver.adelete_thread("t")
        await stored(saver, "t", n=2)
        assert await history(saver, "t") == [{"n": 2}]


async def test_a_lost_index_is_made_again_over_what_is_there(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        for n in range(30):
            await stored(saver, "t", n=n)
        for index in await client.execute_command("FT._LIST"):  # type: ignore[no-untyped-call]  # redis-py
            await client.execute_command("FT.DROPINDEX", index)  # type: ignore[no-untyped-call]  # redis-py
        await saver.adelete_thread("t")
    assert await client.keys("*") == []


async def test_a_plain_redis_is_refused_and_says_why(tmp_path: Path) -> None:
    async with redis_server(tmp_path / "redis", modules=False) as server, client_of(server) as client:
        with pytest.raises(StoreUnavailable, match=r"no search and JSON modules; Redis 8 has them"):
            async with open_redis_saver(client):
                pass


async def test_another_database_than_0_is_refused_and_says_why(server: RedisServer) -> None:
    async with open_redis(server.url[:-1] + "1", max_connections=4, manner=PATIENT) as client:
        with pytest.raises(StoreUnavailable, match=r"database 0 only"):
            async with open_redis_saver(client):
                pass


async def test_a_killed_redis_is_unavailable_and_has_everything_when_it_is_back(server: RedisServer) -> None:
    async with client_of(server) as client, open_redis_saver(client) as saver:
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


async def test_a_frozen_redis_is_unavailable_while_it_is_frozen(server: RedisServer) -> None:
    async with (
        open_redis(server.url, max_connections=4, manner=PROMPT) as client,
        open_redis_saver(client) as saver,
    ):
        await stored(saver, "t", n=1)
        server.freeze()
        with pytest.raises(StoreUnavailable):
            await values_of(saver, "t")
        server.thaw()
        assert await values_of(saver, "t") == {"n": 1}


class Counted(TypedDict):
    n: int


async def counted(state: Counted) -> Counted:
    return {"n": state["n"] + 1}


async def test_more_runs_than_connections_wait_for_one(server: RedisServer) -> None:
    graph = StateGraph(Counted)
    graph.add_node("count", counted)
    graph.add_edge(START, "count")
    graph.add_edge("count", END)
    async with client_of(server, max_connections=4) as client, open_redis_saver(client) as saver:
        compiled = graph.compile(checkpointer=saver)
        runs = [compiled.ainvoke({"n": n}, config_of(f"t{n}"), durability="sync") for n in range(50)]
        assert [each["n"] for each in await asyncio.gather(*runs)] == list(range(1, 51))


async def test_the_file_is_written_ahead_and_synced_at_every_commit(tmp_path: Path) -> None:
    async with open_sqlite_saver(tmp_path / "checkpoints.sqlite") as saver:
        connection = saver._saver.conn  # type: ignore[attr-defined]
        pragmas = [
            await (await connection.execute(f"PRAGMA {name}")).fetchone() for name in ("journal_mode", "synchronous")
        ]
    assert pragmas == [("wal",), (2,)]


async def test_a_file_that_fails_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    async with open_sqlite_saver(path) as saver:
        await stored(saver, "t", n=1)
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE checkpoints")
        other.close()
        with pytest.raises(StoreUnavailable, match=r"checkpoints\.sqlite does not answer"):
            await values_of(saver, "t")
