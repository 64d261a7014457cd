"""A document server that is killed, started again, or frozen, while many write."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from checkpoints.mongo import MongoDatabase, open_mongo
from domain.errors import StoreUnavailable
from tests.mongo_server import MongoServer, mongo_server

WRITERS = 50


@asynccontextmanager
async def opened(folder: Path, *, answer: float) -> AsyncIterator[tuple[MongoServer, MongoDatabase]]:
    async with (
        mongo_server(folder) as server,
        open_mongo(server.url, database="test", max_pool_size=10, open_seconds=20, answer_seconds=answer) as database,
    ):
        yield server, database


async def written(database: MongoDatabase, writer: int, enough: asyncio.Event, kept: set[str]) -> list[type]:
    """Write until it is enough, keep what was acknowledged, and return the kinds of errors."""
    errors, number = list[type](), 0
    while not enough.is_set():
        number += 1
        try:
            await database["things"].insert_one({"_id": f"{writer}-{number}"})
            kept.add(f"{writer}-{number}")
        except Exception as error:  # noqa: BLE001  # which kinds there are is what is tested
            errors.append(type(error))
    return errors


async def until(kept: set[str], count: int) -> None:
    async with asyncio.timeout(30):
        while len(kept) < count:  # noqa: ASYNC110  # a real server answers when it does
            await asyncio.sleep(0.01)


async def test_a_killed_server_loses_nothing_acknowledged_and_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    enough, kept = asyncio.Event(), set[str]()
    async with opened(tmp_path, answer=1) as (server, database):
        async with asyncio.TaskGroup() as writers:
            tasks = [writers.create_task(written(database, writer, enough, kept)) for writer in range(WRITERS)]
            for _ in range(2):
                await until(kept, len(kept) + 100)
                await server.kill()
                await server.start()
            await until(kept, len(kept) + 100)
            enough.set()
        stored = {document["_id"] async for document in database["things"].find()}
    assert kept - stored == set()
    assert {error for task in tasks for error in task.result()} == {StoreUnavailable}


async def test_a_frozen_server_is_unavailable_in_time_and_used_again_when_it_thaws(tmp_path: Path) -> None:
    async with opened(tmp_path, answer=0.5) as (server, database):
        server.freeze()
        async with asyncio.timeout(10):
            while await answering(database):  # a signal takes its time
                pass
        async with asyncio.timeout(3):
            asked = [database["things"].insert_one({"_id": number}) for number in range(WRITERS)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreUnavailable] * WRITERS
        server.thaw()
        async with asyncio.timeout(10):
            while not await answering(database):
                pass
        assert await database["things"].count_documents({}) <= WRITERS


async def answering(database: MongoDatabase) -> bool:
    try:
        await database.ping()
    except StoreUnavailable:
        return False
    return True
