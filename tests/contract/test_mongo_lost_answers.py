"""A write is done and its answer lost, and the server forgets that the driver repeats it: nobody is told of a rival.

MongoDB remembers such writes. The server of these tests does not: not after a crash, and not where the repeated command
says another `maxTimeMS`, as the driver's do.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from pymongo.errors import DuplicateKeyError

from checkpoints.approvals import Approvals
from checkpoints.collections import Database
from checkpoints.ledger import Ledger
from checkpoints.mongo import open_mongo
from checkpoints.runs import Runs
from tests.mongo_server import MongoServer, mongo_server
from tests.records import after, order, request, result, run, verdict
from tests.wire import Wire, wire_to

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MongoServer]:
    async with mongo_server(tmp_path_factory.mktemp("mongo"), standalone=False) as started:
        yield started


@asynccontextmanager
async def opened(server: MongoServer, name: str) -> AsyncIterator[tuple[Wire, Database]]:
    async with (
        wire_to(server.port) as wire,
        open_mongo(wire.url, database=name, max_pool_size=5, open_seconds=20, answer_seconds=30) as database,
    ):
        yield wire, database


async def test_the_server_forgets(server: MongoServer) -> None:
    async with opened(server, "forgets") as (wire, database):
        wire.lose_answer_to("insert")
        with pytest.raises(DuplicateKeyError):
            await database["things"].insert_one({"_id": 1})


async def test_a_run_recorded_before_a_crash_is_ours(server: MongoServer) -> None:
    async def crash() -> None:
        await server.kill()
        await server.start()

    async with opened(server, "add") as (wire, database):
        runs = Runs(database)
        await runs.open()
        wire.lose_answer_to("insert", crash)
        await runs.add(run("run_1"))
        assert wire.command == ""
        assert await runs.page(owner=None) == [run("run_1")]


async def test_an_action_begun_unheard_is_begun_by_us(server: MongoServer) -> None:
    async with opened(server, "begin") as (wire, database):
        ledger = Ledger(database)
        wire.lose_answer_to("insert")
        first = await ledger.begin(order("act_1"), at=after(0))
        wire.lose_answer_to("update")
        again = await ledger.begin(order("act_1"), at=after(0))
        assert (wire.command, first.may_send, again.may_send) == ("", True, False)
        wire.lose_answer_to("update")
        assert await ledger.finish(again, result("act_1"), at=after(1)) == result("act_1")


async def test_a_request_and_a_verdict_recorded_unheard_are_ours(server: MongoServer) -> None:
    async with opened(server, "ask") as (wire, database):
        approvals = Approvals(database)
        wire.lose_answer_to("insert")
        assert await approvals.ask(request("apr_1")) == request("apr_1")
        wire.lose_answer_to("findAndModify")
        decided = await approvals.decide("apr_1", verdict(), owner=None)
        assert (wire.command, decided.state, decided.verdict) == ("", "approved", verdict())


async def test_a_run_taken_and_left_unheard_is_taken_and_left_by_us(server: MongoServer) -> None:
    async with opened(server, "take") as (wire, database):
        runs = Runs(database)
        await runs.add(run("run_1"))
        wire.lose_answer_to("findAndModify")
        taken = await runs.take(run("run_1"), at=after(1))
        assert taken is not None
        assert (wire.command, taken.attempt) == ("", 2)
        wire.lose_answer_to("update")
        left = await runs.leave(taken, "completed", at=after(2), reply={"reply": "done"})
        assert (wire.command, left) == ("", await runs.get("run_1"))
