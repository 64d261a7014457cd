"""From the records to the audit log: every decision and every execution gets its entry, once, whatever is killed.

A store that records a fact sets `unaudited` to the fact's name in the same atomic write, so that a fact and its mark
are either both there or neither is. The auditor finds the marked records (a partial index holds them alone), derives
every fact from what the record says, appends those that the log lacks, and removes the mark if it is still the one it
saw. Killed in between, it finds the mark again; the fact's `event_id`, made of its name and the record's id, keeps it
from being logged twice. A mark of the ledger never comes back, for it is numbered; an approval's may (two votes), and
is removed from the version alone that was read.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import structlog

from checkpoints.approval_facts import facts_of_approval
from checkpoints.audit import Audit
from checkpoints.collections import Collection, Database, Document
from domain.approvals import NOBODY
from domain.audit import Fact
from domain.canonical import JSON, canonical
from domain.errors import InvalidInput

log = structlog.get_logger(__name__)

_MARKED: Final[dict[str, Any]] = {"unaudited": {"$exists": True}}


class Auditor:
    """Follows approvals and ledger.

    Args:
        clock: When something was noticed whose record does not say when it was.
    """

    def __init__(self, database: Database, audit: Audit, *, clock: Callable[[], datetime]) -> None:
        self._approvals: Collection = database["approvals"]
        self._ledger: Collection = database["ledger"]
        self._runs: Collection = database["runs"]
        self._audit = audit
        self._clock = clock
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Create the indexes."""
        for records in (self._approvals, self._ledger):
            await records.create_index("unaudited", partialFilterExpression=_MARKED)

    async def catch_up(self) -> None:
        """Log every fact that was recorded before the call; raises `StoreError`.

        A record that none of ours can have written keeps its mark and is told of; the others do not wait for it.
        """
        async with self._turn:
            # The ledger first: whatever was decided before something was sent is then found as well.
            sent = await self._ledger.find(_MARKED).to_list()
            decided = await self._approvals.find(_MARKED).to_list()
            if sent or decided:
                requesters = await self._requesters(sent)
                facts = _read(decided, lambda each: facts_of_approval(each, noticed_at=self._clock()))
                facts += _read(sent, lambda each: facts_of_action(each, actor=requesters.get(each["run_id"], NOBODY)))
                await self._log(facts)
                await _unmark_versions(self._approvals, decided, facts)
                await _unmark(self._ledger, sent, facts)

    async def _log(self, facts: list[Fact]) -> None:
        known = await self._audit.known([fact.event_id for fact in facts])
        for fact in sorted(facts, key=lambda each: each.at):
            if fact.event_id not in known:
                await self._audit.append(fact)

    async def _requesters(self, sent: list[Document]) -> dict[str, str]:
        """Return for whom each run acts."""
        runs = self._runs.find({"_id": {"$in": [each.get("run_id") for each in sent]}}, ["owner", "user_id"])
        return {each["_id"]: f"{each['owner']}/{each['user_id']}" for each in await runs.to_list()}


def _read(records: list[Document], facts_of: Callable[[Document], Iterator[Fact]]) -> list[Fact]:
    facts: list[Fact] = []
    for each in records:
        try:
            facts += list(facts_of(each))
        except (AttributeError, KeyError, TypeError, ValueError, InvalidInput) as error:
            log.warning("record_not_auditable", record=each["_id"], error=type(error).__name__)
    return facts


async def _unmark(records: Collection, seen: list[Document], logged: list[Fact]) -> None:
    marks = {fact.event_id for fact in logged}
    for each in seen:
        if f"{each['unaudited']}/{each['_id']}" in marks:
            seen_mark = {"_id": each["_id"], "unaudited": each["unaudited"]}
            await records.update_one(seen_mark, {"$unset": {"unaudited": ""}})


async def _unmark_versions(records: Collection, seen: list[Document], logged: list[Fact]) -> None:
    known = {(fact.request_id, fact.event) for fact in logged}
    for each in seen:
        if (each["_id"], each["unaudited"]) in known:
            version = {"_id": each["_id"], "version": each.get("version"), "unaudited": each["unaudited"]}
            await records.update_one(version, {"$unset": {"unaudited": ""}})


def facts_of_action(entry: Document, *, actor: str) -> Iterator[Fact]:
    """Yield what an entry of the ledger says was done: that it was sent, what came of it, who reconciled it.

    That it was sent is told when the send is over, or in doubt: until then nobody knows whether it was.
    """
    what: dict[str, JSON] = {
        key: entry["action"][key] for key in ("service", "operation", "method", "url", "arguments")
    }
    sent = entry.get("sent", [entry["begun_at"]])
    for number, at in enumerate(sent[:-1] if entry["state"] == "intent" else sent):
        details = {**what, "idempotency_key": entry["key"]}
        yield _execution(entry, "sent", actor, at, "sent", details, number)
    said, before = entry.get("reconciliations", []), entry.get("outcomes", [])
    now = {"result": entry["result"], "at": entry.get("finished_at"), "evidence": entry.get("evidence", "answer")}
    outcomes = [*before, now] if not said or (said[-1]["verdict"] == "retry" and _is_at_rest(entry)) else before
    for number, outcome in enumerate(outcomes):
        if outcome["result"] and outcome["at"]:
            yield _finished(entry, number, actor, outcome)
    if entry["state"] == "cancelled":
        yield _execution(entry, "finished", actor, entry["finished_at"], "cancelled", {}, len(before))
    for number, each in enumerate(said):
        told: dict[str, JSON] = {key: each[key] for key in ("by", "note")}
        yield _execution(entry, "reconciled", each["decided_by"], each["decided_at"], each["verdict"], told, number)


def _is_at_rest(entry: Document) -> bool:
    return entry["state"] not in ("waiting", "intent")


def _finished(entry: Document, number: int, actor: str, outcome: Document) -> Fact:
    result = outcome["result"]
    came: dict[str, JSON] = {key: result[key] for key in ("http_status", "duration_ms")}
    came["body_sha256"] = hashlib.sha256(result["body"].encode()).hexdigest()
    came["evidence"] = outcome["evidence"]
    return _execution(entry, "finished", actor, outcome["at"], result["outcome"], came, number)


def _execution(
    entry: Document, name: str, actor: str, at: datetime, outcome: str, details: dict[str, JSON], number: int = 0
) -> Fact:
    """Return one fact of an action; the second of its name has a 2 in its id, as `checkpoints.ledger` marks it."""
    digest, action_id = entry["action"]["digest"], entry["action"]["action_id"]
    asked_by = entry["key"].removesuffix(f"-{digest[:32]}")  # as `domain.ledger` makes the key
    return Fact(
        event_id=f"action.{name}{f'.{number + 1}' if number else ''}/{entry['_id']}",
        event=f"action.{name}",
        at=at,
        actor=actor,
        orchestration_id=entry["run_id"],
        request_id=None if asked_by == action_id else asked_by,
        action_id=action_id,
        digest=digest,
        outcome=outcome,
        details=canonical(details),
    )
