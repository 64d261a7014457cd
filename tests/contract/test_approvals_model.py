"""Random deciders, editors, clocks and senders, several at the same moment: one outcome, by its quorum, for good."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from checkpoints.approvals import Approvals
from checkpoints.audit import Audit
from checkpoints.auditor import Auditor
from domain.approvals import Approval, Vote
from domain.deciding import delegated, edited, names
from domain.errors import Conflict, NotEligible
from domain.policy import Rule
from tests.documents import OPENERS, Opener
from tests.records import after, person, request, verdict

PEOPLE = st.integers(2, 6)
DIGESTS = st.sampled_from(["act_1", "act_2", "act_3"])
COMMANDS = st.one_of(
    st.tuples(st.just("vote"), PEOPLE, st.booleans(), st.none() | DIGESTS),
    st.tuples(st.just("edit"), PEOPLE, DIGESTS),
    st.tuples(st.just("delegate"), PEOPLE, PEOPLE),
    st.tuples(st.just("claim"), DIGESTS),
    st.tuples(st.sampled_from(["expire", "cancel"])),
)
NEXT = {
    "pending": {"approved", "rejected", "expired", "cancelled", "claimed", "execution_expired"},
    "approved": {"claimed", "cancelled", "execution_expired"},
}
ASK = Rule(name="writes-ask", then="ask", quorum=2)


class Crowd(RuleBasedStateMachine):
    """One request, and everybody who may do something to it."""

    opener: Opener

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.closing = AsyncExitStack()
        self.now = 0.0
        self.acknowledged: list[Approval] = []
        self.released: set[str] = set()
        self.before = self.runner.run(self.open())

    async def open(self) -> Approval:
        directory = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        self.database = await self.closing.enter_async_context(type(self).opener(directory))
        self.approvals = Approvals(self.database)
        await self.approvals.open()
        clocks = {"lasts": 10, "expires_in_seconds": 10, "execute_within_seconds": 5}
        return await self.approvals.ask(
            request("apr_1", quorum=2, on_expiry="escalate", escalate_to=("any",), **clocks)  # type: ignore[arg-type]  # of several kinds
        )

    def teardown(self) -> None:
        self.runner.run(self.audited())
        self.runner.run(self.closing.aclose())
        self.runner.close()

    @rule(seconds=st.sampled_from([1, 4, 5, 10]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(commands=st.lists(COMMANDS, min_size=1, max_size=5))
    def at_once(self, commands: list[tuple[Any, ...]]) -> None:
        self.runner.run(self.all_of(commands))

    async def all_of(self, commands: list[tuple[Any, ...]]) -> None:
        await asyncio.gather(*(self.attempt(command) for command in commands))

    async def attempt(self, command: tuple[Any, ...]) -> None:
        what, *given = command
        try:
            await getattr(self, what)(*given)
        except (Conflict, NotEligible):
            return

    async def vote(self, number: int, approved: bool, seen: str | None) -> None:  # drawn
        said = verdict(approved=approved, approver_id=number, by=f"key-{number}", at=after(self.now))
        record = await self.approvals.decide("apr_1", said, owner=None, seen=seen)
        assert seen in (None, record.action.digest)
        if record.state != "pending":
            self.acknowledged.append(record)

    async def edit(self, number: int, digest: str) -> None:
        def change(record: Approval) -> Approval:
            action = record.action.model_copy(update={"digest": digest})
            who, at = person(number, key=f"key-{number}"), after(self.now)
            return edited(record, action, ASK, policy_version="1", who=who, seen=None, at=at)

        await self.approvals.change("apr_1", change)

    async def delegate(self, number: int, to: int) -> None:
        who = person(number, key=f"key-{number}")
        handed = partial(delegated, to=f"approver:{to}", who=who, note="", at=after(self.now))
        await self.approvals.change("apr_1", handed)

    async def claim(self, digest: str) -> None:
        record = await self.approvals.claim("apr_1", action_digest=digest, at=after(self.now))
        if record.state == "claimed" and digest == record.action.digest and not self.released:
            assert record.execute_by
            self.released.add(digest)
            assert record.execute_by > after(self.now)

    async def expire(self) -> None:
        await self.approvals.expire(after(self.now))

    async def cancel(self) -> None:
        await self.approvals.cancel("run_1", at=after(self.now))

    async def audited(self) -> None:
        """See that the audit log tells of every vote that counted."""
        audit = Audit(self.database)
        auditor = Auditor(self.database, audit, clock=lambda: after(self.now))
        for each in (audit, auditor):
            await each.open()
        await auditor.catch_up()
        entries = [each async for each in audit.entries()]
        said = [(each.outcome, each.digest) for each in entries if each.event in ("approval.voted", "approval.decided")]
        record = await self.approvals.get("apr_1")
        wanted = [("approved" if vote.approved else "rejected", vote.digest) for vote in record.votes]
        assert sorted(set(wanted)) == sorted(set(wanted).intersection(said))

    @invariant()
    def holds(self) -> None:
        record = self.runner.run(self.approvals.get("apr_1"))
        if record.state != self.before.state:
            assert record.state in NEXT.get(self.before.state, set())
        assert self.before.verdict is None or record.verdict == self.before.verdict
        assert record.version >= self.before.version
        assert all(each.verdict == record.verdict for each in self.acknowledged)
        assert self.released <= {record.action.digest}
        self.counted(record, record.votes)
        self.before = record

    @staticmethod
    def counted(record: Approval, votes: tuple[Vote, ...]) -> None:
        people = [names(vote.decided_by, vote.approver_id) for vote in votes]
        assert all(one.isdisjoint(other) for one, other in combinations(people, 2))
        assert {vote.digest for vote in votes} <= {record.action.digest}
        said_yes = record.verdict is not None and record.verdict.approved
        assert said_yes is (sum(vote.approved for vote in votes) >= record.quorum)
        assert record.state not in ("approved", "claimed", "execution_expired") or said_yes


@pytest.mark.parametrize("opener", OPENERS)
def test_whatever_a_crowd_does_there_is_one_outcome_by_its_quorum_for_good(opener: Opener) -> None:
    machine = type("Machine", (Crowd,), {"opener": staticmethod(opener)})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis leaves it untyped
        machine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
