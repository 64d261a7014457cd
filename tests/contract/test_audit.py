"""What the audit log promises on every form of the document store."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checkpoints.audit import Audit
from checkpoints.collections import Database
from checkpoints.mongo import open_mongo
from domain.audit import START, verify
from domain.errors import InvalidInput, StoreError
from tests.documents import OPENERS, Opener
from tests.facts import chain, fact, verifying
from tests.shared_mongo import MONGO


@pytest.fixture(params=OPENERS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opener: Opener = request.param
    async with opener(tmp_path) as opened:
        await Audit(opened).open()
        yield opened


async def numbers(audit: Audit) -> list[int]:
    """Return the numbers of the facts in the log, in its order, and see that its chain holds."""
    entries = [each async for each in audit.entries()]
    assert verify(entries, expected=await audit.last()) is None
    return [int(each.event_id.rpartition("_")[2]) for each in entries]


async def test_an_entry_is_read_as_it_was_written(database: Database) -> None:
    audit = Audit(database)
    assert await audit.last() == START
    entry = await audit.append(fact(1, orchestration_id="run_1", action_id=None, details='{"n":1.5,"t":"é"}'))
    assert await audit.page(after=0, limit=9) == [entry]
    assert await audit.last() == entry.anchor
    assert verify([entry]) is None


async def test_50_appends_at_once_make_one_chain(database: Database) -> None:
    audit = Audit(database)
    await asyncio.gather(*(audit.append(fact(number)) for number in range(50)))
    assert sorted(await numbers(audit)) == list(range(50))


async def test_50_appends_of_five_processes_make_one_chain(database: Database) -> None:
    replicas = [Audit(database) for _ in range(5)]
    await asyncio.gather(*(replicas[number % 5].append(fact(number)) for number in range(50)))
    assert sorted(await numbers(replicas[0])) == list(range(50))


async def test_a_fact_told_by_everybody_at_once_is_logged_once(database: Database) -> None:
    replicas = [Audit(database) for _ in range(5)]
    entries = await asyncio.gather(*(replica.append(fact(number)) for number in range(4) for replica in replicas))
    assert sorted(await numbers(replicas[0])) == list(range(4))
    assert len({each.hash for each in entries}) == 4
    assert await replicas[1].known([fact(3).event_id, fact(9).event_id]) == {fact(3).event_id}


async def test_a_fact_told_again_keeps_its_first_words(database: Database) -> None:
    audit = Audit(database)
    first = await audit.append(fact(1))
    await audit.append(fact(2))
    assert await audit.append(fact(1, actor="eve")) == first
    assert await Audit(database).append(fact(1)) == first
    assert await numbers(audit) == [1, 2]


async def test_pages_follow_one_another_and_can_be_narrowed_down(database: Database) -> None:
    audit = Audit(database)
    for number in range(7):
        await audit.append(fact(number, event="action.sent" if number % 2 else "approval.decided", action_id="act_1"))
    first = await audit.page(after=0, limit=3)
    second = await audit.page(after=first[-1].seq, limit=3)
    sent = await audit.page(after=2, limit=9, event="action.sent", action_id="act_1")
    assert [each.seq for each in (*first, *second)] == [1, 2, 3, 4, 5, 6]
    assert [each.seq for each in sent] == [4, 6]
    assert await audit.page(after=0, limit=9, request_id="apr_9") == []


async def test_an_end_cut_off_under_a_running_server_leaves_a_gap(database: Database) -> None:
    audit = Audit(database)
    for number in range(3):
        await audit.append(fact(number))
    await database["audit"].delete_one({"_id": 3})
    await audit.append(fact(3))
    broken = verify([each async for each in audit.entries()])
    assert broken is not None
    assert (broken.seq, broken.reason) == (3, "It is missing: entry 4 follows entry 2.")


@pytest.mark.parametrize("damage", [{"more": 1}, {"outcome": 1}, {"hash": "none"}])
async def test_a_damaged_entry_is_told_and_not_built_upon(database: Database, damage: dict[str, object]) -> None:
    audit = Audit(database)
    await audit.append(fact(1))
    await database["audit"].update_one({"_id": 1}, {"$set": damage})
    with pytest.raises(StoreError, match=r"python -m boot\.audit"):
        await audit.page(after=0, limit=9)
    with pytest.raises(InvalidInput):
        _ = [each async for each in audit.entries()]


async def test_an_entry_below_the_first_does_not_stay_unseen(database: Database) -> None:
    audit = Audit(database)
    entry = await audit.append(fact(1))
    await database["audit"].insert_one({**entry.model_dump(exclude={"seq"}), "event_id": "other", "_id": 0})
    with pytest.raises(InvalidInput):
        _ = [each async for each in audit.entries()]


async def test_a_log_on_mongodb_is_verified_where_it_is_or_where_the_settings_say() -> None:
    url, name = await MONGO.url(), f"test_{secrets.token_hex(8)}"
    async with open_mongo(url, database=name, max_pool_size=5) as opened:
        for number in range(3):
            await Audit(opened).append(fact(number))
        named, settings = await asyncio.gather(
            verifying("--mongodb-url", url, "--database", name), verifying(MONGODB_URL=url, MONGODB_DATABASE=name)
        )
    assert named == settings == (0, f"3 entries hold; last {chain(3)[-1].anchor}\n")
