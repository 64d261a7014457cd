"""What repositories may rely on, whatever form the document store has."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from bson.errors import InvalidDocument
from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError, InvalidName, OperationFailure, WriteError

from checkpoints.collections import Collection, Database, Document
from tests.documents import OPENERS, Opener

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def mongodb_fits(database: AsyncDatabase[Document]) -> Database:
    """For the type checker: a repository takes MongoDB's own client."""
    return database


@pytest.fixture(params=OPENERS)
async def collection(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Collection]:
    opener: Opener = request.param
    async with opener(tmp_path) as database:
        yield database["things"]


async def ids(collection: Collection, conditions: Document) -> list[Any]:
    return [document["_id"] for document in await collection.find(conditions).sort("_id", 1).to_list()]


async def test_every_value_comes_back_as_it_was_stored(collection: Collection) -> None:
    values: Document = {"_id": "x", "none": None, "yes": True, "int": 2**63 - 1, "float": 0.1, "text": "é\0😀"}
    values |= {"list": [1, [2], {"a": []}], "document": {"b": 1, "a": 2}, "time": NOON, "bytes": b"\0\xff"}
    await collection.insert_one(values)
    found = await collection.find_one({"_id": "x"})
    assert found == values
    assert found is not None
    assert found["time"].tzinfo is not None
    assert list(found["document"]) == ["b", "a"]


async def test_times_keep_their_milliseconds(collection: Collection) -> None:
    await collection.insert_one({"_id": 1, "at": NOON.replace(microsecond=123_999)})
    assert await collection.find_one({"at": NOON.replace(microsecond=123_456)}) == {
        "_id": 1,
        "at": NOON.replace(microsecond=123_000),
    }


@pytest.mark.parametrize("value", [{1, 2}, object(), 1j], ids=lambda value: type(value).__name__)
async def test_a_value_bson_does_not_know_is_refused(collection: Collection, value: object) -> None:
    with pytest.raises(InvalidDocument):
        await collection.insert_one({"a": value})


async def test_an_integer_beyond_64_bits_is_refused(collection: Collection) -> None:
    with pytest.raises(OverflowError):
        await collection.insert_one({"a": 2**63})


@pytest.mark.parametrize("document", [{"a\0": 1}, {"a": {"b\0": 1}}, {1: 1}], ids=str)
async def test_a_name_that_is_no_plain_text_is_refused(collection: Collection, document: Document) -> None:
    with pytest.raises(InvalidDocument):
        await collection.insert_one(document)


async def test_an_id_is_given_where_there_is_none(collection: Collection) -> None:
    document: Document = {"a": 1}
    result = await collection.insert_one(document)
    assert isinstance(result.inserted_id, ObjectId)
    assert document["_id"] == result.inserted_id
    assert await collection.find_one({"_id": result.inserted_id}) == {"_id": result.inserted_id, "a": 1}


async def test_what_is_found_is_nobody_elses(collection: Collection) -> None:
    document: Document = {"_id": 1, "a": [1]}
    await collection.insert_one(document)
    document["a"].append(2)
    found = await collection.find_one({"_id": 1})
    assert found == {"_id": 1, "a": [1]}
    found["a"].append(3)
    assert await collection.find_one({"_id": 1}) == {"_id": 1, "a": [1]}


async def test_a_second_document_with_the_same_id_is_refused(collection: Collection) -> None:
    await collection.insert_one({"_id": 1})
    with pytest.raises(DuplicateKeyError) as caught:
        await collection.insert_one({"_id": 1.0, "a": 1})
    assert caught.value.code == 11000
    assert caught.value.details is not None
    assert caught.value.details["keyPattern"] == {"_id": 1}
    assert caught.value.details["keyValue"] == {"_id": 1}


async def test_many_are_inserted_up_to_the_first_that_is_refused(collection: Collection) -> None:
    result = await collection.insert_many([{"_id": 1}, {"_id": 2}])
    assert result.inserted_ids == [1, 2]
    with pytest.raises(BulkWriteError) as caught:
        await collection.insert_many([{"_id": 3}, {"_id": 1}, {"_id": 4}])
    assert caught.value.details["nInserted"] == 1
    assert [error["index"] for error in caught.value.details["writeErrors"]] == [1]
    assert await ids(collection, {}) == [1, 2, 3]


async def test_a_page_is_sorted_skipped_and_limited(collection: Collection) -> None:
    await collection.insert_many([{"_id": number, "even": number % 2 == 0} for number in range(10)])
    cursor = collection.find({"_id": {"$gte": 1}}, {"_id": 1}).sort([("even", -1), ("_id", 1)]).skip(1).limit(4)
    assert await cursor.to_list() == [{"_id": 4}, {"_id": 6}, {"_id": 8}, {"_id": 1}]


async def test_found_documents_are_read_one_by_one_or_in_portions(collection: Collection) -> None:
    await collection.insert_many([{"_id": number} for number in range(4)])
    cursor = collection.find().sort("_id", 1)
    assert await cursor.to_list(2) == [{"_id": 0}, {"_id": 1}]
    assert [document async for document in cursor] == [{"_id": 2}, {"_id": 3}]
    assert await cursor.to_list() == []


async def test_the_first_in_order_is_found(collection: Collection) -> None:
    await collection.insert_many([{"_id": 1, "a": 2}, {"_id": 2, "a": 1}])
    assert await collection.find_one({}, {"a": 1, "_id": 0}, sort=[("a", 1)]) == {"a": 1}
    assert await collection.find_one({"a": 3}) is None


async def test_an_update_counts_what_matched_and_what_changed(collection: Collection) -> None:
    await collection.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 2}, {"_id": 3, "a": 2}])
    one = await collection.update_one({"a": 2}, {"$inc": {"n": 1}})
    many = await collection.update_many({}, {"$set": {"a": 2}})
    none = await collection.update_many({"a": 9}, {"$set": {"a": 2}})
    assert (one.matched_count, one.modified_count, one.upserted_id) == (1, 1, None)
    assert (many.matched_count, many.modified_count) == (3, 1)
    assert (none.matched_count, none.modified_count) == (0, 0)
    assert await collection.count_documents({"n": 1}) == 1


async def test_an_upsert_inserts_what_the_filter_and_the_update_say(collection: Collection) -> None:
    update = {"$set": {"b": 1}, "$setOnInsert": {"c": 2}}
    first = await collection.update_one({"_id": "x", "a": 1}, update, upsert=True)
    second = await collection.update_one({"_id": "x", "a": 1}, {"$setOnInsert": {"c": 3}}, upsert=True)
    assert (first.matched_count, first.upserted_id) == (0, "x")
    assert (second.matched_count, second.modified_count, second.upserted_id) == (1, 0, None)
    assert await collection.find_one({}) == {"_id": "x", "a": 1, "b": 1, "c": 2}


async def test_a_document_is_changed_and_returned_in_one_step(collection: Collection) -> None:
    await collection.insert_many([{"_id": 1, "n": 1}, {"_id": 2, "n": 5}])
    before = await collection.find_one_and_update({}, {"$inc": {"n": 1}}, sort=[("n", -1)])
    after = await collection.find_one_and_update(
        {"_id": 1}, {"$inc": {"n": 1}}, {"n": 1, "_id": 0}, return_document=ReturnDocument.AFTER
    )
    nothing = await collection.find_one_and_update({"_id": 3}, {"$inc": {"n": 1}})
    made = await collection.find_one_and_update(
        {"_id": 4}, {"$inc": {"n": 1}}, upsert=True, return_document=ReturnDocument.AFTER
    )
    assert (before, after, nothing, made) == ({"_id": 2, "n": 5}, {"n": 2}, None, {"_id": 4, "n": 1})


async def test_a_document_is_replaced_and_keeps_its_id(collection: Collection) -> None:
    await collection.insert_one({"_id": 1, "a": 1})
    result = await collection.replace_one({"a": 1}, {"b": 2})
    made = await collection.replace_one({"_id": 2}, {"b": 3}, upsert=True)
    assert (result.matched_count, result.modified_count, made.upserted_id) == (1, 1, 2)
    assert await collection.find().sort("_id", 1).to_list() == [{"_id": 1, "b": 2}, {"_id": 2, "b": 3}]


async def test_an_id_never_changes(collection: Collection) -> None:
    await collection.insert_one({"_id": 1})
    with pytest.raises(WriteError):
        await collection.update_one({"_id": 1}, {"$set": {"_id": 2}})
    with pytest.raises(WriteError):
        await collection.replace_one({"_id": 1}, {"_id": 2})
    assert await ids(collection, {}) == [1]


async def test_an_update_that_fails_changes_nothing(collection: Collection) -> None:
    await collection.insert_one({"_id": 1, "a": 1, "b": "text"})
    with pytest.raises(WriteError):
        await collection.update_one({"_id": 1}, {"$inc": {"a": 1, "b": 1}})
    assert await collection.find_one({"_id": 1}) == {"_id": 1, "a": 1, "b": "text"}


async def test_documents_are_deleted(collection: Collection) -> None:
    await collection.insert_many([{"_id": number} for number in range(5)])
    assert (await collection.delete_one({"_id": 0})).deleted_count == 1
    assert (await collection.delete_many({"_id": {"$lt": 3}})).deleted_count == 2
    assert (await collection.delete_many({"_id": 9})).deleted_count == 0
    assert await collection.find_one_and_delete({}, sort=[("_id", -1)]) == {"_id": 4}
    assert await collection.find_one_and_delete({"_id": 9}) is None
    assert await ids(collection, {}) == [3]


async def test_counts_and_different_values(collection: Collection) -> None:
    await collection.insert_many([{"a": [1, 2]}, {"a": 2.0}, {"a": None}, {}])
    assert await collection.count_documents({}) == 4
    assert await collection.count_documents({"a": 2}) == 2
    assert set(await collection.distinct("a")) == {None, 1, 2}  # in whatever order
    assert set(await collection.distinct("a", {"a": 1})) == {1, 2}


async def test_a_pipeline_aggregates(collection: Collection) -> None:
    await collection.insert_many([{"a": number % 2, "n": number} for number in range(6)])
    cursor = await collection.aggregate(
        [{"$match": {"n": {"$gt": 0}}}, {"$group": {"_id": "$a", "sum": {"$sum": "$n"}}}, {"$sort": {"_id": 1}}]
    )
    assert await cursor.to_list() == [{"_id": 0, "sum": 6}, {"_id": 1, "sum": 9}]


async def test_a_unique_index_refuses_a_second_one(collection: Collection) -> None:
    name = await collection.create_index([("a", 1), ("b", -1)], unique=True)
    await collection.insert_many([{"a": 1, "b": 1}, {"a": 1, "b": True}, {"_id": 3, "a": 1}])
    with pytest.raises(DuplicateKeyError) as caught:
        await collection.insert_one({"a": 1, "b": None})
    assert name == "a_1_b_-1"
    assert caught.value.details is not None
    assert caught.value.details["keyPattern"] == {"a": 1, "b": -1}
    assert caught.value.details["keyValue"] == {"a": 1, "b": None}
    with pytest.raises(DuplicateKeyError):
        await collection.update_one({"_id": 3}, {"$set": {"b": 1}})


async def test_a_partial_index_is_unique_among_its_members(collection: Collection) -> None:
    await collection.create_index("a", unique=True, partialFilterExpression={"active": {"$exists": True}})
    await collection.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 1}, {"_id": 3, "a": 1, "active": True}])
    with pytest.raises(DuplicateKeyError):
        await collection.update_one({"_id": 1}, {"$set": {"active": None}})
    await collection.update_one({"_id": 3}, {"$unset": {"active": ""}})
    await collection.update_one({"_id": 1}, {"$set": {"active": None}})
    assert await ids(collection, {"a": 1, "active": {"$exists": True}}) == [1]


async def test_a_sparse_index_leaves_out_what_lacks_the_field(collection: Collection) -> None:
    await collection.create_index("a", unique=True, sparse=True)
    await collection.insert_many([{"_id": 1}, {"_id": 2}, {"_id": 3, "a": None}])
    with pytest.raises(DuplicateKeyError):
        await collection.insert_one({"a": None})
    assert await ids(collection, {"a": None}) == [1, 2, 3]


async def test_an_index_is_created_once(collection: Collection) -> None:
    await collection.insert_many([{"a": 1}, {"a": 1, "b": 1}])
    assert await collection.create_index("b") == await collection.create_index([("b", 1)])
    with pytest.raises(OperationFailure):
        await collection.create_index("b", unique=True)
    with pytest.raises(DuplicateKeyError):
        await collection.create_index("a", unique=True)
    await collection.insert_one({"a": 1})
    assert await collection.count_documents({"a": 1}) == 3


async def test_a_dropped_collection_is_gone_with_its_indexes(collection: Collection) -> None:
    await collection.create_index("a", unique=True)
    await collection.insert_one({"a": 1})
    await collection.drop()
    await collection.drop()
    assert await collection.count_documents({}) == 0
    await collection.insert_many([{"a": 1}, {"a": 1}])
    assert await collection.count_documents({"a": 1}) == 2


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("name", ["", ".a", "a.", "a..b", "a$", "a\0"])
async def test_a_collection_needs_a_proper_name(opener: Opener, tmp_path: Path, name: str) -> None:
    async with opener(tmp_path) as database:
        with pytest.raises(InvalidName):
            database[name]


@pytest.mark.parametrize("opener", OPENERS)
async def test_collections_are_apart(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as database:
        await database["things"].insert_one({"_id": 1})
        await database['other "things"'].insert_one({"_id": 1})
        await database["things"].delete_many({})
        assert await database['other "things"'].find_one() == {"_id": 1}
