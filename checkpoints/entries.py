"""How an action stands in the ledger: its documents, what they mean, and the marks of what has to be logged."""

from datetime import datetime

from checkpoints.collections import Document
from domain.actions import Outcome, Result
from domain.ledger import Entry, Evidence, Hold, Order, Reconciliation


def sent_again(entry: Document, at: datetime) -> Document:
    """Return what changes when a waiting entry is sent: for the first time, or once more because a human said so.

    One that is in doubt and still waits for its service's word is under the intent that is there.
    """
    if not entry["in_doubt"]:
        return {"reason": "", "begun_at": at, "sent": [at]}
    if len(entry["sent"]) > len(entry["reconciliations"]):
        return {"reason": ""}
    return {"reason": "", "sent": [*entry["sent"], at]}


def not_sent(hold: Hold) -> Document:
    """Return what changes where it is certain that nothing was sent under a hold; a pymongo update."""
    return {"$push": {"sent": {"$each": [], "$slice": hold.sent_before}}}


def new_entry(order: Order, holder: str, at: datetime) -> Document:
    """Return an entry under which nothing has been sent yet."""
    return {
        "_id": order.entry_id,
        "run_id": order.run_id,
        "owner": order.requester.rpartition("/")[0],
        "requester": order.requester,
        "approval_id": order.approval_id,
        "key": order.key,
        "action": order.action.model_dump(),
        "sent": [],
        "begun_at": at,
        "holder": holder,
        "may_send": True,
        "in_doubt": False,
        "result": None,
        "evidence": "none",
        "reason": "",
        "reconciliations": [],
        "outcomes": [],
    }


def hold_of(entry: Document) -> Hold:
    """Return the hold that an entry stands for, in the hands of its holder."""
    result = None if entry["state"] in ("intent", "waiting") else entry["result"]
    may_send: bool = entry.get("may_send", False)
    return Hold(
        entry_id=entry["_id"],
        holder=entry.get("holder", ""),
        key=entry["key"],
        begun_at=entry["begun_at"],
        may_send=may_send,
        in_doubt=entry.get("in_doubt", False) or not may_send,
        round=len(entry.get("reconciliations", ())),
        sent_before=entry.get("sent_before", 0),
        result=Result(**result) if result else None,
    )


def entry_of(document: Document) -> Entry:
    """Return a stored entry."""
    fields = {key: value for key, value in document.items() if key in Entry.model_fields}
    return Entry(**{"owner": "", "requester": "", "approval_id": None, **fields, "entry_id": document["_id"]})


def as_said(entry: Entry, said: Reconciliation) -> Result:
    """Return the result that somebody's word makes."""
    happened = said.verdict == "happened"
    told = f"{'It happened' if happened else 'It did not happen'}, as {said.decided_by} found out. {said.note}"
    outcome: Outcome = "executed" if happened else "failed"
    return Result(action_id=entry.action.action_id, outcome=outcome, body=told.strip())


def outcome_of(result: Result, evidence: Evidence, at: datetime, before: int = 0) -> Document:
    """Return what changes when an outcome is written.

    Args:
        before: How many outcomes were reconciled before it.
    """
    return {
        "state": result.outcome,
        "result": result.model_dump(),
        "evidence": evidence,
        "finished_at": at,
        "unaudited": mark("action.finished", before),
    }


def mark(event: str, before: int) -> str:
    """Return the mark of a fact that can happen to an entry several times; `checkpoints.auditor` makes its id of it."""
    return f"{event}.{before + 1}" if before else event
