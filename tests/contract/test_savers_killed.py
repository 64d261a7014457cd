"""SIGKILL of the writer and of Redis: what was told is stored and whole, one step at most is repeated."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from checkpoints.lean.line import Line, Script
from checkpoints.lean.packing import serializer
from checkpoints.lean.parts import Care
from checkpoints.lean.redis_shelf import RedisShelf
from checkpoints.lean.resp import Argument
from checkpoints.lean.saver import LeanSaver
from domain.errors import StoreUnavailable
from tests.redis_server import RedisServer, redis_server
from tests.running import ROOT
from tests.savers import client_of, config_of, file_misfits, misfits
from tests.savers_writer import STEPS, counting, opened, text_at

TURNS = [1, 2, 5, STEPS]


@asynccontextmanager
async def places(folder: Path, kind: str) -> AsyncIterator[str]:
    """Give where checkpoints go."""
    if kind == "sqlite":
        yield str(folder / "checkpoints.sqlite")
    else:
        async with redis_server(folder / "redis", modules=False, fsync="always") as server:
            yield server.url


async def killed_after(place: str, effects: Path, thread: str, steps: int) -> int:
    """Run the writer, kill it when it has told so many steps, and return the last one it told."""
    arguments = (sys.executable, "-m", "tests.savers_writer", place, str(effects), thread)
    writer = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert writer.stdout
    told = [int(await writer.stdout.readline()) for _ in range(steps + 1)]
    writer.kill()
    rest, _ = await writer.communicate()
    return max([*told, *map(int, rest.split())])


async def wrong(place: str, server: RedisServer | None = None) -> list[str]:
    if not place.startswith("redis:"):
        return file_misfits(Path(place))
    async with client_of(server or RedisServer(Path(), port=int(place.rpartition(":")[2].split("/")[0]))) as client:
        return await misfits(client)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_a_writer_killed_at_any_step_repeats_that_one_at_most(kind: str, tmp_path: Path) -> None:
    async with places(tmp_path, kind) as place:
        for steps in TURNS:
            thread, effects = f"t{steps}", tmp_path / f"effects{steps}"
            told = await killed_after(place, effects, thread, steps)
            assert await wrong(place) == []
            async with AsyncExitStack() as stack:
                graph = counting(await opened(stack, place), effects)
                values = (await graph.aget_state(config_of(thread))).values
                assert values["n"] >= told
                assert values["text"] == text_at(values["n"])
                assert (await graph.ainvoke(None, config_of(thread), durability="sync"))["n"] == STEPS
            done = [int(each) for each in effects.read_text().split()]
            assert sorted(set(done)) == list(range(STEPS))
            assert len(done) <= STEPS + 1


async def test_a_redis_killed_at_any_step_has_what_was_acknowledged(tmp_path: Path) -> None:
    async with redis_server(tmp_path / "redis", modules=False, fsync="always") as server:
        for steps in TURNS[:-1]:
            effects, seen = tmp_path / f"effects{steps}", 0
            async with AsyncExitStack() as stack:
                graph = counting(await opened(stack, server.url), effects)
                stream = graph.astream(
                    {"n": 0, "text": ""}, config_of(f"t{steps}"), stream_mode="values", durability="sync"
                )
                with suppress(StoreUnavailable):
                    async for state in stream:
                        seen = state["n"]
                        if seen == steps:
                            await server.kill()
                await server.start()
                assert await wrong(server.url) == []
                assert (await graph.aget_state(config_of(f"t{steps}"))).values["n"] >= seen
                assert (await graph.ainvoke(None, config_of(f"t{steps}"), durability="sync"))["n"] == STEPS
            assert len(effects.read_text().split()) <= STEPS + 1


async def test_a_log_cut_off_anywhere_is_whole_up_to_there(tmp_path: Path) -> None:
    async with redis_server(tmp_path / "redis", modules=False, fsync="always") as server:
        async with AsyncExitStack() as stack:
            graph = counting(await opened(stack, server.url), tmp_path / "effects")
            await graph.ainvoke({"n": 0, "text": ""}, config_of("t"), durability="sync")
        (log,) = (tmp_path / "redis").rglob("*.aof")
        written, states = log.read_bytes(), []
        for cut in range(1, 40):
            await server.kill()
            log.write_bytes(written[: len(written) - cut * len(written) // 60])
            await server.start()
            async with AsyncExitStack() as stack:
                assert await wrong(server.url) == []
                saver = await opened(stack, server.url)
                found = await saver.aget_tuple(config_of("t"))
            states.append(found.checkpoint["channel_values"].get("n", 0) if found else 0)
        assert states == sorted(states, reverse=True)
        assert len(set(states)) > STEPS // 2


class Killed(Exception):
    """The process is gone."""


class Ending(Line):
    """A connection whose process is killed at one of its commands.

    Args:
        after: So many commands go through.
        is_sent: Whether the next one still reaches Redis; its answer reaches nobody.
    """

    def __init__(self, client: Redis, *, after: int, is_sent: bool) -> None:
        super().__init__(client)
        self._left, self._is_sent = after, is_sent

    async def run(self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument]) -> Any:
        self._left -= 1
        if self._left >= 0 or (self._left == -1 and self._is_sent):
            answer = await super().run(script, keys, arguments)
            if self._left >= 0:
                return answer
        raise Killed


async def ended_at(client: Redis, effects: Path, thread: str, *, after: int, is_sent: bool) -> bool:
    """Run the graph until its process is killed, and return whether it was."""
    shelf = RedisShelf(Ending(client, after=after, is_sent=is_sent), Care(kept=2))
    graph = counting(LeanSaver(shelf, serializer()), effects)
    try:
        await graph.ainvoke({"n": 0, "text": ""}, config_of(thread), durability="sync")
    except Killed:
        return True
    finally:
        await shelf.close()
    return False


@pytest.mark.parametrize("is_sent", [False, True], ids=["before", "after"])
async def test_killed_before_or_after_any_command_nothing_is_half_and_one_step_is_repeated(
    is_sent: bool, tmp_path: Path
) -> None:
    async with redis_server(tmp_path / "redis", modules=False) as server, client_of(server) as client:
        after = 0
        while await ended_at(client, tmp_path / f"{after}", f"t{after}", after=after, is_sent=is_sent):
            assert await misfits(client) == []
            async with AsyncExitStack() as stack:
                graph = counting(await opened(stack, server.url), tmp_path / f"{after}")
                values = (await graph.aget_state(config_of(f"t{after}"))).values
                assert values.get("text", "") == text_at(values.get("n", 0))
                given = None if values else {"n": 0, "text": ""}
                assert (await graph.ainvoke(given, config_of(f"t{after}"), durability="sync"))["n"] == STEPS
            done = [int(each) for each in (tmp_path / f"{after}").read_text().split()]
            assert (sorted(set(done)), len(done) <= STEPS + 1) == (list(range(STEPS)), True)
            after += 1
        assert after >= STEPS
