"""What the approvals of a time amount to, counted by the store itself, in both of its forms."""

from pathlib import Path

import pytest

from checkpoints.approval_queries import ApprovalStats
from checkpoints.approvals import Approvals
from domain.approval_stats import RuleStats
from tests.documents import OPENERS, Opener
from tests.records import after, request, verdict


@pytest.mark.parametrize("opener", OPENERS)
async def test_requests_are_counted_by_what_came_of_them(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as database:
        approvals, stats = Approvals(database), ApprovalStats(database)
        await approvals.open()
        assert (await stats.since(after(0), owner=None)).seconds_to_decide == {"p50": None, "p95": None}
        for number in range(10):
            await approvals.ask(request(f"apr_{number}", run_id=f"run_{number}", at=after(number), lasts=100))
            said = verdict(approved=number < 6, at=after(number + number + 1))
            if number < 8:
                await approvals.decide(f"apr_{number}", said, owner=None)
        await approvals.change("apr_9", lambda record: record.model_copy(update={"revision": 1}))
        await approvals.cancel("run_9", at=after(50))
        await approvals.expire(after(108))
        found = await stats.since(after(1), owner=None)
        nobodys = await stats.since(after(0), owner="bob")
    assert (found.total, nobodys.total) == (9, 0)
    assert found.by_state == {"approved": 5, "cancelled": 1, "expired": 1, "rejected": 2}
    assert (found.by_type, found.by_risk) == ({"financial": 9}, {"high": 9})
    assert found.seconds_to_decide == {"p50": 5.0, "p95": 8.0}
    assert found.expiry_rate == 0.125
    assert found.rules == (
        RuleStats(
            policy_rule="money-asks",
            asked=9,
            approved=5,
            edited=0,
            rejected=2,
            expired=1,
            approve_rate=0.7143,
            edit_rate=0.0,
            reject_rate=0.2857,
            noise=False,
        ),
    )
