"""The chain of the audit log: whatever is done to it shows."""

import hashlib
import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit import FIRST, START, Anchor, Break, Entry, Fact, entry_of, entry_of_line, link, verify
from domain.errors import InvalidInput
from tests.facts import NOON, chain, fact

ENTRIES = chain(8)
PLACES = st.integers(0, len(ENTRIES) - 1)
OTHER_VALUES: dict[str, Any] = {
    "seq": 99,
    "event_id": "another",
    "event": "approval.expired",
    "at": NOON + timedelta(days=1),
    "actor": "eve",
    "orchestration_id": "run_9",
    "request_id": None,
    "action_id": "act_9",
    "digest": "d" * 64,
    "outcome": "rejected",
    "details": '{"approver_id":99}',
    "previous": "a" * 64,
    "hash": "b" * 64,
}


def broken_at(entries: list[Entry], *, expected: Anchor | None = None) -> int | None:
    broken = verify(entries, expected=expected)
    return broken.seq if broken else None


def signed(entry: Entry, **changes: Any) -> Entry:
    """Return a forged entry whose own hash is right."""
    told = entry.model_copy(update=changes).model_dump(include=set(Fact.model_fields))
    return link(Anchor(seq=entry.seq - 1, hash=entry.previous), Fact(**told))


def test_an_untouched_chain_holds() -> None:
    assert verify(ENTRIES) is None
    assert verify(ENTRIES, expected=ENTRIES[-1].anchor) is None
    assert verify(ENTRIES, expected=ENTRIES[3].anchor) is None
    assert verify([]) is None


def test_the_hash_is_the_sha256_of_everything_else_in_canonical_json() -> None:
    shown = ENTRIES[0].shown()
    mine = shown.pop("hash")
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert mine == hashlib.sha256(text.encode()).hexdigest()
    assert (shown["seq"], shown["previous"], shown["at"]) == (1, FIRST, "2026-11-01T12:00:00.000Z")


def test_other_values_cover_every_field() -> None:
    assert set(OTHER_VALUES) == set(Entry.model_fields)


@given(PLACES, st.sampled_from(sorted(OTHER_VALUES)))
def test_a_changed_field_is_found(place: int, field: str) -> None:
    changed = [*ENTRIES]
    changed[place] = ENTRIES[place].model_copy(update={field: OTHER_VALUES[field]})
    assert broken_at(changed) == place + 1


@given(PLACES)
def test_a_forged_entry_is_found_at_the_next_one_or_by_the_anchor(place: int) -> None:
    forged = [*ENTRIES]
    forged[place] = signed(ENTRIES[place], actor="eve")
    assert broken_at(forged) == (place + 2 if place + 1 < len(ENTRIES) else None)
    assert broken_at(forged, expected=ENTRIES[-1].anchor) == min(place + 2, len(ENTRIES))


@given(st.integers(0, len(ENTRIES) - 2))
def test_a_removed_entry_is_found(place: int) -> None:
    assert broken_at(ENTRIES[:place] + ENTRIES[place + 1 :]) == place + 1


@given(st.lists(PLACES, min_size=2, max_size=2, unique=True))
def test_swapped_entries_are_found(places: list[int]) -> None:
    swapped = [*ENTRIES]
    first, second = places
    swapped[first], swapped[second] = swapped[second], swapped[first]
    assert broken_at(swapped) == min(places) + 1


@given(PLACES, PLACES)
def test_a_copied_entry_is_found(source: int, place: int) -> None:
    assert broken_at([*ENTRIES[:place], ENTRIES[source], *ENTRIES[place:]]) is not None


@given(PLACES)
def test_an_inserted_entry_that_continues_the_one_before_is_found(place: int) -> None:
    before = ENTRIES[place - 1].anchor if place else START
    assert broken_at([*ENTRIES[:place], link(before, fact(77)), *ENTRIES[place:]]) == place + 2


@given(PLACES)
def test_a_cut_off_tail_is_found_by_an_anchor_alone(length: int) -> None:
    assert verify(ENTRIES[:length]) is None
    reason = "It is missing: the log reached entry 8 before."
    assert verify(ENTRIES[:length], expected=ENTRIES[-1].anchor) == Break(seq=length + 1, reason=reason)


@given(PLACES)
def test_a_chain_written_anew_from_anywhere_is_found_by_an_anchor_behind_it(place: int) -> None:
    anew = ENTRIES[:place]
    for each in ENTRIES[place:]:
        anew.append(signed(each.model_copy(update={"previous": anew[-1].hash if anew else FIRST}), actor="eve"))
    assert verify(anew) is None
    assert broken_at(anew, expected=ENTRIES[-1].anchor) == len(ENTRIES)


@given(PLACES, st.integers(0, 400), st.characters())
def test_a_line_of_an_export_is_read_back_as_it_was_written_or_not_at_all(place: int, at: int, letter: str) -> None:
    line = ENTRIES[place].line()
    changed = line[: at % len(line)] + letter + line[at % len(line) + 1 :]
    assert entry_of_line(line) == ENTRIES[place]
    if changed != line:
        try:
            assert broken_at([*ENTRIES[:place], entry_of_line(changed), *ENTRIES[place + 1 :]]) == place + 1
        except InvalidInput:
            return


@pytest.mark.parametrize(
    "changes", [{"more": 1}, {"seq": "1"}, {"seq": 0}, {"at": "noon"}, {"outcome": None}, {"hash": "short"}]
)
def test_what_is_no_entry_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        entry_of({**ENTRIES[0].model_dump(), **changes})


def test_times_are_kept_in_utc_to_the_millisecond() -> None:
    local = NOON.astimezone(timezone(timedelta(hours=2))) + timedelta(microseconds=1999)
    assert fact(1, at=local).model_dump(mode="json")["at"] == "2026-11-01T12:00:00.001Z"


def test_an_anchor_reads_back_what_it_prints() -> None:
    assert Anchor.parse(str(ENTRIES[4].anchor)) == ENTRIES[4].anchor


@pytest.mark.parametrize("text", ["", "5", "5:", "x:" + FIRST, "-1:" + FIRST, "²:" + FIRST, "5:" + FIRST[:-1]])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="SEQ:HASH"):
        Anchor.parse(text)
