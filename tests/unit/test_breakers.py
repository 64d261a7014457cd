"""The rules of circuit breakers, row by row."""

import pytest

from domain.breakers import (
    HISTORY,
    Order,
    Outcome,
    Permit,
    Record,
    Refusal,
    Rules,
    acquired,
    credited,
    merged,
    ordered,
    reported,
    settled,
    totals,
)

RULES = Rules(
    window_ms=10_000, minimum_calls=4, failure_rate=0.5, slow_rate=0.75, open_ms=1_000, open_max_ms=5_000, probes=2
)
OUTCOMES: dict[str, tuple[Outcome, bool]] = {
    ".": ("succeeded", False),
    "s": ("succeeded", True),
    "f": ("failed", False),
    "F": ("failed", True),
    "-": ("dropped", False),
}


def after(calls: str, record: Record | None = None, *, at: int = 0, jitter: int = 0) -> Record:
    """Return a record after calls one after the other, each permitted at its time, one letter each."""
    record = record or Record()
    for letter in calls:
        outcome, slow = OUTCOMES[letter]
        record, got = acquired(settled(record, at), at, token="me", lease_ms=100)
        permit = got if isinstance(got, Permit) else Permit(-1)
        record = reported(record, RULES, at, permit=permit, outcome=outcome, slow=slow, error="broke", jitter=jitter)
    return record


@pytest.mark.parametrize(
    ("calls", "state", "reason"),
    [
        ("fff", "closed", "fewer calls than the minimum prove nothing"),
        ("ffff", "open", "4 of 4 calls failed"),
        ("ff..", "open", "2 of 4 calls failed"),
        ("f..f.", "open", "2 of 4 calls failed"),
        ("f...f", "closed", "2 of 5 is below the rate"),
        ("fff------", "closed", "calls that were dropped are no calls"),
        ("ssss", "open", "4 of 4 calls were slow"),
        (".sss", "open", "3 of 4 calls were slow"),
        ("..ss", "closed", "2 of 4 is below the rate"),
        ("FF..", "open", "2 of 4 calls failed"),
    ],
)
def test_a_closed_breaker_opens_by_its_window(calls: str, state: str, reason: str) -> None:
    record = after(calls)
    assert record.state == state
    assert state == "closed" or record.history[-1].reason == reason


@pytest.mark.parametrize(("late", "state"), [(9_999, "open"), (10_000, "closed")])
def test_calls_leave_the_window_when_they_are_old(late: int, state: str) -> None:
    assert after("f", after("fff"), at=late).state == state


def test_the_window_tells_its_sums() -> None:
    assert totals(after(".fsF", after("."), at=3_000), RULES, 3_000)[1:] == (5, 2, 2)


@pytest.mark.parametrize(("now", "state"), [(999, "open"), (1_000, "half_open")])
def test_an_open_breaker_refuses_until_its_pause_is_over(now: int, state: str) -> None:
    record = settled(after("ffff"), now)
    _, got = acquired(record, now, token="me", lease_ms=100)
    assert (record.state, got) == (state, Refusal(1) if state == "open" else Permit(2, "me"))


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_close() -> None:
    record, pauses = after("ffff"), []
    for _ in range(5):
        pauses.append(record.until - record.changed_at)
        record = after("f", record, at=record.until)
    assert pauses == [1_000, 2_000, 4_000, 5_000, 5_000]
    closed = after("..", record, at=record.until)
    assert (closed.state, closed.openings, closed.window) == ("closed", 0, ())
    again = after("ffff", closed, at=closed.changed_at)
    assert again.until - again.changed_at == 1_000


def test_jitter_lengthens_a_pause() -> None:
    assert after("ffff", jitter=100).until == 1_100


@pytest.mark.parametrize(
    ("calls", "state"),
    [(".", "half_open"), ("..", "closed"), (".f", "open"), ("s", "open"), ("-", "half_open"), (".-.", "closed")],
)
def test_probes_decide(calls: str, state: str) -> None:
    assert after(calls, after("ffff"), at=1_000).state == state


def test_one_caller_probes_at_a_time_and_another_after_its_lease() -> None:
    record = settled(after("ffff"), 1_000)
    record, first = acquired(record, 1_000, token="first", lease_ms=500)
    record, second = acquired(record, 1_499, token="second", lease_ms=500)
    record, third = acquired(record, 1_500, token="third", lease_ms=500)
    assert (first, second, third) == (Permit(2, "first"), Refusal(1), Permit(2, "third"))
    late = reported(record, RULES, 1_501, permit=Permit(2, "first"), outcome="failed", slow=False, error="", jitter=0)
    assert late == record


def test_what_was_permitted_before_the_opening_counts_no_more() -> None:
    closed = after("..", after("ffff"), at=1_000)
    late = reported(closed, RULES, 1_001, permit=Permit(0), outcome="failed", slow=False, error="", jitter=0)
    assert late == closed
    assert credited(closed, RULES, 1_001, calls=5, generation=0, jitter=0) == closed


def test_successes_may_be_counted_together_and_can_make_up_the_minimum() -> None:
    assert totals(credited(Record(), RULES, 0, calls=7, generation=0, jitter=0), RULES, 0).calls == 7
    assert credited(after("fff"), RULES, 0, calls=1, generation=0, jitter=0).state == "open"


@pytest.mark.parametrize(
    ("state", "lasting", "calls", "later"),
    [
        ("forced_open", 0, "....", "forced_open"),
        ("forced_open", 500, "", "half_open"),
        ("disabled", 0, "ffffff", "disabled"),
        ("disabled", 500, "", "closed"),
        ("closed", 500, "", "closed"),
    ],
)
def test_orders_hold_until_their_time_is_over(state: str, lasting: int, calls: str, later: str) -> None:
    wanted = Order(state=state, by="ann", reason="maintenance", lasting_ms=lasting)  # type: ignore[arg-type]  # the table's
    record = ordered(after("ffff"), 100, wanted)
    assert record.history[-1] == (100, "open", state, "maintenance", "ann")
    assert after(calls, record, at=499).state == state
    assert settled(record, 100_000).state == later


def test_a_reset_forgets_the_window() -> None:
    record = ordered(after("fff"), 5, Order(state="closed", by="ann"))
    assert (record.window, record.openings, after("f", record).state) == ((), 0, "closed")


def test_refused_calls_are_counted_from_one_opening_on() -> None:
    record = after(".....", after("ffff"))
    assert record.refused == 5
    closed = after("..", record, at=1_000)
    assert (closed.refused, after("ffff", closed, at=2_000).refused) == (5, 0)


def test_the_history_is_bounded() -> None:
    record = Record()
    for at in range(3 * HISTORY):
        record = ordered(record, at, Order(state="disabled", by="ann"))
    assert [each.at for each in record.history] == list(range(2 * HISTORY, 3 * HISTORY))


@pytest.mark.parametrize(
    ("mine", "theirs", "state", "generation"),
    [
        (Record(state="open", changed_at=2, generation=4), Record(changed_at=1, generation=9), "open", 10),
        (Record(state="open", changed_at=1, generation=4), Record(changed_at=2, generation=9), "closed", 9),
        (Record(state="open", changed_at=1, generation=4), Record(changed_at=1, generation=4), "closed", 4),
        (Record(state="open", changed_at=1, generation=9), Record(changed_at=2, generation=4), "closed", 10),
        (
            Record(state="open", changed_at=9, generation=4),
            Record(state="forced_open", ordered_at=3, changed_at=3, generation=2),
            "forced_open",
            5,
        ),
    ],
    ids=["later change", "earlier change", "the same", "many earlier changes", "an order outranks a change"],
)
def test_of_two_records_the_later_word_counts(mine: Record, theirs: Record, state: str, generation: int) -> None:
    record = merged(theirs, mine)
    assert (record.state, record.generation) == (state, generation)
