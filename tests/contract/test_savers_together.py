"""What waits for the checkpoint behind it is stored with it, seen before, and stored by itself where none comes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.func import entrypoint

from bench.savers import three_nodes
from checkpoints.lean.parts import Place, Step, Written
from checkpoints.lean.steps import NOTHING
from checkpoints.lean.together import Together
from checkpoints.locks import Lease, writing_under
from domain.errors import StoreUnavailable
from tests.savers import OURS, Opener, Saver, config_of

RUN = {"__pregel_durability": "sync"}
INPUT: Any = {"source": "input", "step": -1, "parents": {}}

both = pytest.mark.parametrize("opener", OURS.values(), ids=OURS)


async def put_input(saver: Saver, thread: str) -> Any:
    """Store an input as a run does, and return its config."""
    config = config_of(thread)
    config["configurable"] |= RUN
    checkpoint: Any = {**empty_checkpoint(), "channel_values": {"said": "hi"}, "channel_versions": {"said": "1"}}
    return await saver.aput(config, checkpoint, INPUT, {"said": "1"})


def noting_stores(saver: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Note the sources of the checkpoints that are stored, transaction by transaction."""
    noted: list[list[str]] = []
    store = saver.shelf.store

    async def noting(lease: Lease | None, steps: Sequence[Step]) -> None:
        kept = [step.kept for step in steps if step.kept]
        noted.append([saver.serde.loads_typed(_typed(each.record))[1]["source"] for each in kept])
        await store(lease, steps)

    monkeypatch.setattr(saver._together, "_store", noting)
    return noted


def _typed(text: bytes) -> tuple[str, bytes]:
    kind, _, rest = text.partition(b"\0")
    return kind.decode(), rest


@both
async def test_an_input_is_stored_with_the_step_behind_it(
    tmp_path: Path, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opener(tmp_path) as saver:
        noted = noting_stores(saver, monkeypatch)
        config = config_of("t")
        await three_nodes(saver).ainvoke({"message": "hi"}, config, durability="sync")
        assert noted == [["input", "loop"], ["loop"], ["loop"], ["loop"]]
        steps = [each.metadata["step"] async for each in saver.alist(config)]
        assert steps == [3, 2, 1, 0, -1]


@both
async def test_an_input_that_waits_is_seen_by_who_reads(tmp_path: Path, opener: Opener) -> None:
    async with opener(tmp_path) as saver:
        await put_input(saver, "t")
        assert [each.config["configurable"]["thread_id"] async for each in saver.alist(None)] == ["t"]
        config = await put_input(saver, "u")
        found = await saver.aget_tuple(config_of("u"))
        assert found
        assert found.checkpoint["channel_values"] == {"said": "hi"}
        await put_input(saver, "v")
        assert len([each async for each in saver.alist(config_of("v"))]) == 1
        await saver.aput_writes(config, [("out", 1)], "task")
        found = await saver.aget_tuple(config_of("u"))
        assert found
        assert found.pending_writes == [("task", "out", 1)]


@both
async def test_an_input_that_waits_goes_with_its_thread(tmp_path: Path, opener: Opener) -> None:
    async with opener(tmp_path) as saver:
        await put_input(saver, "t")
        await saver.adelete_thread("t")
        assert await saver.aget_tuple(config_of("t")) is None


@both
async def test_an_input_without_a_step_behind_it_is_stored_by_itself(tmp_path: Path, opener: Opener) -> None:
    async with opener(tmp_path) as saver:
        seen: list[Any] = []
        reader: Any = saver

        @entrypoint(checkpointer=saver)
        async def works(said: str) -> str:
            while not seen:  # the store has no event for it
                seen.extend(await reader.shelf.page("t", "", before="", most=1))
            return said

        async with asyncio.timeout(20):
            await works.ainvoke("hi", config_of("t"), durability="sync")
        assert len(seen) == 1


async def test_a_step_behind_an_input_that_could_not_be_stored_is_not_stored_either() -> None:
    stores: list[int] = []

    async def store(lease: Lease | None, steps: Sequence[Step]) -> None:
        stores.append(len(steps))
        await asyncio.sleep(0.01)
        raise StoreUnavailable("It is away.")

    together, kept = Together(store), _kept("1", parent="")
    await together.put(kept, goes_on=True)
    while not stores:  # noqa: ASYNC110  # it is sent after a few turns
        await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="away"):
        await together.put(_kept("2", parent="1"))
    assert stores == [1]


def _kept(id_: str, *, parent: str) -> Any:
    return NOTHING._replace(place=Place("t", "", id_), parent=parent)


async def test_two_holders_writes_on_one_checkpoint_are_both_sent_each_under_its_own_lease() -> None:
    sent = []

    async def store(lease: Lease | None, steps: Sequence[Step]) -> None:
        sent.append((lease and lease.number, [each.task for step in steps for each in step.written]))

    together, place = Together(store), Place("t", "", "1")

    async def write(number: int) -> None:
        with writing_under(Lease("t", number=number)):
            await together.write(place, Written(f"task{number}", asks=False, frames=b""))

    async with asyncio.timeout(5):
        await asyncio.gather(write(1), write(2), write(1))
    assert sorted(sent) == [(1, ["task1"]), (1, ["task1"]), (2, ["task2"])]
