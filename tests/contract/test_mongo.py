"""What the networked document store promises beside the common contract: its start, its errors, its figures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from checkpoints.approvals import Approvals
from checkpoints.ledger import Ledger
from checkpoints.mongo import MongoDatabase, open_mongo
from checkpoints.runs import Runs
from domain.errors import ConfigurationError, Duplicate, StoreUnavailable
from tests.records import run
from tests.running import free_port
from tests.shared_mongo import MONGO


@asynccontextmanager
async def opened(url: str = "", name: str = "test", pool: int = 5, answer: float = 20) -> AsyncIterator[MongoDatabase]:
    async with open_mongo(
        url or await MONGO.url(), database=name, max_pool_size=pool, open_seconds=20, answer_seconds=answer
    ) as database:
        yield database


@asynccontextmanager
async def failing(*commands: str, **how: Any) -> AsyncIterator[None]:
    """Let the server fail these commands of our client."""
    async with AsyncMongoClient[dict[str, Any]](await MONGO.url()) as client:
        data = {"failCommands": commands, "appName": "orchestrator", **how}
        await client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
        try:
            yield
        finally:
            await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


BAD_URLS = [
    ("another protocol", "redis://127.0.0.1/0"),
    ("no host", "mongodb://"),
    ("no port", "mongodb://127.0.0.1:99999"),
    ("an option without a value", "mongodb://127.0.0.1/?tls"),
    ("a password that is not escaped", "mongodb://ann:p@ss@127.0.0.1"),
    ("nothing", ""),
]


@pytest.mark.parametrize("url", [row[1] for row in BAD_URLS], ids=[row[0] for row in BAD_URLS])
async def test_a_url_that_is_none_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="MONGODB_URL"):
        async with open_mongo(url, database="test", max_pool_size=5):
            pass


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a$", "a/b"])
async def test_a_database_needs_a_proper_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="MONGODB_DATABASE"):
        async with opened(name=name):
            pass


async def test_a_password_that_is_wrong_is_a_wrong_setting_and_not_told() -> None:
    url = (await MONGO.url()).replace("//", "//ann:secret@")
    with pytest.raises(ConfigurationError, match="user and password") as caught:
        async with opened(url):
            pass
    assert "secret" not in str(caught.value)


async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    url = f"mongodb://127.0.0.1:{free_port()}"
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable):
            async with open_mongo(url, database="test", max_pool_size=5, open_seconds=0.2):
                pass


SILENT = [
    ("it takes too long", {"errorCode": 50}),
    ("it is no longer the primary", {"errorCode": 10107}),
    ("it steps down", {"errorCode": 189}),
    ("it shuts down", {"errorCode": 11600}),
    ("it may not be read by us", {"errorCode": 13}),
    ("it closes the connection", {"closeConnection": True}),
]


@pytest.mark.parametrize("how", [row[1] for row in SILENT], ids=[row[0] for row in SILENT])
async def test_a_server_that_cannot_serve_is_unavailable(how: dict[str, Any]) -> None:
    async with opened(answer=0.15) as database, failing("find", "insert", "aggregate", **how):
        things = database["things"]
        for command in (things.insert_one({}), things.find_one(), things.find().to_list(), things.count_documents({})):
            with pytest.raises(StoreUnavailable):
                await command
        with pytest.raises(StoreUnavailable):
            _ = [document async for document in things.find()]


async def test_a_write_that_the_majority_does_not_confirm_is_not_acknowledged() -> None:
    async with opened() as database, failing("insert", writeConcernError={"code": 64, "errmsg": "waited"}):
        with pytest.raises(StoreUnavailable):
            await database["things"].insert_one({})


async def test_what_the_server_does_not_understand_is_no_silence() -> None:
    async with opened() as database:
        with pytest.raises(OperationFailure):
            await database["things"].find_one({"$nonsense": 1})


async def test_who_finds_no_free_connection_waits_and_is_told_in_time() -> None:
    async with opened(pool=1, answer=0.5) as database, failing("find", blockConnection=True, blockTimeMS=2_000):
        found = await asyncio.gather(*(database["things"].find_one() for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [StoreUnavailable] * 3
    assert database.stats()["requests_queued"] == 2
    assert database.stats()["requests_errors"] == 3


async def test_the_pool_is_told_in_figures() -> None:
    async with opened(pool=4) as database:
        await asyncio.gather(*(database["things"].find_one() for _ in range(20)))
        stats = database.stats()
        assert 1 <= stats.pop("pool_size") <= 4
        assert 16 <= stats.pop("requests_queued") <= 20
        assert stats == {"pool_max": 4, "pool_available": 4, "requests_total": 21, "requests_errors": 0}
    assert database.stats()["pool_size"] == 0


async def test_its_form_names_server_and_database_and_no_password() -> None:
    url = await MONGO.url()
    async with opened(url, name="mine") as database:
        assert database.form == f"MongoDB {url.removeprefix('mongodb://').partition('/')[0]}/mine"


async def test_processes_that_start_at_once_make_the_same_indexes() -> None:
    async def start(name: str) -> str:
        async with opened(name="starting") as database:
            stores = Runs(database), Approvals(database), Ledger(database)
            await asyncio.gather(*(store.open() for store in stores))
            try:
                await stores[0].add(run(name))
            except Duplicate:
                return "refused"
            return "added"

    answers = await asyncio.gather(*(start(f"run_{number}") for number in range(8)))
    assert sorted(answers) == ["added"] + ["refused"] * 7
