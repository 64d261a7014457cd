"""The script in Redis and the pure rules do the same under random commands, on a clock that both are given."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis import Redis

from checkpoints.circuits import script
from checkpoints.circuits.fields import document_of, from_document, from_hash, hash_of
from checkpoints.circuits.script import Answer, Arguments
from domain import breakers as pure
from domain.breakers import HISTORY, Bucket, Change, Order, Permit, Record, Refusal, Rules
from tests.redis_server import redis_server

RULES = Rules(
    window_ms=1_000, minimum_calls=3, failure_rate=0.5, slow_rate=0.75, open_ms=500, open_max_ms=1_700, probes=2
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
STATES = st.sampled_from(["closed", "open", "half_open", "forced_open", "disabled"])
START = 1_790_000_000_000
TIMES = st.integers(START - 2_000, START + 2_000) | st.just(0)
PARTS = st.integers(START // 100 - 11, START // 100 + 1)
COUNTS = st.integers(0, 5)
RECORDS = st.builds(
    Record,
    state=STATES,
    generation=st.integers(0, 40),
    changed_at=TIMES,
    ordered_at=st.sampled_from([0, START - 5, START + 5]),
    opened_at=TIMES,
    until=TIMES,
    openings=st.integers(0, 3) | st.just(60),
    probe=TEXTS,
    probe_until=TIMES,
    successes=st.integers(0, 1),
    refused=st.integers(0, 2**40),
    error=TEXTS,
    error_at=TIMES,
    window=st.lists(st.builds(Bucket, PARTS, COUNTS, COUNTS, COUNTS), max_size=3, unique_by=lambda each: each.part)
    .map(sorted)
    .map(tuple),
    history=st.lists(st.builds(Change, TIMES, STATES, STATES, TEXTS, TEXTS), max_size=HISTORY).map(tuple),
)


class Both(RuleBasedStateMachine):
    """One breaker twice: as a record, and as a hash."""

    redis: "Redis"
    text: str

    @initialize(record=st.just(Record()) | RECORDS)
    def begin(self, record: Record) -> None:
        self.redis.flushall()
        self.now, self.record = START, record
        self.permits = [Permit(record.generation), Permit(record.generation, record.probe), Permit(3, "nobody")]
        self.tokens = 0
        self.sent(script.merge(self.record))

    def sent(
        self, arguments: Arguments, *, credit: tuple[int, int] = (0, 0), jitter: int = 0, known: int = -1
    ) -> Answer:
        operation, *own = arguments
        given = (operation, self.now, known, jitter, *credit, script.rules_text(RULES), *own)
        raw: Any = self.redis.eval(self.text, 1, script.key_of("shop"), *given)
        return Answer.read(raw)

    @rule(milliseconds=st.sampled_from([0, 1, 99, 100, 101, 250, 499, 500, 550, 1_000, 1_700, 5_000, -150]))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds

    @rule(which=st.sampled_from(["until", "probe_until"]), early=st.integers(-1, 1))
    def time_comes_to_an_end_of_something(self, which: str, early: int) -> None:
        self.now = max(self.now, getattr(self.record, which) - early)
        self.somebody_calls(100, 0, 0, 0)

    @rule(milliseconds=st.integers(-1, 1), parts=st.integers(1, 11))
    def time_comes_to_an_end_of_a_part(self, milliseconds: int, parts: int) -> None:
        self.now = (self.now // 100 + parts) * 100 + milliseconds

    @rule(lease=st.integers(1, 600), calls=st.integers(0, 4), under=st.integers(-1, 0), jitter=st.integers(0, 100))
    def somebody_calls(self, lease: int, calls: int, under: int, jitter: int) -> None:
        self.tokens += 1
        token, credit = f"t{self.tokens}", (calls, self.record.generation + under)
        known = self.record.generation
        sent = self.sent(script.acquire(token, lease), credit=credit, jitter=jitter, known=known)
        settled = pure.settled(self.record, self.now)
        counted = pure.credited(settled, RULES, self.now, calls=credit[0], generation=credit[1], jitter=jitter)
        self.record, got = pure.acquired(counted, self.now, token=token, lease_ms=lease)
        if isinstance(got, Refusal):
            assert (sent.verdict, sent.wait_ms) == ("refused", -1 if got.wait_ms is None else got.wait_ms)
        else:
            assert (sent.verdict, sent.generation) == ("probe" if got.token else "pass", got.generation)
            self.permits.append(got)
        assert sent.changed == (self.record.generation != known)
        assert sent.record is None or sent.record == self.record
        assert sent.record is not None or self.record.generation == known

    @rule(outcome=st.sampled_from(["succeeded", "succeeded", "failed"]), slow=st.sampled_from([False, False, True]))
    def somebody_calls_and_it_ends(self, outcome: pure.Outcome, slow: bool) -> None:
        count = len(self.permits)
        self.somebody_calls(100, 0, 0, 0)
        if len(self.permits) > count:
            self.a_call_ends(0, outcome, slow, "it broke", 50)

    @rule(fast=st.integers(0, 2), slow=st.integers(0, 4))
    def several_calls_end(self, fast: int, slow: int) -> None:
        for number in range(fast + slow):
            self.somebody_calls_and_it_ends("succeeded", number >= fast)

    @rule(outcome=st.sampled_from(["succeeded", "failed"]))
    def it_is_asked_again_as_soon_as_it_may(self, outcome: pure.Outcome) -> None:
        self.now = max(self.now, self.record.until)
        self.somebody_calls_and_it_ends(outcome, False)

    @rule(
        which=st.integers(0, 4),
        outcome=st.sampled_from(["succeeded", "failed", "failed", "dropped"]),
        slow=st.booleans(),
        error=TEXTS,
        jitter=st.integers(0, 100),
    )
    def a_call_ends(self, which: int, outcome: pure.Outcome, slow: bool, error: str, jitter: int) -> None:
        permit = self.permits[-1 - which % len(self.permits)]
        self.sent(script.report(permit, outcome, slow=slow, error=error), jitter=jitter)
        settled = pure.settled(self.record, self.now)
        self.record = pure.reported(
            settled, RULES, self.now, permit=permit, outcome=outcome, slow=slow, error=error, jitter=jitter
        )

    @rule(
        state=st.sampled_from(["closed", "forced_open", "disabled"]),
        by=TEXTS,
        reason=TEXTS,
        lasting=st.sampled_from([0, 1, 400, 900]),
    )
    def an_operator_orders(self, state: Any, by: str, reason: str, lasting: int) -> None:
        wanted = Order(state=state, by=by, reason=reason, lasting_ms=lasting)
        self.sent(script.order(wanted))
        self.record = pure.ordered(pure.settled(self.record, self.now), self.now, wanted)

    @rule(mine=RECORDS)
    def another_record_joins(self, mine: Record) -> None:
        self.sent(script.merge(mine))
        self.record = pure.merged(self.record, mine)

    @invariant()
    def they_are_alike(self) -> None:
        if hasattr(self, "record"):
            raw: Any = self.redis.hgetall(script.key_of("shop"))
            hashed = from_hash({name.decode(): value.decode() for name, value in raw.items()})
            assert hashed == self.record
            assert len(hashed.history) <= HISTORY
            assert self.redis.keys() == [b"circuit_breaker:shop"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    async with redis_server(tmp_path_factory.mktemp("redis"), modules=False) as server:
        yield server.port


def test_the_script_and_the_rules_are_alike(port: int) -> None:
    with Redis(port=port) as client:
        machine = type("Alike", (Both,), {"redis": client, "text": script.read_script()})
        unshrunk = (Phase.explicit, Phase.generate)  # against a real server it takes minutes
        chosen = settings(phases=unshrunk, max_examples=100, stateful_step_count=25, deadline=None, database=None)
        run_state_machine_as_test(machine, settings=chosen)  # type: ignore[no-untyped-call]


@given(RECORDS)
def test_a_record_survives_its_hash_and_all_but_its_calls_survive_the_backup(record: Record) -> None:
    assert from_hash({name: str(value) for name, value in hash_of(record).items()}) == record
    bare = record._replace(window=(), probe="", probe_until=0)
    assert from_document(document_of("shop", record)) == bare
