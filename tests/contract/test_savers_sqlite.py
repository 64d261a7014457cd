"""Our checkpoints in a file."""

import sqlite3
from pathlib import Path

import pytest

from checkpoints.saver import open_langgraph_sqlite_saver, open_sqlite_saver
from domain.errors import StoreUnavailable
from tests.savers import stored, values_of


async def test_the_file_is_written_ahead_and_synced_at_every_commit(tmp_path: Path) -> None:
    async with open_sqlite_saver(tmp_path / "checkpoints.sqlite") as saver:
        engine = saver.shelf._engine  # type: ignore[attr-defined]
        pragmas = [
            await engine.write(lambda opened, name=name: opened.connection.execute(f"PRAGMA {name}").fetchone())
            for name in ("journal_mode", "synchronous")
        ]
    assert pragmas == [("wal",), (2,)]


async def test_a_file_that_fails_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    async with open_sqlite_saver(path) as saver:
        await stored(saver, "t", n=1)
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE checkpoint")
        other.close()
        with pytest.raises(StoreUnavailable, match=r"checkpoints\.sqlite could not be read or written"):
            await values_of(saver, "t")


async def test_a_file_of_the_package_is_left_alone_and_named(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    async with open_langgraph_sqlite_saver(path) as old:
        await stored(old, "t", n=1)
    with pytest.raises(StoreUnavailable, match=r"written by langgraph-checkpoint-sqlite: move it away"):
        async with open_sqlite_saver(path):
            pass
    async with open_langgraph_sqlite_saver(path) as old:
        assert await values_of(old, "t") == {"n": 1}


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    path.write_text("no database at all, but long enough to be read as one" * 20)
    with pytest.raises(StoreUnavailable, match=r"cannot be used"):
        async with open_sqlite_saver(path):
            pass
