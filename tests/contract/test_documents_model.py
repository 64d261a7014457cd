"""Random commands and random documents: the document store behaves like a list of dictionaries."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Document
from tests.documents import OPENERS, Opener

IDS = st.integers(0, 7)
NAMES = st.sampled_from(["ann", "bob", "cy"])
STATES = st.sampled_from(["open", "taken", "done"])


class Commands(RuleBasedStateMachine):
    """A collection with a unique name among the open, beside a plain list."""

    opener: Opener

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.closing = AsyncExitStack()
        self.model: dict[int, Document] = {}
        self.runner.run(self.open())

    async def open(self) -> None:
        directory = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        database = await self.closing.enter_async_context(type(self).opener(directory))
        self.collection = database["things"]
        await self.collection.create_index("name", unique=True, partialFilterExpression={"state": "open"})
        await self.collection.create_index([("state", 1), ("n", -1)])

    def teardown(self) -> None:
        self.runner.run(self.closing.aclose())
        self.runner.close()

    def fits(self, document: Document) -> bool:
        others = [other for other in self.model.values() if other["_id"] != document["_id"]]
        return document["state"] != "open" or all(
            (other["name"], other["state"]) != (document["name"], "open") for other in others
        )

    def expect(self, document: Document) -> bool:
        """Let the model take a document in, and tell whether it does."""
        if self.fits(document):
            self.model[document["_id"]] = document
            return True
        return False

    @rule(place=IDS, name=NAMES, state=STATES, n=st.integers(0, 3))
    def insert(self, place: int, name: str, state: str, n: int) -> None:
        document = {"_id": place, "name": name, "state": state, "n": n}
        expected = place not in self.model and self.expect(document)
        assert self.succeeds(self.collection.insert_one(dict(document))) is expected

    @rule(place=IDS, old=STATES, new=STATES)
    def compare_and_set(self, place: int, old: str, new: str) -> None:
        found = self.model.get(place)
        met = found is not None and found["state"] == old
        update = {"$set": {"state": new}, "$inc": {"n": 1}}
        command = self.collection.find_one_and_update(
            {"_id": place, "state": old}, update, return_document=ReturnDocument.AFTER
        )
        if found is not None and met and not self.expect({**found, "state": new, "n": found["n"] + 1}):
            assert self.succeeds(command) is False
        else:
            assert self.runner.run(command) == (self.model[place] if met else None)

    @rule(place=IDS, name=NAMES)
    def upsert(self, place: int, name: str) -> None:
        found = self.model.get(place, {"_id": place, "name": name, "state": "open", "n": 0})
        expected = self.expect({**found, "n": found["n"] + 1})
        update = {"$inc": {"n": 1}, "$setOnInsert": {"name": name, "state": "open"}}
        assert self.succeeds(self.collection.update_one({"_id": place}, update, upsert=True)) is expected

    @rule(state=STATES, n=st.integers(0, 3))
    def delete(self, state: str, n: int) -> None:
        gone = [place for place, held in self.model.items() if held["state"] == state and held["n"] > n]
        result = self.runner.run(self.collection.delete_many({"state": state, "n": {"$gt": n}}))
        assert result.deleted_count == len(gone)
        self.model = {place: held for place, held in self.model.items() if place not in gone}

    @rule(state=STATES, skip=st.integers(0, 3), limit=st.integers(1, 4))
    def page(self, state: str, skip: int, limit: int) -> None:
        chosen = [held for held in self.model.values() if held["state"] == state]
        chosen.sort(key=lambda held: (-held["n"], held["_id"]))
        cursor = self.collection.find({"state": state}).sort([("n", -1), ("_id", 1)]).skip(skip).limit(limit)
        assert self.runner.run(cursor.to_list()) == chosen[skip : skip + limit]

    @invariant()
    def agrees(self) -> None:
        found = self.runner.run(self.collection.find().sort("_id", 1).to_list())
        assert found == [self.model[place] for place in sorted(self.model)]

    def succeeds(self, command: Any) -> bool:
        try:
            self.runner.run(command)
        except DuplicateKeyError:
            return False
        return True


@pytest.mark.parametrize("opener", OPENERS)
def test_random_commands_do_what_they_do_to_a_list(opener: Opener) -> None:
    machine = type("Machine", (Commands,), {"opener": staticmethod(opener)})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis leaves it untyped
        machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "b"])
BELOW = st.fixed_dictionaries({}, optional={"b": SCALARS})
VALUES = SCALARS | BELOW | st.lists(SCALARS | BELOW, max_size=2)
DOCUMENTS = st.lists(st.fixed_dictionaries({}, optional={"a": VALUES, "c": VALUES}), max_size=12)
OPERATORS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("$gt", "$gte", "$lt", "$lte", "$ne", "$eq"), SCALARS)
) | st.fixed_dictionaries({}, optional={"$in": st.lists(SCALARS, max_size=3), "$exists": st.booleans()})
FIELDS = st.dictionaries(st.sampled_from(["a", "a.b", "c", "_id"]), SCALARS | OPERATORS, max_size=3)
FILTERS = FIELDS | st.fixed_dictionaries({"$or": st.lists(FIELDS, min_size=1, max_size=2)})
ORDERS = st.permutations([("a", 1), ("a.b", -1), ("c", -1)]).map(lambda keys: [*keys[:2], ("_id", 1)])


async def answers(opener: Opener, directory: Path, documents: list[Document], asked: list[Any]) -> list[Any]:
    async with opener(directory) as database:
        plain, indexed = database["plain"], database["indexed"]
        await indexed.create_index([("a", 1), ("c", -1)])
        await indexed.create_index("a.b", sparse=True)
        await indexed.create_index("c", name="some", partialFilterExpression={"a": {"$gt": 0}})
        for place, document in enumerate(documents):
            await plain.insert_one({"_id": place, **document})
            await indexed.insert_one({"_id": place, **document})
        return [
            [await collection.find(conditions).sort(order).limit(5).to_list() for collection in (plain, indexed)]
            for conditions, order in asked
        ]


@pytest.mark.parametrize("opener", OPENERS)
@settings(max_examples=40, deadline=None)
@given(documents=DOCUMENTS, asked=st.lists(st.tuples(FILTERS, ORDERS), min_size=1, max_size=8))
def test_an_index_changes_no_answer(opener: Opener, documents: list[Document], asked: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for plain, indexed in asyncio.run(answers(opener, Path(directory), documents, asked)):
            assert indexed == plain
