"""What befalls networked stores and the servers on them: a store's server killed, a server stopped past its lease."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

from tests.downstream_simulator import MODES
from tests.matrix.case import Case, Ground, Outcome
from tests.matrix.checker import violations
from tests.matrix.history import Acknowledged
from tests.matrix.lives import PATIENCE_SECONDS, Lives, Passed, Plan, lives
from tests.matrix.scenarios import ONE, Talk
from tests.matrix.sweeps import is_write
from tests.matrix.table import Cell

UNDER_WAY = r"(before|after) (act: (?!.*find_one)|go_on: |checkpoint.aput_writes results$|recorded: .* \(2\))"
"""Points between a decision and the end of its run."""

WAKE_SECONDS = 0.2

SHOWN_SECONDS = 2.0
"""How long a client waits for a server before it asks another one."""


def store_cases(passed: Sequence[Passed]) -> Iterator[Case]:
    """Yield a case for each store and each point at which the server changes something in it."""
    points = sorted({each.point for each in passed if is_write(each)})
    for point in points:
        if "checkpoint.store" in point or re.search(r"(act|go_on|pick_up|attempt): redis", point):
            yield Case("approve", "neither", plans=(Plan("tell", point),), store="redis")
        elif re.search(r"\w+: \w+\.\w+", point):
            yield Case("approve", "neither", plans=(Plan("tell", point),), store="mongo")


def stop_cases(passed: Sequence[Passed]) -> Iterator[Case]:
    """Yield a case for each mode and each point between the decision and the end of the run."""
    for mode in MODES:
        for point in sorted({each.point for each in passed if re.search(UNDER_WAY, each.point)}):
            yield Case("approve", mode, plans=(Plan("stop", point),))


async def stopped(ground: Ground, case: Case, *, program: str = "server") -> Outcome:
    """Stop a server past its lease in the middle of a run, let another one take over, and wake it again."""
    realm = uuid4().hex
    folder = ground.folder / realm
    folder.mkdir(parents=True)
    environment = ground.settings(folder, realm, case)
    other = {**environment, "DATA_DIR": str(folder / "two" / "data")}
    acknowledged: list[Acknowledged] = []
    at_rest = True
    async with (
        lives(ground.nursery, folder, environment, case.plans, program=program) as first,
        lives(ground.nursery, folder / "two", other, program=program) as second,
    ):
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await _over(first, second, realm, acknowledged)
            async with _awake(first):
                await first.insist("GET", "/health")
                at_rest = all([await each.close() for each in (first, second)])
        except TimeoutError:
            at_rest = False
    hits = first.passed[0] if first.passed and case.plans else []
    was_sending = any(each.sending for each in hits)
    history = await ground.history(case, realm, environment, acknowledged, was_sending=was_sending, at_rest=at_rest)
    return Outcome(case, history, violations(history), first.passed, bool(hits))


async def _over(first: Lives, second: Lives, realm: str, acknowledged: list[Acknowledged]) -> None:
    talk, elsewhere = Talk(first, realm, acknowledged), Talk(second, realm, acknowledged)
    run_id = await talk.ask(ONE)
    for request in await elsewhere.waiting(run_id):
        try:
            async with asyncio.timeout(SHOWN_SECONDS):
                await talk.decide(request, approved=True)
        except TimeoutError:
            await elsewhere.decide(request, approved=True)
    await elsewhere.until(run_id)


@asynccontextmanager
async def _awake(server: Lives) -> AsyncIterator[None]:
    """Wake a server, and again: others may see what it did before it gets as far as to stop."""

    async def waking() -> None:
        while server.child:
            server.child.send(signal.SIGCONT)
            await asyncio.sleep(WAKE_SECONDS)

    task = asyncio.create_task(waking())
    try:
        yield
    finally:
        task.cancel()


async def lock_removed(ground: Ground) -> Cell:
    """Two servers without the threads' lease: the second one takes up what the first is at."""
    outcome = await stopped(ground, Case("approve", "queryable", "slow_before-1", patient=True), program="unlocked")
    return Cell(
        part="control: the lock removed",
        column="queryable",
        what="two servers at one run",
        wrong=tuple(outcome.wrong),
        must_fail=True,
    )
