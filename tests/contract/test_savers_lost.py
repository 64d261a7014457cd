"""What was stored is gone while a run goes on: what it stores next is whole all the same."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from checkpoints.lean.parts import Care, Kept, Place, Written
from checkpoints.lean.together import Together
from checkpoints.locks import Lease, writing_under
from checkpoints.saver import open_redis_saver, open_sqlite_saver
from domain.errors import StoreUnavailable
from tests.savers import CHECKED, Checked, config_of, misfits, stored, values_of


async def put_next(saver: Any, thread: str, config: Any, **new: Any) -> Any:
    """Store the checkpoint behind the one at a config, with these values new, and return its config."""
    found = await saver.aget_tuple(config)
    return await put_behind(saver, thread, found, **new)


async def put_behind(saver: Any, thread: str, found: Any, **new: Any) -> Any:
    """Store a checkpoint behind one that was read before, as a run does that goes on."""
    old = found.checkpoint
    fresh = {name: saver.get_next_version(old["channel_versions"].get(name), None) for name in new}
    checkpoint = {
        **old,
        "id": f"{old['id']}+",
        "channel_values": {**old["channel_values"], **new},
        "channel_versions": {**old["channel_versions"], **fresh},
    }
    parent = config_of(thread, checkpoint_id=old["id"])
    return await saver.aput(parent, checkpoint, {"source": "loop", "step": 1, "parents": {}}, fresh)


@pytest.mark.parametrize("checked", CHECKED.values(), ids=CHECKED)
async def test_a_run_whose_thread_was_deleted_meanwhile_stores_all_it_has(checked: Checked, tmp_path: Path) -> None:
    async with checked(tmp_path, Care(kept=3)) as (saver, check):
        found = await saver.aget_tuple(await stored(saver, "t", said="long ago", n=1))
        await saver.adelete_thread("t")
        await put_behind(saver, "t", found, n=2)
        assert await values_of(saver, "t") == {"said": "long ago", "n": 2}
        assert await check() == []


async def test_a_redis_that_lost_its_last_second_gets_whole_checkpoints(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        first = await stored(saver, "t", said="hello", n=1)
        keys = ["checkpoints:{t}", "checkpoints:{t}:order"]
        replica: Any = [await client.dump(key) for key in keys]
        second = await saver.aget_tuple(await put_next(saver, "t", first, said="lost"))
        for key, text in zip(keys, replica, strict=True):  # a replica that lagged took over
            await client.restore(key, 0, text, replace=True)
        await put_behind(saver, "t", second, n=2)
        assert await values_of(saver, "t") == {"said": "lost", "n": 2}
        assert await misfits(client) == []


async def test_a_dropped_pause_lets_the_thread_end_in_time(client: Redis) -> None:
    async with open_redis_saver(client, care=Care(ttl_ms=600_000)) as saver:
        await stored(saver, "t", n=1)
        paused = await saver.aget_tuple(await stored(saver, "t", n=2))
        assert paused
        await saver.aput_writes(paused.config, [("__interrupt__", "sure?")], "task")
        assert await client.ttl("checkpoints:{t}") == -1
        place = Place.of(paused.config)
        await saver.shelf.drop("t", [place])
        assert await values_of(saver, "t") == {"n": 1}
        assert [await client.ttl(key) > 0 for key in await client.keys("*")] == [True, True]


async def test_two_holders_writes_on_one_checkpoint_are_both_sent_each_under_its_own_lease() -> None:
    sent = []

    async def store(place: Place, lease: Lease | None, kept: Kept | None, written: Any) -> None:
        sent.append((lease and lease.number, [each.task for each in written]))

    together, place = Together(store), Place("t", "", "1")

    async def write(number: int) -> None:
        with writing_under(Lease("t", number=number)):
            await together.write(place, Written(f"task{number}", asks=False, frames=b""))

    async with asyncio.timeout(5):
        await asyncio.gather(write(1), write(2), write(1))
    assert sorted(sent) == [(1, ["task1"]), (1, ["task1"]), (2, ["task2"])]


async def test_a_lease_that_ends_while_its_write_waits_for_the_file_is_looked_at_again(tmp_path: Path) -> None:
    async with open_sqlite_saver(tmp_path / "checkpoints.sqlite") as saver:
        lease = Lease("t", number=1)
        with writing_under(lease):
            config = await stored(saver, "t", n=1)
            writing = asyncio.create_task(saver.aput_writes(config, [("a", 1)], "late"))
            await asyncio.sleep(0)
            lease.lose()
        with pytest.raises(StoreUnavailable, match=r"lost the thread's lease"):
            await writing
        found = await saver.aget_tuple(config)
        assert found
        assert [task for task, *_ in found.pending_writes or []] == ["task"]
