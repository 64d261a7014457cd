"""What the document store promises callers who write at the same time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, WriteError

from checkpoints.collections import Collection
from tests.documents import OPENERS, Opener


@pytest.fixture(params=OPENERS)
async def collection(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Collection]:
    opener: Opener = request.param
    async with opener(tmp_path) as database:
        yield database["things"]


async def test_one_of_25_wins_a_compare_and_set(collection: Collection) -> None:
    await collection.insert_one({"_id": 1, "state": "pending"})
    claims = [
        collection.find_one_and_update(
            {"_id": 1, "state": "pending"},
            {"$set": {"state": "claimed", "by": racer}},
            return_document=ReturnDocument.AFTER,
        )
        for racer in range(25)
    ]
    winners = [won for won in await asyncio.gather(*claims) if won is not None]
    assert len(winners) == 1
    assert await collection.find_one({"_id": 1}) == winners[0]


async def test_500_increments_are_500(collection: Collection) -> None:
    await collection.insert_one({"_id": 1, "n": 0})
    await asyncio.gather(*(collection.update_one({"_id": 1}, {"$inc": {"n": 1}}) for _ in range(500)))
    assert await collection.find_one({"_id": 1}) == {"_id": 1, "n": 500}


async def test_concurrent_upserts_make_one_document(collection: Collection) -> None:
    await collection.create_index([("user", 1), ("experiment", 1)], unique=True)

    async def assign(variant: int) -> object:
        update = {"$setOnInsert": {"variant": variant}, "$inc": {"asked": 1}}
        wanted = {"user": "u", "experiment": "e"}
        try:
            return (await collection.update_one(wanted, update, upsert=True)).upserted_id
        except DuplicateKeyError:  # MongoDB may give this to the loser of the race; the caller asks again
            return (await collection.update_one(wanted, update, upsert=True)).upserted_id

    made = [inserted for inserted in await asyncio.gather(*map(assign, range(50))) if inserted is not None]
    found = await collection.find({"user": "u"}).to_list()
    assert len(made) == 1
    assert [document["asked"] for document in found] == [50]


async def test_a_write_that_fails_does_not_undo_its_neighbours(collection: Collection) -> None:
    await collection.create_index("key", unique=True)
    await collection.insert_one({"_id": "text", "key": -1, "n": "text"})

    async def write(number: int) -> None:
        if number % 3 == 2:
            await collection.update_one({"_id": "text"}, {"$set": {"x": number}, "$inc": {"n": 1}})
        await collection.insert_one({"_id": number, "key": number - number % 3})

    results = await asyncio.gather(*map(write, range(60)), return_exceptions=True)
    kinds = [{type(one), type(other)} for one, other in zip(results[::3], results[1::3], strict=True)]
    assert kinds == [{type(None), DuplicateKeyError}] * 20
    assert {type(result) for result in results[2::3]} == {WriteError}
    assert await collection.count_documents({"_id": {"$gte": 0}}) == 20
    assert await collection.find_one({"_id": "text"}) == {"_id": "text", "key": -1, "n": "text"}


async def test_a_read_sees_every_write_that_was_acknowledged(collection: Collection) -> None:
    async def write_and_read(number: int) -> bool:
        await collection.insert_one({"_id": number})
        return await collection.find_one({"_id": number}) == {"_id": number}

    assert all(await asyncio.gather(*map(write_and_read, range(100))))


async def test_a_cancelled_caller_leaves_the_others_alone(collection: Collection) -> None:
    writes = [asyncio.ensure_future(collection.insert_one({"_id": number})) for number in range(40)]
    await asyncio.sleep(0)
    for write in writes[::2]:
        write.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    odd = [document["_id"] for document in await collection.find({"_id": {"$in": [*range(1, 40, 2)]}}).to_list()]
    assert sorted(odd) == list(range(1, 40, 2))
    await collection.insert_one({"_id": "after"})
