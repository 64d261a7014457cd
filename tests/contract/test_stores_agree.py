"""Random commands on runs, approvals and ledger: every form of the document store gives the same answers."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from checkpoints.approvals import Approvals
from checkpoints.collections import Database
from checkpoints.ledger import Ledger
from checkpoints.runs import Runs
from domain.actions import Result
from domain.errors import OrchestrationError
from domain.ledger import Entry, Finding, Hold, Reconciliation
from domain.runs import RunStatus
from tests.documents import OPENERS, Opener
from tests.records import after, order, request, result, run, verdict

FORMS: list[Opener] = [each.values[0] for each in OPENERS]  # type: ignore[misc]  # pytest types them as objects

RUNS = st.sampled_from([f"run_{number}" for number in range(5)])
SOME_RUNS = st.lists(RUNS, min_size=1, max_size=3, unique=True)
THREADS = st.sampled_from(["thr_1", "thr_2"])
OWNERS = st.sampled_from(["ann", "bob"])
ANYBODY = st.none() | OWNERS
REQUESTS = st.sampled_from([f"apr_{number}" for number in range(5)])
SOME_REQUESTS = st.lists(REQUESTS, min_size=1, max_size=3, unique=True)
STATES = st.sampled_from(["pending", "approved", "claimed", "executed", "expired"])
ACTIONS = st.sampled_from(["act_1", "act_2", "act_3"])
FINDINGS: st.SearchStrategy[Finding] = st.sampled_from(["happened", "did_not_happen", "retry"])
TIMES = st.integers(0, 20).map(after)
STATUSES: st.SearchStrategy[RunStatus] = st.sampled_from(
    ["running", "awaiting_approval", "completed", "failed", "cancelled"]
)


@dataclass
class Stores:
    """The repositories on one form of the document store."""

    runs: Runs
    approvals: Approvals
    ledger: Ledger
    holds: dict[str, Hold]

    @classmethod
    async def on(cls, database: Database) -> "Stores":
        stores = cls(Runs(database), Approvals(database), Ledger(database), {})
        for each in (stores.runs, stores.approvals, stores.ledger):
            await each.open()
        return stores


type Command = Callable[[Stores], Coroutine[Any, Any, Any]]


class Twins(RuleBasedStateMachine):
    """The same commands for every form."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.closing = AsyncExitStack()
        self.runner.run(self.open())

    async def open(self) -> None:
        directory = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        databases = [await self.closing.enter_async_context(form(directory)) for form in FORMS]
        self.forms = [await Stores.on(database) for database in databases]

    def teardown(self) -> None:
        self.runner.run(self.closing.aclose())
        self.runner.close()

    def same(self, command: Command) -> None:
        """Let every form carry out the command, and see that the answers are equal."""
        first, *others = [self.runner.run(answer(command(stores))) for stores in self.forms]
        assert others == [first] * len(others)

    @rule(names=SOME_RUNS, thread=THREADS, owner=OWNERS, at=TIMES, status=STATUSES)
    def add(self, names: list[str], thread: str, owner: str, at: datetime, status: RunStatus) -> None:
        for name in names:
            added = run(name, thread=thread, owner=owner, at=at)
            self.same(lambda stores, added=added: stores.runs.add(added))  # type: ignore[misc]  # bound, not asked for
            self.same(lambda stores, added=added: stores.runs.leave(added, status, at=at))  # type: ignore[misc]  # too

    @rule(name=RUNS, attempt=st.integers(1, 3), at=TIMES)
    def take(self, name: str, attempt: int, at: datetime) -> None:
        self.same(lambda stores: stores.runs.take(run(name, attempt=attempt), at=at))

    @rule(name=RUNS, attempt=st.integers(1, 3), status=STATUSES, at=TIMES)
    def leave(self, name: str, attempt: int, status: RunStatus, at: datetime) -> None:
        given = run(name, attempt=attempt)
        self.same(lambda stores: stores.runs.leave(given, status, at=at, reply={"said": [1, {"b": 1, "a": None}]}))

    @rule(owner=ANYBODY, before=st.none() | RUNS, limit=st.integers(1, 2), thread=st.none() | THREADS)
    def page(self, owner: str | None, before: str | None, limit: int, thread: str | None) -> None:
        fields = {"thread_id": thread} if thread else {}
        self.same(lambda stores: stores.runs.page(owner=owner, before=before, limit=limit, **fields))

    @rule(names=SOME_REQUESTS, run_id=RUNS, owner=OWNERS, at=TIMES, lasts=st.integers(1, 10))
    def ask(self, names: list[str], run_id: str, owner: str, at: datetime, lasts: int) -> None:
        for name in names:
            asked = request(name, run_id=run_id, owner=owner, at=at, lasts=lasts)
            self.same(lambda stores, asked=asked: stores.approvals.ask(asked))  # type: ignore[misc]  # bound

    @rule(name=REQUESTS, approved=st.booleans(), approver=st.integers(1, 2), at=TIMES, owner=ANYBODY)
    def decide(self, name: str, approved: bool, approver: int, at: datetime, owner: str | None) -> None:
        said = verdict(approved=approved, approver_id=approver, at=at)
        self.same(lambda stores: stores.approvals.decide(name, said, owner=owner))

    @rule(name=REQUESTS, of=STATES, to=STATES)
    def advance(self, name: str, of: str, to: str) -> None:
        self.same(lambda stores: stores.approvals.advance(name, of=of, to=to))

    @rule(at=TIMES)
    def expire(self, at: datetime) -> None:
        self.same(lambda stores: expired(stores.approvals, at))

    @rule(run_id=RUNS)
    def cancel(self, run_id: str) -> None:
        self.same(lambda stores: stores.approvals.cancel(run_id))

    @rule(status=STATUSES)
    def unfinished(self, status: RunStatus) -> None:
        self.same(lambda stores: stores.runs.unfinished(status))

    @rule(owner=ANYBODY, skip=st.integers(0, 1), limit=st.integers(1, 2))
    def pending(self, owner: str | None, skip: int, limit: int) -> None:
        self.same(lambda stores: stores.approvals.pending(owner=owner, skip=skip, limit=limit))

    @rule(name=ACTIONS, at=TIMES)
    def begin(self, name: str, at: datetime) -> None:
        self.same(lambda stores: begun(stores, name, at))

    @rule(name=ACTIONS, at=TIMES, body=st.text(max_size=3), outcome=st.sampled_from(["executed", "failed", "unknown"]))
    def finish(self, name: str, at: datetime, body: str, outcome: str) -> None:
        self.same(lambda stores: finished(stores, name, at, result(name, body=body, outcome=outcome)))

    @rule(name=ACTIONS)
    def put_off(self, name: str) -> None:
        self.same(lambda stores: put_off(stores, name))

    @rule(name=ACTIONS, at=TIMES)
    def refuse(self, name: str, at: datetime) -> None:
        self.same(lambda stores: refused(stores, name, at))

    @rule(name=ACTIONS, at=TIMES, finding=FINDINGS)
    def reconcile(self, name: str, at: datetime, finding: Finding) -> None:
        said = Reconciliation(verdict=finding, by=1, decided_by="oli", decided_at=at)
        self.same(lambda stores: reconciled(stores, name, said))

    @rule(at=TIMES)
    def settle(self, at: datetime) -> None:
        self.same(lambda stores: stores.ledger.settle("run_1", at=at))

    @invariant()
    def holds_the_same(self) -> None:
        self.same(lambda stores: stores.runs.page(owner=None))
        self.same(lambda stores: stores.approvals.of_run("run_1"))
        self.same(lambda stores: stores.ledger.page(owner=None))
        self.same(lambda stores: stores.ledger.untold())


async def answer(command: Coroutine[Any, Any, Any]) -> Any:
    """Return what a command answers, or the kind and the words of its refusal."""
    try:
        return await command
    except OrchestrationError as error:
        return type(error), error.detail, error.extra


async def begun(stores: Stores, name: str, at: datetime) -> Hold:
    """Begin an action, and return the hold without its token, which is never the same."""
    stores.holds[name] = await stores.ledger.begin(order(name), at=at)
    return stores.holds[name].model_copy(update={"holder": ""})


async def refused(stores: Stores, name: str, at: datetime) -> Hold:
    """Refuse an action."""
    came = result(name, outcome="denied", http_status=None)
    stores.holds[name] = await stores.ledger.refuse(order(name), came, at=at)
    return stores.holds[name].model_copy(update={"holder": ""})


async def finished(stores: Stores, name: str, at: datetime, came: Result) -> Result | None:
    """Finish an action that was begun; one that somebody put off waits."""
    hold = stores.holds.get(name)
    return await stores.ledger.finish(hold, came, at=at) if hold else None


async def put_off(stores: Stores, name: str) -> None:
    """Put an action off that was begun."""
    if hold := stores.holds.get(name):
        await stores.ledger.put_off(hold, "the circuit is open")


async def reconciled(stores: Stores, name: str, said: Reconciliation) -> Entry:
    """Say what came of an action."""
    return await stores.ledger.reconcile(await stores.ledger.get(name), said)


async def expired(approvals: Approvals, at: datetime) -> list[str]:
    """Return what expired, whose order is open where two expire in the same moment."""
    return sorted(each.request_id for each in await approvals.expire(at))


def test_random_commands_get_the_same_answers_from_every_form() -> None:
    assert len(FORMS) > 1
    # Shrinking takes minutes on real servers; 25 commands can be read as they are.
    chosen = settings(max_examples=15, stateful_step_count=25, deadline=None, phases=(Phase.reuse, Phase.generate))
    run_state_machine_as_test(Twins, settings=chosen)  # type: ignore[no-untyped-call]  # hypothesis leaves it untyped
