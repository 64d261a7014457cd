"""What comes after a run: unknown outcomes that become known, and everybody who has to hear of it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from checkpoints.approvals import Approvals
from checkpoints.ledger import Ledger
from checkpoints.locks import Leases, writing_under
from checkpoints.runs import Runs
from domain.actions import Result
from domain.conversation import Message
from domain.errors import AlreadyReconciled, NotFound, OrchestrationError, ThreadBusy
from domain.ledger import Entry, Reconciliation
from domain.runs import ACTIVE, Run, amended
from domain.window import remember
from graph.build import Graph
from graph.stopping import Grace
from nodes.act import Sender
from nodes.respond import remembered

log = structlog.get_logger(__name__)

LOOKED_UP = "The service's records say so."


@dataclass(kw_only=True)
class Afterwards:
    """Follows the entries of the ledger that are marked as untold, until everybody has heard of them.

    A retry that a human ordered is sent here, once, whoever asked for it and left. What a run left unknown is looked up
    where its service can tell. Then approval, run and thread get to know what came of it. Every step can be repeated:
    the mark goes last.

    Args:
        tasks: What everything under way ends with.
        grace: How long it may take when the server stops.
    """

    sender: Sender
    graph: Graph
    ledger: Ledger
    approvals: Approvals
    runs: Runs
    locks: Leases
    tasks: asyncio.TaskGroup
    grace: Grace
    clock: Callable[[], datetime]
    window_chars: int
    summary_chars: int
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def tend(self) -> None:
        """Begin to follow what nobody here follows yet; raises `StoreError`."""
        for entry in await self.ledger.untold():
            self.begin(entry)

    def begin(self, entry: Entry) -> None:
        """Follow an entry in the background."""
        if entry.entry_id not in self._under_way:
            task = self.tasks.create_task(self._followed(entry))
            self._under_way[entry.entry_id] = task
            task.add_done_callback(lambda _: self._under_way.pop(entry.entry_id, None))

    async def close(self) -> None:
        """Let what is under way finish for a while; what does not is followed by the next process."""
        await self.grace.spend_on(list(self._under_way.values()))

    async def _followed(self, entry: Entry) -> None:
        try:
            async with self.locks.hold(f"action:{entry.entry_id}", wait_seconds=0) as lease:
                with writing_under(lease):
                    known = await self._known(await self.ledger.find(entry.entry_id))
            await self._tell(known)
        except ThreadBusy:
            return  # somebody is at it, or at its thread
        except OrchestrationError as error:
            log.warning("action_not_followed", action_id=entry.action.action_id, error=type(error).__name__)

    async def _known(self, entry: Entry) -> Entry:
        """Return the entry with what can be found out about it."""
        if entry.state in ("waiting", "intent"):
            await self.sender.carry_out(entry.order)
        elif entry.state == "unknown" and not entry.reconciliations:
            await self._look_up(entry)
        return await self.ledger.find(entry.entry_id)

    async def _look_up(self, entry: Entry) -> None:
        found = await self.sender.looked_up(entry.action, key=entry.key)
        if found is not None and found.outcome == "unknown":
            return
        said = Reconciliation(
            verdict="happened" if found else "did_not_happen",
            by=None,
            note=LOOKED_UP,
            decided_by="server",
            decided_at=self.clock(),
        )
        with suppress(AlreadyReconciled):  # a human was faster
            await self.ledger.reconcile(entry, said, found=found, evidence="lookup")

    async def _tell(self, entry: Entry) -> None:
        """Tell approval, run and thread; a run that is not over hears it when it is."""
        if entry.result is None:
            return
        if entry.approval_id and entry.result.outcome != "unknown":
            to = "failed" if entry.result.outcome == "denied" else entry.result.outcome
            await self.approvals.advance(entry.approval_id, of="unknown", to=to)
        with suppress(NotFound):
            run = await self.runs.get(entry.run_id)
            if run.status in ACTIVE:  # its thread's lock is not for us
                return
            async with self.locks.hold(run.thread_id, wait_seconds=0) as lease:
                with writing_under(lease):
                    run = await self.runs.get(entry.run_id)
                    if run.status in ACTIVE:
                        return
                    await self._tell_run(run, entry, entry.result)
        await self.ledger.told(entry)

    async def _tell_run(self, run: Run, entry: Entry, result: Result) -> None:
        reply = amended(run.reply or {}, result)
        if reply is None:  # it knows, or never had the action
            return
        await self._tell_thread(run, entry, result)
        await self.runs.amend(run, reply)

    async def _tell_thread(self, run: Run, entry: Entry, result: Result) -> None:
        """Let the thread's next message know: what it remembers says that nobody knew."""
        config: Any = {"configurable": {"thread_id": run.thread_id}}
        state = await self.graph.aget_state(config)
        active = await self.runs.active(run.thread_id)
        if active or state.next or "window" not in state.values:  # a run that paused there has the state
            return
        window, summary = remember(
            [Message(**each) for each in state.values["window"]],
            state.values.get("summary", ""),
            [remembered(entry.action, result)],
            window_chars=self.window_chars,
            summary_chars=self.summary_chars,
        )
        told = {"window": [message.model_dump() for message in window], "summary": summary}
        await self.graph.aupdate_state(config, told, as_node="respond")
