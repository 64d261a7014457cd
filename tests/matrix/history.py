"""What a scenario leaves behind: what humans were told, what the stores say, and what the service knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from checkpoints.audit import Audit
from checkpoints.collections import Database
from domain.audit import Break, Entry, Verification
from domain.errors import InvalidInput
from tests.downstream_truth import Event


@dataclass(frozen=True)
class Acknowledged:
    """A human's word, and that the server said it has it.

    Args:
        digest: Of the action as the human saw it.
    """

    request_id: str
    approver_id: int
    approved: bool
    digest: str


@dataclass(frozen=True)
class Voted:
    """A vote as the record has it.

    Args:
        digest: Of the action voted on.
    """

    approver_id: int
    approved: bool
    digest: str


@dataclass(frozen=True)
class Asked:
    """An approval's last record."""

    request_id: str
    run_id: str
    state: str
    digest: str
    arguments: str
    quorum: int
    votes: tuple[Voted, ...]


@dataclass(frozen=True)
class Sent:
    """An entry of the ledger."""

    key: str
    digest: str
    state: str


@dataclass(frozen=True)
class Logged:
    """An entry of the audit log."""

    event_id: str
    event: str
    request_id: str | None
    digest: str | None
    outcome: str


@dataclass(frozen=True, kw_only=True)
class History:
    """Everything the checker looks at.

    Args:
        mode: How the service treats a repeated request.
        was_sending: Whether something befell server, store or send while an action's outcome was open.
        runs: The status of every run.
        broken: Where the audit log's chain breaks.
        at_rest: Whether everything came to an end in time.
    """

    mode: str
    was_sending: bool = False
    acknowledged: tuple[Acknowledged, ...] = ()
    approvals: tuple[Asked, ...] = ()
    ledger: tuple[Sent, ...] = ()
    effects: tuple[Event, ...] = ()
    audit: tuple[Logged, ...] = ()
    broken: str = ""
    runs: tuple[str, ...] = ()
    at_rest: bool = True


async def read_records(database: Database) -> dict[str, Any]:
    """Return what the stores say, as members of a `History`."""
    approvals = await database["approvals"].find({}).sort("_id", 1).to_list()
    ledger = await database["ledger"].find({}).sort("_id", 1).to_list()
    runs = await database["runs"].find({}).sort("_id", 1).to_list()
    entries, broken = await _followed(Audit(database))
    return {
        "approvals": tuple(_asked(each) for each in approvals),
        "ledger": tuple(Sent(each["key"], each["action"]["digest"], each["state"]) for each in ledger),
        "runs": tuple(each["status"] for each in runs),
        "audit": tuple(
            Logged(each.event_id, each.event, each.request_id, each.digest, each.outcome) for each in entries
        ),
        "broken": broken.reason if broken else "",
    }


async def _followed(audit: Audit) -> tuple[Sequence[Entry], Break | None]:
    entries: list[Entry] = []
    verification = Verification()
    try:
        async for entry in audit.entries():
            if broken := verification.follow(entry):
                return entries, broken
            entries.append(entry)
    except InvalidInput as error:
        return entries, Break(seq=verification.last.seq + 1, reason=error.detail)
    return entries, verification.end()


def _asked(record: dict[str, Any]) -> Asked:
    digest = record["action"]["digest"]
    given = record.get("votes") or ([record["verdict"]] if record.get("verdict") else [])
    return Asked(
        request_id=record["_id"],
        run_id=record["orchestration_id"],
        state=record["state"],
        digest=digest,
        arguments=record["action"]["arguments"],
        quorum=record.get("quorum", 1),
        votes=tuple(Voted(each["approver_id"], each["approved"], each.get("digest", digest)) for each in given),
    )
