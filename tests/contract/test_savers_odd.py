"""Names, places and sizes nobody expects: stored as they are, or refused before anything is written."""

import asyncio
import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import START, StateGraph

from checkpoints.copying import threads_of
from domain.errors import InvalidInput
from tests.savers import OURS, Opener, config_of, history, stored, values_of

THREADS = ["", "}x", "{}", "a{b}c", "%7D", "%", "nul\0x", "ü漢😀", "*", "[a]", "t:order", "a\r\nb", "x" * 100_000]


class Said(TypedDict):
    said: Annotated[list[str], operator.add]


@pytest.fixture(params=OURS.values(), ids=list(OURS))
def opener(request: pytest.FixtureRequest) -> Opener:
    found: Opener = request.param
    return found


async def test_threads_of_any_name_are_kept_apart_and_found_again(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as saver:
        for n, thread in enumerate(THREADS):
            await stored(saver, thread, n=n)
        assert await threads_of(saver) == sorted(THREADS)
        assert [await history(saver, thread) for thread in THREADS] == [[{"n": n}] for n, _ in enumerate(THREADS)]
        for thread in THREADS:
            await saver.adelete_thread(thread)
        assert await threads_of(saver) == []


async def test_a_channel_of_any_name_keeps_its_name(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as saver:
        await stored(saver, "t", **{"a\0b": 1, "\0": 2, "a": 3, "a\0": 4})
        assert await values_of(saver, "t") == {"a\0b": 1, "\0": 2, "a": 3, "a\0": 4}


@pytest.mark.parametrize(("thread", "ns", "id_"), [("half\ud800", "", ""), ("t", "a\0b", ""), ("t", "", "a\0b")])
async def test_a_place_that_cannot_be_is_refused(
    opener: Opener, tmp_path: Path, thread: str, ns: str, id_: str
) -> None:
    config = config_of(thread, ns, id_)
    async with opener(tmp_path) as saver:
        checkpoint: Any = empty_checkpoint()
        for asked in (
            saver.aget_tuple(config),
            saver.aput(config, checkpoint, {"source": "loop", "step": 0, "parents": {}}, {}),
            saver.aput_writes(config, [("a", 1)], "task"),
        ):
            with pytest.raises(InvalidInput):
                await asked
        assert await threads_of(saver) == []


async def test_half_a_surrogate_pair_in_a_value_is_stored_as_the_saver_in_memory_stores_it(
    opener: Opener, tmp_path: Path
) -> None:
    async with opener(tmp_path) as saver:
        await stored(saver, "t", said="a\ud800b")
        assert await values_of(saver, "t") == {"said": "a?b"}


async def test_one_task_may_write_tens_of_thousands_of_times(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as saver:
        config = await stored(saver, "t", n=1)
        await saver.aput_writes(config, [("sent", n) for n in range(40_000)], "fan out", "~1")
        await saver.aput_writes(config, [("sent", -1)], "fan out", "~1")
        await saver.aput_writes(config, [("c" * 70_000, 1)], "long", "p" * 70_000)
        found = await saver.aget_tuple(config)
        assert found
        sent = [value for _, channel, value in found.pending_writes or [] if channel == "sent"]
        assert sent == list(range(40_000)), "what was written first stays"
        assert ("long", "c" * 70_000, 1) in (found.pending_writes or [])


async def test_a_task_that_ended_before_its_run_was_cancelled_does_not_run_again(
    opener: Opener, tmp_path: Path
) -> None:
    async with opener(tmp_path) as saver:
        for number in range(10):
            ended: list[str] = []
            hangs = asyncio.Event()

            async def quick(state: Said, ended: list[str] = ended) -> Said:
                ended.append("quick")
                return {"said": ["quick"]}

            async def slow(state: Said, hangs: asyncio.Event = hangs) -> Said:
                if not hangs.is_set():
                    hangs.set()
                    await asyncio.Event().wait()
                return {"said": ["slow"]}

            builder = StateGraph(Said)
            for name, node in (("quick", quick), ("slow", slow)):
                builder.add_node(name, node)
                builder.add_edge(START, name)
            graph: Any = builder.compile(checkpointer=saver)
            config = config_of(f"t{number}")
            running = asyncio.create_task(graph.ainvoke({"said": []}, config, durability="sync"))
            while not (hangs.is_set() and ended):  # noqa: ASYNC110  # two things, in either order
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait({running})
            left = await graph.ainvoke(None, config, durability="sync")
            assert (ended, sorted(left["said"])) == (["quick"], ["quick", "slow"])
