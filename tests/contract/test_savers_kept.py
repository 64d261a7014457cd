"""What stays of a thread: the newest checkpoint, ends of runs and pauses first, and every value these need."""

import operator
import tempfile
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import settings
from hypothesis.stateful import initialize, invariant, run_state_machine_as_test
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from checkpoints.lean.parts import Care
from tests.contract.test_savers_model import Commands
from tests.savers import CHECKED, Checked, Saver, config_of


class Kept(Commands):
    """The commands, on a saver that keeps little: what it dropped, the model drops too."""

    checked: Checked

    @initialize()
    def open(self) -> None:
        folder = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        opening = self.closing.enter_async_context(type(self).checked(folder, Care(kept=2)))
        self.saver, self.check = self.runner.run(opening)

    def both(self, method: str, *given: Any, **named: Any) -> None:
        super().both(method, *given, **named)
        for thread, spaces in list(self.model.storage.items()):
            for ns, checkpoints in spaces.items():
                left = self.runner.run(ids(self.saver, thread, ns))
                assert max(left, default=None) == max(checkpoints, default=None)
                assert len(left) <= 3
                for gone in set(checkpoints) - set(left):
                    self.model.drop(thread, ns, gone)

    @invariant()
    def fits_together(self) -> None:
        assert self.runner.run(self.check()) == []  # type: ignore[arg-type]  # a coroutine


async def ids(saver: Saver, thread: str, ns: str = "") -> list[str]:
    return [each.checkpoint["id"] async for each in saver.alist(config_of(thread, ns))]


@pytest.mark.parametrize("checked", CHECKED.values(), ids=CHECKED)
def test_whatever_is_dropped_what_stays_is_whole(checked: Checked) -> None:
    machine = type("Machine", (Kept,), {"checked": staticmethod(checked)})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis leaves it untyped
        machine, settings=settings(max_examples=20, stateful_step_count=30, deadline=None)
    )


@pytest.fixture(params=CHECKED.values(), ids=list(CHECKED))
def checked(request: pytest.FixtureRequest) -> Checked:
    opener: Checked = request.param
    return opener


class Talk(TypedDict):
    said: str
    n: int


async def asked(state: Talk) -> dict[str, Any]:
    return {"said": interrupt("really?") if state["said"] == "ask" else state["said"] * 20}


async def counted(state: Talk) -> dict[str, Any]:
    return {"n": state.get("n", 0) + 1}


def talk(saver: Saver, state: Any = Talk) -> Any:
    graph = StateGraph(state)
    graph.add_node("asked", asked)
    graph.add_node("counted", counted)
    graph.add_edge(START, "asked")
    graph.add_edge("asked", "counted")
    graph.add_edge("counted", END)
    return graph.compile(checkpointer=saver)


async def turn(graph: Any, given: Any, thread: str = "t") -> Any:
    return await graph.ainvoke(given, config_of(thread), durability="sync")


async def test_of_runs_that_ended_their_last_checkpoint_stays(checked: Checked, tmp_path: Path) -> None:
    async with checked(tmp_path, Care(kept=4)) as (saver, check):
        graph = talk(saver)
        for n in range(8):
            await turn(graph, {"said": str(n)})
        seen = [(each.metadata["source"], each.values["n"]) async for each in graph.aget_state_history(config_of("t"))]
        assert seen == [("loop", 8), ("loop", 7), ("loop", 6), ("loop", 5), ("loop", 4)]
        assert await check() == []


async def test_a_pause_and_its_question_stay_while_its_run_goes_on(checked: Checked, tmp_path: Path) -> None:
    async with checked(tmp_path, Care(kept=1)) as (saver, check):
        graph = talk(saver)
        await turn(graph, {"said": "ask"})
        assert (await graph.aget_state(config_of("t"))).interrupts[0].value == "really?"
        await turn(graph, Command(resume="yes"))
        older = [each async for each in graph.aget_state_history(config_of("t"))]
        assert [(len(each.interrupts), each.values["said"]) for each in older] == [(0, "yes"), (1, "ask")]
        assert await check() == []


async def test_nothing_but_the_newest_stays_where_nothing_shall(checked: Checked, tmp_path: Path) -> None:
    async with checked(tmp_path, Care(kept=0)) as (saver, check):
        graph = talk(saver)
        for n in range(3):
            await turn(graph, {"said": str(n)})
            assert len(await ids(saver, "t")) == 1
        assert (await graph.aget_state(config_of("t"))).values == {"said": "2" * 20, "n": 3}
        assert await check() == []


async def test_a_sub_graphs_checkpoints_go_with_the_step_they_belong_to(checked: Checked, tmp_path: Path) -> None:
    inner = talk_inside()
    async with checked(tmp_path, Care(kept=2)) as (saver, check):
        graph = StateGraph(Talk)
        graph.add_node("inner", inner)
        graph.add_edge(START, "inner")
        compiled = graph.compile(checkpointer=saver)
        for n in range(6):
            await turn(compiled, {"said": str(n)})
        await turn(compiled, {"said": "ask"})
        spaces = {each.config["configurable"]["checkpoint_ns"] async for each in saver.alist(thread_of("t"))}
        assert len(spaces) <= 4, "the root's, and those of three root checkpoints at most"
        assert (await turn(compiled, Command(resume="yes")))["said"] == "yes"
        assert await check() == []


def talk_inside() -> Any:
    graph = StateGraph(Talk)
    graph.add_node("asked", asked)
    graph.add_edge(START, "asked")
    return graph.compile()


def thread_of(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}}


def joined(state: list[str], writes: list[list[str]]) -> list[str]:
    return [*state, *(each for write in writes for each in write)]


class Lines(TypedDict):
    lines: Annotated[list[str], DeltaChannel(joined, snapshot_frequency=5)]
    plain: Annotated[list[str], operator.add]


async def echoed(state: Lines) -> dict[str, Any]:
    return {"lines": [f"echo {len(state['lines'])}"], "plain": [f"echo {len(state['lines'])}"]}


def echo(saver: Any) -> Any:
    graph = StateGraph(Lines)
    graph.add_node("echoed", echoed)
    graph.add_edge(START, "echoed")
    graph.add_edge("echoed", END)
    return graph.compile(checkpointer=saver)


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
async def test_channels_that_keep_changes_only_are_whole_whatever_is_dropped(checked: Checked, tmp_path: Path) -> None:
    reference = echo(InMemorySaver())
    async with checked(tmp_path, Care(kept=1)) as (saver, check):
        graph = echo(saver)
        for n in range(25):
            given = {"lines": [f"line {n}"], "plain": [f"line {n}"]}
            assert await turn(graph, given) == await turn(reference, given)
            assert await check() == []
        state = (await graph.aget_state(config_of("t"))).values
        assert state["lines"] == state["plain"]
        assert 2 <= len(await ids(saver, "t")) <= 14, "back to the last time it was whole, and no farther"
        await saver.aprune(["t"])
        assert (await echo(saver).aget_state(config_of("t"))).values == state
        assert await check() == []


async def test_a_fork_of_an_old_checkpoint_keeps_the_values_it_shares(checked: Checked, tmp_path: Path) -> None:
    async with checked(tmp_path, Care(kept=3)) as (saver, check):
        graph = talk(saver)
        await turn(graph, {"said": "one"})
        (_, *_, old) = [each async for each in graph.aget_state_history(config_of("t"))][:2]
        for n in range(4):
            await graph.aupdate_state(old.config, {"n": 10 + n}, as_node="counted")
            await turn(graph, {"said": str(n)})
            assert (await graph.aget_state(config_of("t"))).values == {"said": str(n) * 20, "n": 11 + n}
            assert await check() == []
            old = await graph.aget_state(config_of("t"))


async def test_a_checkpoint_stored_twice_is_stored_once(checked: Checked, tmp_path: Path) -> None:
    async with checked(tmp_path, Care(kept=3)) as (saver, check):
        checkpoint: Any = {**empty_checkpoint(), "channel_values": {"a": 1}, "channel_versions": {"a": "1"}}
        for _ in range(2):
            await saver.aput(config_of("t"), checkpoint, {"source": "loop", "step": 0, "parents": {}}, {"a": "1"})
        assert len(await ids(saver, "t")) == 1
        assert await check() == []
