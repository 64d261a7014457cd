"""What the embedded document store promises beside the common contract: its file, its processes, its indexes."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError, WriteError

from checkpoints.documents import EmbeddedCollection, open_documents
from domain.errors import StoreUnavailable, UnsupportedQuery

ROOT = Path(__file__).parents[2]


def writing(path: Path, writer: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.documents_writer", str(path), writer, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603


def acknowledged_before_a_kill(path: Path, writer: str) -> list[str]:
    with writing(path, writer, 100_000) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline().strip() for _ in range(40)]
        process.kill()
        return seen + [line.strip() for line in process.stdout if line.endswith("\n")]


async def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path, acknowledged = tmp_path / "documents.sqlite", list[str]()
    for writer in "abc":
        acknowledged += await asyncio.to_thread(acknowledged_before_a_kill, path, writer)
        async with open_documents(path) as database:
            found = {entry["_id"] for entry in await database["entries"].find().to_list()}
            counter = await database["counters"].find_one({"_id": "entries"})
        assert set(acknowledged) <= found
        assert counter is not None
        assert len(acknowledged) <= counter["n"] <= len(found)


async def test_three_processes_on_one_file_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite"
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(writing(path, writer, 60)) for writer in "abc"]
        for process in processes:
            await asyncio.to_thread(process.communicate)
        assert [process.returncode for process in processes] == [0, 0, 0]
    async with open_documents(path) as database:
        assert await database["entries"].count_documents({}) == 180
        assert await database["counters"].find_one({"_id": "entries"}) == {"_id": "entries", "n": 180}


async def test_what_was_written_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    async with open_documents(tmp_path / "file") as database:
        await database["things"].create_index("a", unique=True)
        await database["things"].insert_one({"_id": 1, "a": 1})
    async with open_documents(tmp_path / "file") as database:
        assert await database["things"].find_one({"a": 1}) == {"_id": 1, "a": 1}
        assert await database["things"].create_index("a", unique=True) == "a_1"


async def test_an_index_made_by_another_process_is_kept(tmp_path: Path) -> None:
    async with open_documents(tmp_path / "file") as here, open_documents(tmp_path / "file") as there:
        await here["things"].insert_one({"_id": 1, "a": 1})
        await there["things"].create_index("a")
        await here["things"].insert_one({"_id": 2, "a": 2})
        await here["things"].insert_one({"_id": 3, "a": [2]})
        assert [document["_id"] for document in await there["things"].find({"a": 2}).to_list()] == [2, 3]


async def test_an_index_that_failed_is_forgotten(tmp_path: Path) -> None:
    async with open_documents(tmp_path / "file") as here, open_documents(tmp_path / "file") as there:
        await here["things"].insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 1}])
        with pytest.raises(DuplicateKeyError):
            await here["things"].create_index("a", unique=True)
        await there["others"].insert_one({"_id": 1})
        await here["things"].insert_one({"_id": 3, "a": 2})
        assert await here["others"].count_documents({}) == 1


async def test_an_update_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    async with open_documents(tmp_path / "file") as database:
        things = database["things"]
        await things.insert_many([{"_id": 1, "n": 1}, {"_id": 2, "n": "text"}])
        grow = things.update_many({"_id": {"$lt": 3}}, {"$inc": {"n": 1}})
        neighbours = [things.insert_one({"_id": number}) for number in range(3, 6)]
        results = await asyncio.gather(neighbours[0], neighbours[1], grow, neighbours[2], return_exceptions=True)
        assert [isinstance(result, WriteError) for result in results] == [False, False, True, False]
        assert await things.find({"n": {"$exists": True}}).to_list() == [{"_id": 1, "n": 1}, {"_id": 2, "n": "text"}]
        assert await things.count_documents({}) == 5


async def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    async with open_documents(tmp_path / "file") as database:
        things = database["things"]
        writes = [asyncio.ensure_future(things.insert_one({"_id": number})) for number in range(300)]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)
    with pytest.raises(StoreUnavailable):
        await things.insert_one({"_id": "late"})
    async with open_documents(tmp_path / "file") as database:
        assert await database["things"].count_documents({}) == 300


async def test_a_file_locked_by_another_program_is_unavailable_until_it_lets_go(tmp_path: Path) -> None:
    async with open_documents(tmp_path / "file", busy_seconds=0.05) as database:
        await database["things"].insert_one({"_id": 1})
        with contextlib.closing(sqlite3.connect(tmp_path / "file", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable) as caught:
                await database["things"].insert_one({"_id": 2})
            assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
            assert await database["things"].find_one({"_id": 1}) == {"_id": 1}
        await database["things"].insert_one({"_id": 2})


def other_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (a)")


UNUSABLE: list[tuple[str, Any]] = [
    ("no database", lambda path: path.write_bytes(b"no database" * 1000)),
    ("somebody else's database", other_database),
    ("a directory", Path.mkdir),
    ("a directory that is missing", lambda _: None),
]


@pytest.mark.parametrize(("kind", "make"), UNUSABLE, ids=[row[0] for row in UNUSABLE])
async def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, kind: str, make: Any) -> None:
    path = tmp_path / ("missing/file" if "missing" in kind else "file")
    make(path)
    with pytest.raises(StoreUnavailable):
        async with open_documents(path, busy_seconds=0.05):
            pass


async def test_a_full_disk_fails_every_write_of_the_commit_and_passes(tmp_path: Path) -> None:
    script = [sys.executable, "-m", "tests.documents_full_disk", str(tmp_path / "file")]
    process = await asyncio.to_thread(subprocess.run, script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.stdout == "all failed\nnone was kept\nwrites again\n", process.stderr


async def test_a_unique_index_refuses_arrays(tmp_path: Path) -> None:
    async with open_documents(tmp_path / "file") as database:
        await database["things"].create_index("a.b", unique=True)
        with pytest.raises(UnsupportedQuery):
            await database["things"].insert_one({"a": [{"b": 1}]})
        assert await database["things"].count_documents({}) == 0


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with 20,000 runs."""
    path = tmp_path_factory.mktemp("many") / "file"

    async def fill() -> None:
        async with open_documents(path) as database:
            await database["runs"].create_index([("owner", 1), ("state", 1), ("created_at", -1)])
            await database["runs"].create_index("key", unique=True, partialFilterExpression={"state": "open"})
            states = ("open", "done")
            await database["runs"].insert_many(
                [
                    {"_id": f"{n:05}", "owner": f"u{n % 9}", "state": states[n % 2], "created_at": n // 3, "key": n}
                    for n in range(20_000)
                ]
            )

    asyncio.run(fill())
    return path


RECENT = [("created_at", -1)]
PLANS: list[tuple[str, dict[str, Any], list[tuple[str, int]], str]] = [
    ("by id", {"_id": "00042"}, [], "id of runs (id=?)"),
    ("by id and state, as a compare-and-set", {"_id": "00042", "state": "open"}, [], "id of runs (id=?)"),
    ("by ids", {"_id": {"$in": ["00042", "00043"]}}, [], "id of runs (id=?)"),
    ("after an id", {"_id": {"$gt": "00042"}}, [("_id", 1)], "id of runs (id>? AND id<?)"),
    ("all, latest id first", {}, [("_id", -1)], "id of runs"),
    (
        "a page",
        {"owner": "u1", "state": "open"},
        RECENT,
        "runs owner_1_state_1_created_at_-1 (key owner=? AND key state=?)",
    ),
    (
        "the next page",
        {"owner": "u1", "state": "open", "created_at": {"$lt": 500}},
        RECENT,
        "runs owner_1_state_1_created_at_-1 (key owner=? AND key state=? AND key created_at>? AND key created_at<?)",
    ),
    ("by a partial index", {"key": 42, "state": "open"}, [], "runs key_1 (key key=?)"),
]


@pytest.mark.parametrize(("conditions", "order", "index"), [row[1:] for row in PLANS], ids=[row[0] for row in PLANS])
async def test_a_query_stays_on_its_index(many: Path, conditions: Any, order: Any, index: str) -> None:
    async with open_documents(many) as database:
        runs: EmbeddedCollection = database["runs"]
        cursor = runs.find(conditions)
        plan = (await (cursor.sort(order) if order else cursor).explain())["plan"]
        assert len(plan) == 1  # no sorting beside the search
        assert plan[0].endswith(f"USING INDEX {index}")
        assert await runs.find_one(conditions, sort=order or None) is not None
