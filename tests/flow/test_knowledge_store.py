"""The vector store is opened once, and a store that is ill is said and left as it is."""

import asyncio
import re
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import httpx2
import pytest

from graph.knowledge.retrieval import MISSING
from tests.asking import ask
from tests.knowing import RETURNS, add, search, stats
from tests.running import ROOT, free_port, refused, served, server_process, settings_for
from tests.services import DemoServices
from tools.knowledge.once import Once
from tools.knowledge.vectors import open_vectors

INITIALIZED = "rag_vectorstore_initialized"


async def test_fifty_first_requests_make_one_vector_store(tmp_path: Path) -> None:
    log, port = tmp_path / "log", free_port()
    async with (
        logged(log, DATA_DIR=str(tmp_path / "data"), PORT=str(port), LOG_FORMAT="json"),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client,
    ):
        await answering(client)
        answers = await asyncio.gather(*(ask(client, "how are you?", session_id=f"s{one}") for one in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        async with asyncio.timeout(30):
            while (told := await stats(client))["initialisations"] == 0:  # noqa: ASYNC110  # another process does it
                await asyncio.sleep(0.05)
        assert (told["initialisations"], told["queries"], told["state"]) == (1, 50, "empty")
    assert log.read_text().count(INITIALIZED) == 1


@asynccontextmanager
async def logged(log: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a server that writes to a file, and end it."""
    with log.open("wb") as opened:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "server.py", cwd=ROOT, env=environment, stdout=opened, stderr=opened
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def answering(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await client.get("/health")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_fifty_first_searches_of_a_full_store_share_one(tmp_path: Path, demo: DemoServices) -> None:
    settings = settings_for(tmp_path / "data", demo)
    async with served(settings) as server:
        await add(server.client, RETURNS)
    async with served(settings) as server:
        found = await asyncio.gather(*(search(server.client, f"send goods back {one}") for one in range(50)))
        assert all(hits for hits in found)
        assert (await stats(server.client))["initialisations"] == 1


async def test_a_first_caller_who_leaves_takes_the_store_from_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Once(lambda: open_vectors(tmp_path / "chroma", None))
    asking = [asyncio.create_task(store.get()) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
    (vectors,) = set(await asyncio.gather(*asking[1:]))
    assert await vectors.names() == set()
    await vectors.close()
    assert (store.times, capsys.readouterr().out.count(INITIALIZED)) == (1, 1)


async def test_a_first_opening_that_fails_poisons_nobody_and_a_later_one_is_the_only_one(
    tmp_path: Path, demo: DemoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, chroma = settings_for(tmp_path / "data", demo), tmp_path / "data" / "chroma"
    async with served(settings) as server:
        await add(server.client, RETURNS)
    chroma.rename(tmp_path / "kept")
    chroma.mkdir()
    (chroma / "chroma.sqlite3").write_bytes(b"garbage" * 500)
    capsys.readouterr()
    async with served(settings) as server:
        found = await asyncio.gather(*(search(server.client, f"goods back {one}", min_score=0) for one in range(50)))
        assert {tuple(hits[0]["found_by"]) for hits in found} == {("words",)}
        assert (await stats(server.client))["initialisations"] == 0
        shutil.rmtree(chroma)
        (tmp_path / "kept").rename(chroma)
        found = await asyncio.gather(*(search(server.client, f"goods back {one}", way="meaning") for one in range(50)))
        assert all(found)
        assert (await stats(server.client))["initialisations"] == 1
    assert capsys.readouterr().out.count(INITIALIZED) == 1


async def test_of_two_processes_that_start_at_once_on_one_folder_one_opens_it(tmp_path: Path) -> None:
    environment = {"DATA_DIR": str(tmp_path / "data"), "LOG_FORMAT": "json"}
    logs = [tmp_path / "one", tmp_path / "other"]
    ports = [free_port() for _ in logs]
    async with AsyncExitStack() as stack:
        started = [
            await stack.enter_async_context(logged(log, PORT=str(port), **environment))
            for log, port in zip(logs, ports, strict=True)
        ]
        ends = [asyncio.create_task(each.wait()) for each in started]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        (winner,) = [place for place, each in enumerate(started) if each.returncode is None]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{ports[winner]}", trust_env=False) as client:
            await answering(client)
            await add(client, RETURNS)
            assert (await stats(client))["initialisations"] == 1
        assert started[1 - winner].returncode == 2
    assert "".join(log.read_text() for log in logs).count(INITIALIZED) == 1


async def test_a_second_process_on_the_folder_does_not_start(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings_for(tmp_path / "data", demo)) as server:
        await add(server.client, RETURNS)
        told = await refused(DATA_DIR=str(tmp_path / "data"), PORT=str(free_port()))
        assert "DATA_DIR" in told
        assert await search(server.client, "send goods back")


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(b"garbage" * 500),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_store_is_said_left_alone_and_words_go_on(
    tmp_path: Path, demo: DemoServices, damage: str
) -> None:
    settings = settings_for(tmp_path / "data", demo)
    async with served(settings) as server:
        await add(server.client, RETURNS)
    file = tmp_path / "data" / "chroma" / "chroma.sqlite3"
    DAMAGES[damage](file)
    before = file.read_bytes() if file.exists() else None
    async with served(settings) as server:
        answer = (await server.client.post("/rag/search", json={"query": "goods sent back within 30 days"})).json()
        told = await stats(server.client)
        health = (await server.client.get("/health")).json()
        added = await add(server.client, "Another document, about tyres.")
    assert [hit["found_by"] for hit in answer["hits"]] == [["words"]]
    assert [(notice["port"], notice["mode"]) for notice in answer["degraded"]] == [("knowledge", "degraded")]
    assert re.search("chroma|Chroma", told["reason"])
    assert (told["mode"], told["search"], health["status"]) == ("degraded", "words", "degraded")
    assert added["state"] == "done"
    assert (file.read_bytes() if file.exists() else None) == before


async def test_a_store_that_was_moved_away_is_filled_again_from_the_records(tmp_path: Path, demo: DemoServices) -> None:
    settings = settings_for(tmp_path / "data", demo)
    async with served(settings) as server:
        await add(server.client, RETURNS)
    (tmp_path / "data" / "chroma").rename(tmp_path / "away")
    (tmp_path / "data" / "words.sqlite").unlink()
    async with served(settings) as server, asyncio.timeout(60):
        while not await search(server.client, "send goods back", way="meaning"):  # noqa: ASYNC110  # tending ends it
            await asyncio.sleep(0.2)
        assert await search(server.client, "postage", way="words")


@pytest.mark.parametrize("left", [50, 20, 4])
async def test_vectors_that_would_kill_the_process_are_said_and_left_alone(
    tmp_path: Path, demo: DemoServices, left: int
) -> None:
    settings, chroma = settings_for(tmp_path / "data", demo), tmp_path / "data" / "chroma"
    async with served(settings) as server:
        await add(server.client, RETURNS)
    headers = list(chroma.glob("*/header.bin"))
    for header in headers:
        header.write_bytes(header.read_bytes()[:left])
    async with server_process(tmp_path / "data", demo) as process:
        async with httpx2.AsyncClient(base_url=process.url, timeout=60, trust_env=False) as client:
            await search(client, "send goods back", way="meaning")
            told = await stats(client)
        assert await process.end() == 0
    assert headers
    assert (told["mode"], told["search"]) == ("degraded", "words")
    assert "header.bin is damaged; move" in told["reason"]
    assert {header.stat().st_size for header in headers} == {left}


async def test_vectors_that_are_missing_are_said_until_they_are_there_again(tmp_path: Path, demo: DemoServices) -> None:
    settings = settings_for(tmp_path / "data", demo)
    book = "\n\n".join(f"# Part {number}\n\nGoods may be sent back. " + "Words. " * 60 for number in range(60))
    async with served(settings) as server:
        await add(server.client, book)
    shutil.rmtree(tmp_path / "data" / "chroma")
    async with served(settings) as server:
        answer = (await server.client.post("/rag/search", json={"query": "goods sent back"})).json()
        told = await stats(server.client)
        assert [hit["found_by"] for hit in answer["hits"]][:1] == [["words"]]
        assert [(notice["mode"], notice["reason"]) for notice in answer["degraded"]] == [("degraded", MISSING)]
        assert (told["mode"], told["reason"], told["search"]) == ("degraded", MISSING, "words")
        async with asyncio.timeout(60):
            while (told := await stats(server.client))["mode"] != "embedded":  # noqa: ASYNC110  # tending ends it
                await asyncio.sleep(0.2)
        answer = (await server.client.post("/rag/search", json={"query": "goods sent back"})).json()
        assert (answer["degraded"], answer["hits"][0]["found_by"][0]) == ([], "meaning")


async def test_a_store_that_opens_and_gives_no_answer_is_not_called_well(tmp_path: Path, demo: DemoServices) -> None:
    settings = settings_for(tmp_path / "data", demo)
    file = tmp_path / "data" / "chroma" / "chroma.sqlite3"
    async with served(settings) as server:
        await add(server.client, RETURNS)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE collections SET dimension = 5")
    async with served(settings) as server:
        await search(server.client, "send goods back")
        told = [await stats(server.client), await stats(server.client)]
        assert [(each["mode"], each["search"]) for each in told] == [("degraded", "words")] * 2
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE collections SET dimension = 384")
        async with asyncio.timeout(30):
            while (await stats(server.client))["mode"] != "embedded":  # noqa: ASYNC110  # tending ends it
                await asyncio.sleep(0.2)
