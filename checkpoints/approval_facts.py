"""What an approval's record says was decided, edited, handed on or ended: the facts the audit log holds of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from checkpoints.collections import Document
from domain.approvals import NOBODY
from domain.audit import Fact
from domain.canonical import JSON, canonical

MANY = frozenset({"voted", "edited", "delegated", "escalated"})
"""What may happen to a request more than once."""


def facts_of_approval(record: Document, *, noticed_at: datetime) -> Iterator[Fact]:
    """Yield what happened to a request, in order; its ends come last."""
    for number, step in enumerate(record.get("trail") or ()):
        if step["what"] in MANY:
            said = {"approver_id": step["approver_id"], **step["said"]}
            outcome = "approved" if step["what"] == "voted" else step["what"]
            fact = _fact(record, step["what"], step["by"], step["at"], outcome, said, digest=step["digest"])
            yield fact.model_copy(update={"event_id": f"{fact.event_id}/{number}"})
    if verdict := record["verdict"]:
        said = {key: verdict[key] for key in ("approver_id", "approval_notes")}
        outcome = "approved" if verdict["approved"] else "rejected"
        yield _fact(record, "decided", verdict["decided_by"], verdict["decided_at"], outcome, said)
    yield from _end(record, noticed_at)


def _end(record: Document, noticed_at: datetime) -> Iterator[Fact]:
    state = record["state"]
    if state == "cancelled":
        by = record.get("cancelled_by") or NOBODY
        yield _fact(record, state, by, record.get("cancelled_at") or noticed_at, state, {})
    elif state in ("expired", "superseded", "execution_expired"):
        steps = [step["at"] for step in record.get("trail") or () if step["what"] == state]
        clock = record["execute_by"] if state == "execution_expired" else record["expires_at"]
        yield _fact(record, state, NOBODY, steps[-1] if steps else clock, state, {})


def _fact(
    record: Document,
    name: str,
    actor: str,
    at: datetime,
    outcome: str,
    said: dict[str, Any],
    *,
    digest: str | None = None,
) -> Fact:
    about: dict[str, JSON] = {"approval_type": record["approval_type"]}
    if digest in (None, record["action"]["digest"]):  # the record tells of the present action alone
        about |= {key: record[key] for key in ("policy_rule", "proposed_action")}
    return Fact(
        event_id=f"approval.{name}/{record['_id']}",
        event=f"approval.{name}",
        at=at,
        actor=actor,
        orchestration_id=record["orchestration_id"],
        request_id=record["_id"],
        action_id=record["action"]["action_id"],
        digest=digest or record["action"]["digest"],
        outcome=outcome,
        details=canonical({**about, **said}),
    )
