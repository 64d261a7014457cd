"""Facts and chains as tests of the audit log write them, in one line each."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.audit import START, Entry, Fact, link

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def fact(number: int, **more: Any) -> Fact:
    return Fact(
        **{
            "event_id": f"approval.decided/apr_{number}",
            "event": "approval.decided",
            "at": NOON + timedelta(milliseconds=number),
            "actor": "ann",
            "request_id": f"apr_{number}",
            "outcome": "approved",
            "details": f'{{"approver_id":{number}}}',
            **more,
        }
    )


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(length):
        entries.append(link(entries[-1].anchor if entries else START, fact(number)))
    return entries
