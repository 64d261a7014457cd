"""Fifty who decide at once, on one server or two: whatever they were told has to be true afterwards."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests.matrix.case import Case, Ground, policy_file
from tests.matrix.checker import violations
from tests.matrix.history import Acknowledged
from tests.matrix.lives import PATIENCE_SECONDS, Lives, Plan, lives
from tests.matrix.scenarios import ONE, Talk
from tests.matrix.table import Cell

DECIDERS = 50
THREADS = 12
NEARLY_SECONDS = 0.3
"""How far around the end of a request's life approvals arrive."""


@dataclass
class Table:
    """Where a race is held: servers on the same stores, and everybody's acknowledgements."""

    servers: list[Lives]
    realm: str
    acknowledged: list[Acknowledged]

    def talk(self, number: int = 0, session: str = "") -> Talk:
        """Return a conversation over one of the servers."""
        server = self.servers[number % len(self.servers)]
        return Talk(server, session or self.realm, self.acknowledged)

    async def asked(self, session: str = "") -> tuple[str, dict[str, Any]]:
        """Let one action wait for a human; return its run and request."""
        talk = self.talk(session=session)
        run_id = await talk.ask(ONE)
        (request,) = await talk.waiting(run_id)
        return run_id, request

    async def all(self, one: Callable[[int, Talk], Awaitable[object]], count: int = DECIDERS) -> None:
        """Let so many do something at once, spread over the servers."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(_each(one, number, self.talk(number)))


async def _each(one: Callable[[int, Talk], Awaitable[object]], number: int, talk: Talk) -> None:
    await one(number, talk)


async def redelivered(at: Table) -> None:
    """One approval, delivered fifty times."""
    run_id, request = await at.asked()
    await at.all(lambda _, talk: talk.decide(request, approved=True))
    assert len(at.acknowledged) == DECIDERS, "the same word again gives the same answer"
    await at.talk().until(run_id)


async def against(at: Table) -> None:
    """Twenty-five who approve and twenty-five who reject."""
    run_id, request = await at.asked()
    await at.all(lambda number, talk: talk.decide(request, approved=number % 2 == 0, approver_id=number + 1))
    assert len(at.acknowledged) == 1, "one word decides"
    await at.talk().until(run_id)


async def of_three(at: Table) -> None:
    """Fifty who approve what three have to approve, each twice."""
    run_id, request = await at.asked()
    await at.all(lambda number, talk: talk.decide(request, approved=True, approver_id=number // 2 + 1))
    await at.talk().until(run_id)


async def edited(at: Table) -> None:
    """Twenty-five who change the amount while twenty-five approve what they saw."""
    run_id, request = await at.asked()

    async def one(number: int, talk: Talk) -> None:
        if number % 2:
            await talk.decide(request, approved=True, approver_id=number + 1)
        else:
            changed = {"order_id": 7, "amount": number + 1}
            await talk.decide(request, approved=True, approver_id=number + 1, edited_arguments=changed)

    await at.all(one)
    await at.talk().until(run_id)


async def expiring(at: Table) -> None:
    """Approvals that arrive just when their requests expire."""
    asked = await asyncio.gather(*(at.asked(f"{at.realm}-{number}") for number in range(THREADS)))

    async def one(number: int, talk: Talk) -> None:
        request = asked[number][1]
        left = datetime.fromisoformat(request["expires_at"]) - datetime.now(UTC)
        await asyncio.sleep(max(0.0, left.total_seconds() + (number / THREADS - 0.8) * NEARLY_SECONDS))
        await talk.decide(request, approved=True)

    await at.all(one, THREADS)
    for run_id, _ in asked:
        await at.talk().until(run_id)


async def resumed(at: Table) -> None:
    """An approval, and fifty who resume its run."""
    run_id, request = await at.asked()
    await at.talk().decide(request, approved=True)
    await at.all(lambda _, talk: talk.server.insist("POST", f"/orchestrations/{run_id}/resume"))
    await at.talk().until(run_id)


async def killed(at: Table) -> None:
    """Fifty who decide, and a server that is killed when the first was answered."""
    run_id, request = await at.asked()

    async def one(number: int, talk: Talk) -> None:
        await talk.decide(request, approved=number % 3 > 0, approver_id=number + 1)
        if len(at.acknowledged) == 1 and talk.server.lived == 1 and talk.server.child:
            talk.server.child.send(signal.SIGKILL)

    await at.all(one)
    await at.talk().until(run_id)


RACES: dict[str, tuple[Callable[[Table], Awaitable[None]], dict[str, int]]] = {
    "one approval, delivered 50 times": (redelivered, {}),
    "25 approve, 25 reject": (against, {}),
    "50 approve, quorum 3": (of_three, {"quorum": 3}),
    "25 edit, 25 approve": (edited, {}),
    "expiry against approval": (expiring, {"seconds": 5}),
    "50 resumes": (resumed, {}),
    "50 decide, server killed": (killed, {}),
}


@asynccontextmanager
async def held(ground: Ground, case: Case, **policy: int) -> AsyncIterator[tuple[Table, dict[str, str]]]:
    """Run the servers of a race: two where stores are shared, else one."""
    realm = uuid4().hex
    folder = ground.folder / realm
    folder.mkdir(parents=True)
    environment = ground.settings(folder, realm, case)
    policy_file(folder, **policy)
    async with AsyncExitStack() as stack:
        servers = []
        for name in ("one", "two") if ground.servers else ("one",):
            own = {**environment, "DATA_DIR": str(folder / name / "data")}
            servers.append(await stack.enter_async_context(lives(ground.nursery, folder / name, own, NO_PLANS)))
        yield Table(servers, realm, []), own


NO_PLANS: tuple[Plan, ...] = ()


async def race(ground: Ground, name: str) -> Cell:
    """Hold a race and check what it left."""
    runs, policy = RACES[name]
    case = Case("approve", "dedupes")
    at_rest, wrong = True, []
    async with held(ground, case, **policy) as (table, environment):
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await runs(table)
            for server in table.servers:
                at_rest = await server.close() and at_rest
        except TimeoutError:
            at_rest = False
        except AssertionError as error:
            wrong = [str(error)]
    history = await ground.history(case, table.realm, environment, table.acknowledged, at_rest=at_rest)
    wrong += violations(history)
    states = tuple(each.state for each in history.approvals)
    return Cell(part=f"race: {name}", column="dedupes", what=name, wrong=tuple(wrong), ended=states)
