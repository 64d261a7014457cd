"""Threads copied from one saver to another go on there, and a copy that was broken off goes on as well."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from boot.checkpoints import KINDS, copy, prune, read_options
from boot.settings import Settings
from checkpoints.copying import copied, threads_of
from checkpoints.saver import open_redis_saver, open_sqlite_saver
from domain.errors import ConfigurationError
from tests.contract.test_savers_kept import talk, turn
from tests.redis_server import RedisServer, redis_server
from tests.running import ROOT
from tests.savers import OURS, PACKAGED, client_of, config_of, file_misfits

EVERY = {**OURS, **{name: opener for name, opener in PACKAGED.items() if name != "memory"}}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path / "redis") as running:
        yield running


async def states(saver: Any, thread: str = "t") -> list[Any]:
    found = [each async for each in talk(saver).aget_state_history(config_of(thread))]
    return [(each.values, each.next, each.interrupts, each.metadata["step"], each.created_at) for each in found]


@pytest.mark.parametrize("source", EVERY)
@pytest.mark.parametrize("target", OURS)
async def test_a_copy_has_the_history_and_goes_on(source: str, target: str, tmp_path: Path) -> None:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    async with EVERY[source](tmp_path / "source") as old, OURS[target](tmp_path / "target") as new:
        await turn(talk(old), {"said": "one"})
        await turn(talk(old), {"said": "ask"})
        assert await threads_of(old) == ["t"]
        assert await copied(old, new, "t") == len(await states(old))
        assert await copied(old, new, "t") == 0
        assert await states(new) == await states(old)
        for saver in (old, new):
            assert await turn(talk(saver), Command(resume="yes")) == {"said": "yes", "n": 2}
            assert await turn(talk(saver), {"said": "on"}) == {"said": "on" * 20, "n": 3}


async def test_the_command_copies_every_thread_and_back(server: RedisServer, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, redis_url=server.url, data_dir=tmp_path)
    async with PACKAGED["langgraph-sqlite"](tmp_path) as old:
        for thread in ("a", "b", "c"):
            await turn(talk(old), {"said": thread}, thread)
        expected = [await states(old, thread) for thread in ("a", "b", "c")]
    path = f"langgraph-sqlite:{tmp_path / 'old.sqlite'}"
    assert await copy(settings, path, "redis", threads=["a"]) == "4 checkpoints of 1 threads copied."
    assert await copy(settings, path, "redis", threads=[]) == "8 checkpoints of 3 threads copied."
    await copy(settings, "redis", "redis-json", threads=[])
    await copy(settings, "redis-json", "sqlite", threads=[])
    async with OURS["sqlite"](tmp_path) as new:
        assert [await states(new, thread) for thread in ("a", "b", "c")] == expected
    assert await prune(settings, "sqlite", kept=0) == "3 threads pruned."
    async with OURS["sqlite"](tmp_path) as new:
        assert [await states(new, thread) for thread in ("a", "b", "c")] == [each[:1] for each in expected]


@pytest.mark.parametrize("named", ["mysql", "redis", "langgraph-sqlite:nowhere.sqlite"])
async def test_a_saver_that_is_none_is_refused(named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        await copy(Settings(_env_file=None, data_dir=tmp_path), named, "sqlite", threads=[])
    with pytest.raises(ConfigurationError):
        await prune(Settings(_env_file=None, data_dir=tmp_path), named, kept=1)


async def copying(url: str, folder: Path, *, kill_after: int | None = None) -> str:
    """Run the command of its own process, kill it after so many threads, and return what it said."""
    environment = {**os.environ, "REDIS_URL": url, "DATA_DIR": str(folder)}
    command = (sys.executable, "-m", "boot.checkpoints", "copy", "--from", "redis", "--to", "sqlite")
    pipes: Any = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, **pipes)
    assert process.stderr
    for _ in range(kill_after or 0):
        await process.stderr.readline()
    if kill_after:
        process.kill()
    said, _ = await process.communicate()
    return said.decode().strip()


async def test_a_copy_that_was_killed_goes_on_where_it_was(server: RedisServer, tmp_path: Path) -> None:
    threads = [f"t{n}" for n in range(30)]
    async with client_of(server) as client, open_redis_saver(client) as old:
        for thread in threads:
            await turn(talk(old), {"said": "one"}, thread)
            await turn(talk(old), {"said": "ask"}, thread)
        expected = [await states(old, thread) for thread in threads]
    assert await copying(server.url, tmp_path, kill_after=5) == ""
    said = await copying(server.url, tmp_path)
    assert said.endswith("checkpoints of 30 threads copied.")
    assert 0 < int(said.split()[0]) <= 25 * len(expected[0])
    assert file_misfits(tmp_path / "checkpoints.sqlite") == []
    async with OURS["sqlite"](tmp_path) as new:
        assert [await states(new, thread) for thread in threads] == expected
        assert await turn(talk(new), Command(resume="yes"), "t0") == {"said": "yes", "n": 2}


async def test_a_thread_that_is_none_is_named_and_nothing_is_copied(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    async with OURS["sqlite"](tmp_path) as old:
        await turn(talk(old), {"said": "hi"}, "a")
    target = f"sqlite:{tmp_path / 'new.sqlite'}"
    with pytest.raises(ConfigurationError, match="no thread thr_b in sqlite"):
        await copy(settings, "sqlite", target, threads=["a", "thr_b"])
    async with open_sqlite_saver(tmp_path / "new.sqlite") as new:
        assert [each async for each in new.alist(None)] == []


def test_a_count_below_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_options(["prune", "--in", "sqlite", "--kept", "-1"])
    assert "'-1' is no count" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["copy", "prune"])
async def test_the_help_tells_what_a_saver_is_and_how_to_ask(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_options([command, "--help"])
    told = capsys.readouterr().out
    assert [kind for kind in KINDS if f"\n  {kind} " not in told] == []
    for line in told.splitlines():
        if line.startswith("  python -m boot.checkpoints "):
            assert read_options(line.split()[3:]).command == command
