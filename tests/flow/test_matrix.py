"""The kill matrix in short: the points around claim, send, ledger and resume, and the controls that must fail.

`make kill-matrix` tries every point.
"""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.downstream_simulator import MODES, downstream_simulator
from tests.matrix.case import Case, Ground, Outcome
from tests.matrix.controls import naive_graph, scalar_resume
from tests.matrix.lives import Plan
from tests.matrix.nursery import nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

POINTS = (
    r"after \w+: runs.find_one_and_update",
    r"after act: approvals.(find_one_and_update|update_one)",
    r"after act: ledger.insert_one",
    r"after act: wire POST",
    r"before act: ledger.update_one",
    r"after act: ledger.update_one",
    r"after checkpoint.aput_writes results",
)
"""Where a run is taken up, an action claimed, begun, sent, and its outcome written down, told and checkpointed."""


def chosen(seen: Outcome) -> list[str]:
    """Return the first point of a dry run for each pattern."""
    passed = [each.point for each in seen.passed[0]]
    return [next(point for point in passed if re.fullmatch(pattern, point)) for pattern in POINTS]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    folder = tmp_path_factory.mktemp("matrix")
    async with downstream_simulator(folder / "shop") as downstream, nursery() as forks:
        yield Ground(folder, forks, downstream)


@pytest.mark.parametrize("mode", MODES)
async def test_a_kill_leaves_no_action_lost_doubled_or_untold(ground: Ground, mode: str) -> None:
    seen = await ground.tried(Case("approve", mode, plans=(Plan("note"),)))
    assert seen.wrong == []
    async with asyncio.TaskGroup() as group:
        cases = [Case("approve", mode, plans=(Plan("kill", point),)) for point in chosen(seen)]
        tasks = [group.create_task(ground.tried(case)) for case in cases]
    assert {task.result().reached for task in tasks} == {True}
    assert {task.result().case.plans[0].point: task.result().wrong for task in tasks if task.result().wrong} == {}


async def test_a_kill_during_recovery_does_not_either(ground: Ground) -> None:
    plans = (Plan("kill", "after act: ledger.insert_one"), Plan("kill", "after act: wire POST"))
    outcome = await ground.tried(Case("approve", "dedupes", plans=plans))
    assert outcome.reached
    assert outcome.wrong == []


async def test_a_crash_in_the_send_is_unknown_only_where_nobody_can_tell(ground: Ground) -> None:
    async with asyncio.TaskGroup() as group:
        cases = [Case("approve", mode, "hold_after-1", outside="effect") for mode in MODES]
        outcomes = [await task for task in [group.create_task(ground.tried(case)) for case in cases]]
    assert [outcome.wrong for outcome in outcomes] == [[], [], []]
    states = {outcome.case.mode: outcome.history.approvals[0].state for outcome in outcomes}
    assert states == {"dedupes": "executed", "queryable": "executed", "neither": "unknown"}


async def test_the_naive_graph_acts_twice_at_some_points(ground: Ground) -> None:
    cell = await naive_graph(ground)
    assert len(cell.wrong) >= 3, cell.what


async def test_a_repeated_scalar_answer_opens_a_gate_nobody_decided(ground: Ground) -> None:
    assert len((await scalar_resume(ground)).wrong) == 1
