"""Review on real records: what was asked once stays asked."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest

from checkpoints.approvals import Approvals
from domain.policy import Policy, Rule, Standing
from domain.state import State, Update
from nodes.review import review
from tests.documents import OPENERS, Opener
from tests.records import NOON, action, verdict
from tests.shop import opened
from tools.toolbox import Toolbox

STATE = State(message="m", run_id="run_1", thread_id="thr_1", requester="ann/1", actions=[action("act_1").model_dump()])


@pytest.fixture
async def toolbox(tmp_path: Path) -> AsyncIterator[Toolbox]:
    """One that offers nothing."""
    async with opened(tmp_path / "services") as services:
        yield Toolbox(services)


async def reviewed(approvals: Approvals, toolbox: Toolbox, then: Literal["ask", "run", "deny"]) -> dict[str, Any]:
    """Review the action under a policy of one rule, as if no review of it had left a checkpoint."""
    policies = Standing(Policy(rules=(Rule(name=f"all-{then}", then=then),)))
    update: Update = await review(STATE, policies=policies, approvals=approvals, toolbox=toolbox, clock=lambda: NOON)
    return (update["verdicts"] or {})["act_1"]


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("then", ["run", "deny"])
async def test_a_request_that_no_checkpoint_knows_of_still_decides(
    tmp_path: Path, toolbox: Toolbox, opener: Opener, then: Literal["run", "deny"]
) -> None:
    async with opener(tmp_path) as database:
        approvals = Approvals(database)
        assert "approval_id" not in await reviewed(approvals, toolbox, then)
        asked = await reviewed(approvals, toolbox, "ask")
        assert await reviewed(approvals, toolbox, then) == asked
        await approvals.decide(asked["approval_id"], verdict(approved=False), owner=None)
        assert (await reviewed(approvals, toolbox, then))["outcome"] == "rejected"
