"""Every saver we open, for tests; and whether what ours have stored fits together."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ormsgpack
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from redis.asyncio import Redis

from checkpoints.lean.parts import Care
from checkpoints.redis import PATIENT, open_redis
from checkpoints.saver import (
    USUAL,
    open_langgraph_sqlite_saver,
    open_memory_saver,
    open_redis_json_saver,
    open_redis_saver,
    open_sqlite_saver,
)
from tests.redis_server import RedisServer, redis_server

type Saver = BaseCheckpointSaver[Any]
type Check = Callable[[], Awaitable[list[str]]]
type Checked = Callable[[Path, Care], AbstractAsyncContextManager[tuple[Saver, Check]]]
type Opener = Callable[..., AbstractAsyncContextManager[Saver]]

KEEPING_ALL = Care()


def memory(_: Path) -> AbstractAsyncContextManager[Saver]:
    return open_memory_saver()


def sqlite(folder: Path, care: Care = USUAL) -> AbstractAsyncContextManager[Saver]:
    return open_sqlite_saver(folder / "checkpoints.sqlite", care=care)


def langgraph_sqlite(folder: Path) -> AbstractAsyncContextManager[Saver]:
    return open_langgraph_sqlite_saver(folder / "old.sqlite")


@asynccontextmanager
async def redis(folder: Path, care: Care = USUAL) -> AsyncIterator[Saver]:
    async with (
        redis_server(folder / "redis", modules=False) as server,
        client_of(server) as client,
        open_redis_saver(client, care=care) as saver,
    ):
        yield saver


@asynccontextmanager
async def sqlite_checked(folder: Path, care: Care) -> AsyncIterator[tuple[Saver, Check]]:
    """Open a file, and give what does not fit together in it."""

    async def check() -> list[str]:
        return file_misfits(folder / "checkpoints.sqlite")

    async with sqlite(folder, care) as saver:
        yield saver, check


@asynccontextmanager
async def redis_checked(folder: Path, care: Care) -> AsyncIterator[tuple[Saver, Check]]:
    """Open a Redis, and give what does not fit together in it."""
    async with (
        redis_server(folder / "redis", modules=False) as server,
        client_of(server) as client,
        open_redis_saver(client, care=care) as saver,
    ):
        yield saver, partial(misfits, client)


@asynccontextmanager
async def redis_json(folder: Path) -> AsyncIterator[Saver]:
    async with (
        redis_server(folder / "redis") as server,
        client_of(server) as client,
        open_redis_json_saver(client) as saver,
    ):
        yield saver


OURS = {"sqlite": sqlite, "redis": redis}
CHECKED = {"sqlite": sqlite_checked, "redis": redis_checked}
PACKAGED = {"memory": memory, "redis-json": redis_json, "langgraph-sqlite": langgraph_sqlite}


def client_of(server: RedisServer, *, max_connections: int = 32) -> AbstractAsyncContextManager[Redis]:
    return open_redis(server.url, max_connections=max_connections, manner=PATIENT)


def config_of(thread_id: str, ns: str = "", checkpoint_id: str | None = None) -> Any:
    named = {"checkpoint_id": checkpoint_id} if checkpoint_id else {}
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns, **named}}


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


async def misfits(client: Redis) -> list[str]:
    """Return what does not fit together in the threads of a Redis: pointers, checkpoints, values, counts, writes."""
    wrong = []
    keys: Any = await client.keys("checkpoints:*}")
    for key in keys:
        fields: Any = await client.hgetall(key)
        members: Any = await client.zrange(key + b":order", 0, -1)
        parts = [(each[:1], each[2:]) for each in fields]
        at = {kind: {rest for each, rest in parts if each == kind} for kind in (b"h", b"c", b"b", b"r", b"w")}
        pointed = {each[2:] for each in members if each[:1] in (b"s", b"m")}
        used: dict[bytes, int] = {}
        for name in at[b"h"]:
            for ref in ormsgpack.unpackb(fields[b"h\0" + name])[1]:
                used[ref.encode()] = used.get(ref.encode(), 0) + 1
        wrong += [f"pointer {each!r}" for each in pointed ^ at[b"c"]] + [
            f"head {each!r}" for each in at[b"h"] ^ pointed
        ]
        wrong += [f"value {each!r}" for each in at[b"b"] ^ set(used)]
        wrong += [f"count {each!r}" for each in at[b"r"] if int(fields[b"r\0" + each]) != used.get(each)]
        wrong += [f"writes {each!r}" for each in at[b"w"] ^ {each[2:] for each in members if each[:1] == b"w"}]
    return wrong


def file_misfits(path: Path) -> list[str]:
    """Return what does not fit together in a file: checkpoints without values, values without checkpoints."""
    connection = sqlite3.connect(path)
    try:
        heads = connection.execute("SELECT thread, refs FROM checkpoint").fetchall()
        held = set(connection.execute("SELECT thread, ref FROM value").fetchall())
        checked = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    used = {(thread, ref) for thread, refs in heads for ref in ormsgpack.unpackb(refs)}
    wrong = [] if checked == ("ok",) else [str(checked)]
    return wrong + [f"value {each!r}" for each in held - used]
