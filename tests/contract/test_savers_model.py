"""Random commands: our savers answer what LangGraph's saver in memory answers."""

import asyncio
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME

from checkpoints.lean.parts import Care
from tests.savers import KEEPING_ALL, OURS, Opener, Saver, config_of

THREADS = st.sampled_from(["t", "{u}:order"])
SPACES = st.sampled_from(["", "", "sub:1"])
CHANNELS = ["a", "b", "c"]
VALUES = st.none() | st.integers(-3, 3) | st.binary(max_size=3) | st.text(max_size=2) | st.lists(st.booleans())
NEW = st.dictionaries(st.sampled_from(CHANNELS), VALUES)
SOURCES = st.sampled_from(["input", "loop", "update"])
WRITES = st.lists(st.tuples(st.sampled_from([*CHANNELS, INTERRUPT, RESUME]), VALUES), min_size=1, max_size=4)
TASKS = st.sampled_from(["x", "y"])
PATHS = st.sampled_from(["", "~1", "~2"])
NTH = st.sampled_from([-1, -1, -1, -2, 0, 1])


def comparable(found: CheckpointTuple) -> Any:
    place = {name: found.config["configurable"].get(name) for name in ("thread_id", "checkpoint_ns", "checkpoint_id")}
    return place, found.checkpoint, found.metadata, found.parent_config, found.pending_writes


class Reference(InMemorySaver):
    """The saver in memory, with what it leaves out."""

    def copy(self, source: str, target: str) -> None:
        for ns, checkpoints in self.storage[source].items():
            self.storage[target][ns].update(checkpoints)
        for (thread, *rest), text in list(self.blobs.items()):
            if thread == source:
                self.blobs[target, *rest] = text  # type: ignore[index]  # three more
        for (thread, *place), written in list(self.writes.items()):
            if thread == source:
                self.writes[target, *place].update(written)  # type: ignore[index]  # two more

    def drop(self, thread: str, ns: str, checkpoint_id: str) -> None:
        del self.storage[thread][ns][checkpoint_id]
        self.writes.pop((thread, ns, checkpoint_id), None)


class Commands(RuleBasedStateMachine):
    """One saver beside the reference."""

    opener: Opener
    care: Care = KEEPING_ALL

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.closing = AsyncExitStack()
        self.model = Reference()
        self.places: dict[tuple[str, str], list[str]] = defaultdict(list)

    @initialize()
    def open(self) -> None:
        folder = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        opening = self.closing.enter_async_context(type(self).opener(folder, type(self).care))
        self.saver: Saver = self.runner.run(opening)

    def teardown(self) -> None:
        self.runner.run(self.closing.aclose())
        self.runner.close()

    def both(self, method: str, *given: Any, **named: Any) -> None:
        for saver in (self.saver, self.model):
            self.runner.run(getattr(saver, method)(*given, **named))

    def chosen(self, thread: str, ns: str, nth: int) -> str | None:
        """Return the id of a checkpoint that is stored, or None."""
        ids = sorted(self.model.storage[thread][ns])
        return ids[nth % len(ids)] if ids else None

    @rule(thread=THREADS, ns=SPACES, news=st.lists(NEW, min_size=1, max_size=4), step=st.integers(0, 2))
    def run(self, thread: str, ns: str, news: list[dict[str, Any]], step: int) -> None:
        for at, new in enumerate(news):
            self.put(thread, ns, -1, new, "loop" if at else "input", step)
            self.put_writes(thread, ns, -1, [("a", at), ("b", new)], "x", "")

    @rule(thread=THREADS, ns=SPACES, nth=NTH, new=NEW, source=SOURCES, step=st.integers(0, 2))
    def put(self, thread: str, ns: str, nth: int, new: dict[str, Any], source: str, step: int) -> None:
        parent = self.chosen(thread, ns, nth)
        above = parent and self.model.get_tuple(config_of(thread, ns, parent))
        old = above.checkpoint if above else empty_checkpoint()
        fresh: Any = {name: self.saver.get_next_version(old["channel_versions"].get(name), None) for name in new}
        checkpoint: Any = {
            **empty_checkpoint(),
            "channel_values": {**old["channel_values"], **{name: value for name, value in new.items() if value != []}},
            "channel_versions": {**old["channel_versions"], **fresh},
        }
        for name in [name for name, value in new.items() if value == []]:
            checkpoint["channel_values"].pop(name, None)  # the channel is empty now
        metadata: Any = {"source": source, "step": step, "run_id": f"run{step}", "parents": {}}
        self.both("aput", config_of(thread, ns, parent), checkpoint, metadata, fresh)

    @rule(thread=THREADS, ns=SPACES, batches=st.lists(WRITES, min_size=2, max_size=3), task=TASKS)
    def put_writes_again(self, thread: str, ns: str, batches: list[Any], task: str) -> None:
        for path, writes in enumerate(batches):
            self.put_writes(thread, ns, -1, writes, task, f"~{path}")
        self.get(thread, ns, -1, named=False)

    @rule(thread=THREADS, ns=SPACES, nth=NTH, writes=WRITES, task=TASKS, path=PATHS)
    def put_writes(self, thread: str, ns: str, nth: int, writes: Any, task: str, path: str) -> None:
        if found := self.chosen(thread, ns, nth):
            self.both("aput_writes", config_of(thread, ns, found), writes, task, path)

    @rule(thread=THREADS, ns=SPACES, nth=NTH, named=st.booleans())
    def get(self, thread: str, ns: str, nth: int, named: bool) -> None:
        config = config_of(thread, ns, self.chosen(thread, ns, nth) if named else None)
        found, expected = self.runner.run(self.saver.aget_tuple(config)), self.model.get_tuple(config)
        assert (found and comparable(found)) == (expected and comparable(expected))

    @rule(
        thread=THREADS,
        ns=SPACES,
        nth=NTH,
        limit=st.none() | st.integers(0, 4),
        wanted=st.fixed_dictionaries({}, optional={"source": SOURCES, "step": st.integers(0, 2), "other": st.none()}),
    )
    def list_some(self, thread: str, ns: str, nth: int, limit: int | None, wanted: dict[str, Any]) -> None:
        end = self.chosen(thread, ns, nth)
        how: Any = {"filter": wanted, "before": end and config_of(thread, ns, end), "limit": limit}
        self.check_list(config_of(thread, ns), **how)

    def check_list(self, config: Any, **how: Any) -> None:
        async def listed() -> list[Any]:
            return [comparable(each) async for each in self.saver.alist(config, **how)]

        assert self.runner.run(listed()) == [comparable(each) for each in self.model.list(config, **how)]

    @rule(thread=THREADS)
    def list_every_namespace(self, thread: str) -> None:
        async def listed() -> list[Any]:
            return [comparable(each) async for each in self.saver.alist({"configurable": {"thread_id": thread}})]

        found = self.runner.run(listed())
        expected = [comparable(each) for each in self.model.list({"configurable": {"thread_id": thread}})]
        assert found == sorted(expected, key=lambda each: each[0]["checkpoint_id"], reverse=True)

    @rule(source=THREADS, goal=THREADS)
    def copy(self, source: str, goal: str) -> None:
        if source != goal and not any(self.model.storage[goal].values()):
            self.runner.run(self.saver.acopy_thread(source, goal))
            self.model.copy(source, goal)

    @rule(thread=THREADS)
    def prune(self, thread: str) -> None:
        self.runner.run(self.saver.aprune([thread]))
        for ns, checkpoints in self.model.storage[thread].items():
            for gone in sorted(checkpoints)[:-1]:
                self.model.drop(thread, ns, gone)

    @rule(thread=THREADS)
    def delete(self, thread: str) -> None:
        self.both("adelete_thread", thread)

    @rule(step=st.integers(0, 2))
    def delete_for_run(self, step: int) -> None:
        self.runner.run(self.saver.adelete_for_runs([f"run{step}"]))
        gone = [each for each in self.model.list(None) if each.metadata["run_id"] == f"run{step}"]
        for each in gone:
            place = each.config["configurable"]
            self.model.drop(place["thread_id"], place["checkpoint_ns"], place["checkpoint_id"])


@pytest.mark.parametrize("opener", OURS.values(), ids=OURS)
def test_random_commands_do_what_they_do_in_memory(opener: Opener) -> None:
    machine = type("Machine", (Commands,), {"opener": staticmethod(opener)})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis leaves it untyped
        machine, settings=settings(max_examples=30, stateful_step_count=40, deadline=None)
    )
