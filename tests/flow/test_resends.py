"""What a sender that finds somebody else's intent makes of a service's answers to the same key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from checkpoints.approvals import Approvals
from checkpoints.documents import open_documents
from checkpoints.ledger import Ledger
from domain.actions import Call, Result
from domain.ledger import Order, Reconciliation
from domain.policy import Policy, Rule, Standing
from nodes.act import Sender
from tests.downstream import Behaviour, Downstream, always, documented, serving
from tests.shop import DOCUMENT, Clock, opened, shop
from tools.toolbox import Toolbox

RUN = Standing(Policy(rules=(Rule(name="all", then="run"),)))
DENY = Standing(Policy(rules=(Rule(name="none", then="deny"),)))


@asynccontextmanager
async def begun(
    folder: Path, *script: Behaviour, operation: str = "putNote", policy: Standing = RUN
) -> AsyncIterator[tuple[Sender, Order, Downstream]]:
    """Yield a sender, an action whose intent another process has left, and the service, its document already read."""
    app, clock = Downstream(documented(DOCUMENT, always(200, {"ok": True}))), Clock()
    async with serving(app) as url, opened(folder, shop(url)) as services, open_documents(folder / "d") as database:
        box, ledger = Toolbox(services), Ledger(database)
        call = Call(service="shop", operation=operation, arguments={"text": "hi"})
        action = box.propose(call, run_id="r", step=1, index=0, thread_id="t", requester="ann/1", policy="p")
        order = Order(action=action, run_id="r", requester="ann/1")
        await ledger.begin(order, at=clock())
        app.seen.clear()
        app.script += script
        yield (
            Sender(
                toolbox=box,
                ledger=ledger,
                approvals=Approvals(database),
                policies=policy,
                clock=clock,
                resolve_seconds=0.3,
            ),
            order,
            app,
        )


@pytest.mark.parametrize(
    ("answers", "outcome", "sends"),
    [
        ([200], "executed", 1),
        ([500, 200], "executed", 2),
        ([409, 200], "executed", 2),
        ([401, 200], "executed", 2),
        ([422], "failed", 1),
        ([404], "failed", 1),
        ([500, 410], "failed", 2),
    ],
)
async def test_an_answer_to_the_same_key_tells_what_happened(
    tmp_path: Path, answers: list[int], outcome: str, sends: int
) -> None:
    async with begun(tmp_path, *(always(status, {}) for status in answers)) as (sender, order, app):
        assert (await sender.carry_out(order)).outcome == outcome
        assert {each.headers["idempotency-key"] for each in app.seen} == {order.key}
        assert len(app.seen) == sends
        assert (await sender.ledger.begin(order, at=sender.clock())).result is not None


@pytest.mark.parametrize(("status", "outcome"), [(500, "unknown"), (403, "unknown"), (409, "failed")])
async def test_an_answer_that_stays_says_what_it_can(tmp_path: Path, status: int, outcome: str) -> None:
    async with begun(tmp_path, *[always(status, {})] * 20) as (sender, order, _):
        assert (await sender.carry_out(order)).outcome == outcome


async def test_without_key_and_lookup_nothing_is_sent_again(tmp_path: Path) -> None:
    async with begun(tmp_path, operation="addNote") as (sender, order, app):
        assert (await sender.carry_out(order)).outcome == "unknown"
        assert app.seen == []


async def test_what_the_policy_denies_by_now_is_not_sent_again_and_stays_unknown(tmp_path: Path) -> None:
    async with begun(tmp_path, policy=DENY) as (sender, order, app):
        result = await sender.carry_out(order)
        assert (result.outcome, app.seen) == ("unknown", [])
        assert "The policy denies it by now (none)." in result.body


async def retried(sender: Sender, order: Order) -> Result:
    """Say that nobody knows what came of an action, order a retry, and carry it out."""
    assert isinstance(sender.ledger, Ledger)
    await sender.carry_out(order)
    said = Reconciliation(verdict="retry", by=1, decided_by="oli", decided_at=sender.clock())
    await sender.ledger.reconcile(await sender.ledger.get(order.action.action_id), said)
    return await sender.carry_out(order)


@pytest.mark.parametrize(("status", "outcome"), [(200, "executed"), (401, "unknown"), (422, "unknown")])
async def test_a_refused_retry_does_not_tell_what_became_of_the_first_send(
    tmp_path: Path, status: int, outcome: str
) -> None:
    async with begun(tmp_path, always(status, {}), operation="addNote") as (sender, order, app):
        assert (await retried(sender, order)).outcome == outcome
        assert len(app.seen) == 1


async def test_a_key_is_trusted_for_a_day_and_a_human_may_still_order_a_retry(tmp_path: Path) -> None:
    async with begun(tmp_path) as (sender, order, app):
        assert isinstance(sender.clock, Clock)
        sender.clock.advance(timedelta(hours=25).total_seconds())
        assert (await retried(sender, order)).outcome == "executed"
        assert [each.headers["idempotency-key"] for each in app.seen] == [order.key]
