"""Runs: start, join, resume, cancel and recover one turn of a thread."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import structlog

from checkpoints.locks import BUSY, Lease, Leases, lapsed, writing_under
from domain.approvals import NOBODY, Approval
from domain.errors import (
    ApprovalPending,
    Conflict,
    Duplicate,
    OrchestrationError,
    RunFailed,
    StoreUnavailable,
    ThreadBusy,
)
from domain.experiments import Scalar
from domain.ledger import Entry
from domain.ports import Toolbox
from domain.runs import ACTIVE, Run, for_approver, paused, thread_id_of, under_way
from graph.events import START, Event, Position
from graph.execution import Execution
from graph.live import Live, Lives
from graph.stopping import Grace

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 50
"""How often a run that keeps dying is picked up again before it is given up."""

JOIN_SECONDS = 0.5
"""How often who joins a run that is under way elsewhere looks whether it waits for a service."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A message, and what to do when its thread is not free.

    Args:
        on_busy: `enqueue` waits for the run under way (bounded), `reject` refuses, `interrupt` cancels that run.
        on_pending: `reject` refuses while an approval waits; `cancel` withdraws it and goes on with the message.
    """

    owner: str
    user_id: int
    session_id: str
    message: str
    attributes: dict[str, Scalar] = field(default_factory=dict)
    on_busy: Literal["enqueue", "reject", "interrupt"] = "enqueue"
    on_pending: Literal["reject", "cancel"] = "reject"

    def run(self, now: datetime) -> Run:
        """Return the record of a run that begins now; ids grow with time."""
        return Run(
            run_id=f"run_{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}",
            thread_id=thread_id_of(owner=self.owner, user_id=self.user_id, session_id=self.session_id),
            owner=self.owner,
            user_id=self.user_id,
            session_id=self.session_id,
            message=self.message,
            attributes=self.attributes,
            created_at=now,
            updated_at=now,
        )


class Orchestrations:
    """Every run of this process, and the way into those that another process left.

    Args:
        toolbox: Knows the operations' schemas, for whoever answers a run's questions.
        queue_seconds: How long a message waits for the run before it on its thread.
        grace: How long runs may finish when the server stops.
    """

    def __init__(
        self,
        execution: Execution,
        *,
        toolbox: Toolbox,
        locks: Leases,
        tasks: asyncio.TaskGroup,
        queue_seconds: float,
        grace: Grace,
    ) -> None:
        self._execution = execution
        self._toolbox = toolbox
        self._runs = execution.runs
        self._approvals = execution.approvals
        self._clock = execution.clock
        self._locks = locks
        self._tasks = tasks
        self._queue_seconds = queue_seconds
        self._grace = grace
        self._lives = Lives()
        self._waking: set[asyncio.Task[None]] = set()
        self._looked_after: set[str] = set()

    async def start(self, asked: Asked) -> Live:
        """Record a run and set it going; it goes on whoever waits for it.

        Raises `ThreadBusy`, and `ApprovalPending` when the thread waits for a human.
        """
        run = asked.run(self._clock())
        if asked.on_busy == "interrupt":
            await self._interrupt(run.thread_id)
        wait_seconds = 0.0 if asked.on_busy == "reject" else self._queue_seconds
        async with AsyncExitStack() as held:
            lease = await held.enter_async_context(self._locks.hold(run.thread_id, wait_seconds=wait_seconds))
            other = await self._admit(run, asked)
            if other is None:
                return self._set_going(run, lease, held.pop_all(), run.message)
            await self._go_on(other, lease, held)
        if asked.on_busy == "enqueue":
            return await self.start(asked)
        raise ThreadBusy(BUSY, extra={"orchestration_id": other.run_id})

    async def resume(self, run_id: str, *, owner: str | None) -> Run:
        """Return the run when it has ended or waits for a human or a service: join it, or set it going if it can.

        Raises `NotFound`, and what the run fails with.
        """
        run = await self._runs.get(run_id, owner=owner)
        while run.status in ACTIVE and not ((live := self._lives.get(run_id)) and live.is_running):
            try:
                await self._pick_up(run_id, wait_seconds=JOIN_SECONDS)
                break
            except ThreadBusy:  # somebody is at it: here, as we shall see, or elsewhere
                run = await self._runs.get(run_id)
                if await self._execution.ledger.waits(run_id):
                    return run
        live = self._lives.get(run_id)
        return await live.at_rest() if live and live.is_running else await self._runs.get(run_id)

    async def cancel(self, run_id: str, *, owner: str | None, by: str | None = None) -> Run:
        """Stop a run for good and return its record; an action that is being sent is finished first.

        Raises `NotFound`, and `Conflict` when the run has ended otherwise.
        """
        run = await self._runs.get(run_id, owner=owner)
        if (live := self._lives.get(run_id)) and live.is_running:
            live.cancel(by=by)
            run = await live.settled()
        if run.status in ACTIVE:
            await self._runs.ask_cancel(run)
            async with self._locks.hold(run.thread_id, wait_seconds=None):
                run = await self._withdraw(await self._runs.get(run_id), by=by)
        if run.status != "cancelled":
            raise Conflict(f"The run is {run.status}: there is nothing to cancel.")
        return run

    async def follow(self, run_id: str, *, owner: str | None, after: Position = START) -> AsyncIterator[Event]:
        """Yield a run's events behind a position; of a run this process has not seen, how it stands.

        Raises `NotFound`.
        """
        run = await self._runs.get(run_id, owner=owner)
        live = self._lives.get(run_id)
        if live is None:
            position = max((run.attempt, 0), (after[0], after[1] + 1))  # its number is forgotten, and only ever grows
            if run.status == "failed" and run.error:
                yield Event(position, "error", {**run.shown(), **run.error})
            else:
                yield Event(position, "done", await self.standing(run))
            return
        async for event in live.log.follow(after):
            yield event

    async def standing(self, run: Run) -> dict[str, Any]:
        """Return a run as its caller sees it now: what it has sent and what waits while it is active, or its reply."""
        if run.status in ACTIVE:
            asked, sent = await self._asked_and_sent(run)
            if run.status == "awaiting_approval":
                return paused(run, asked, sent, self._toolbox)
            return under_way(run, sent, edited={each.request_id for each in asked if each.revision})
        return run.reply or {**run.shown(), "error": run.error}

    async def standing_for_approver(self, run_id: str) -> tuple[Run, dict[str, Any]]:
        """Return a run, and how it stands for who may not read its conversation; raises `NotFound`."""
        run = await self._runs.get(run_id)
        return run, for_approver(run, *await self._asked_and_sent(run), self._toolbox)

    async def _asked_and_sent(self, run: Run) -> tuple[list[Approval], list[Entry]]:
        return await self._approvals.of_run(run.run_id), await self._execution.ledger.of_run(run.run_id)

    def wake(self, run_id: str) -> None:
        """Let a run go on in the background, if it can."""
        self._begin_waking(run_id, wait_seconds=None)

    async def expire(self) -> None:
        """Let the clock have its say on every approval, and let the runs of those that ended go on without them."""
        for request in await self._approvals.expire(self._clock()):
            log.info(f"approval_{request.state}", request_id=request.request_id, run_id=request.orchestration_id)
            if request.kind == "graph":
                self.wake(request.orchestration_id)

    async def catch_up(self) -> None:
        """Let every waiting run go on whose approvals were decided while nobody looked, or whose waking failed."""
        undecided = await self._approvals.undecided()
        for run in await self._runs.unfinished("awaiting_approval"):
            if run.run_id not in undecided:
                self._look_after(run.run_id)

    async def recover(self) -> None:
        """Pick up every run that was left under way and that nobody is at; stop those that are to be cancelled."""
        for run in await self._runs.unfinished("running"):
            live = self._lives.get(run.run_id)
            if live and live.is_running:
                if run.cancel_requested:
                    live.cancel()
            elif run.cancel_requested or run.is_due(self._clock()):
                self._look_after(run.run_id)

    def dismiss(self) -> None:
        """Let everybody go who reads a stream or waits for a decision: the server stops, and they may come back.

        Who waits for a reply may still get it for a while.
        """
        self._approvals.bell.dismiss()
        for live in self._lives.running():
            live.log.dismiss()
        asyncio.get_running_loop().call_later(self._grace.left(), self._let_go)

    def _let_go(self) -> None:
        for live in self._lives.running():
            live.dismiss()

    async def close(self) -> None:
        """Let what is under way finish for a while; what does not is picked up by the next process."""
        for task in self._waking:
            task.cancel()
        for live in self._lives.running():
            if live.waits:
                live.abandon()
        await self._grace.spend_on([live.task for live in self._lives.running() if live.task])

    def _set_going(self, run: Run, lease: Lease, held: AsyncExitStack, message: str | None) -> Live:
        live = self._lives.begin(run)
        live.task = self._tasks.create_task(self._attempt(live, lease, held, message))
        return live

    async def _attempt(self, live: Live, lease: Lease, held: AsyncExitStack, message: str | None) -> None:
        """Execute the run for as long as its thread's lease is held; without it the record is left to others."""
        async with held:
            # A lease of one process has no key, and nobody else takes it: there is nothing to watch.
            watching = self._tasks.create_task(live.abandon_when(lease.lost)) if lease.key else None
            try:
                with writing_under(lease):
                    await self._execution.attempt(live, message)
            except StoreUnavailable as error:
                live.settle(live.run, error)
            except asyncio.CancelledError:
                if lease.lost.is_set():
                    live.settle(live.run, lapsed())
                raise
            finally:
                if watching:
                    watching.cancel()
                self._lives.rest(live)

    def _look_after(self, run_id: str) -> None:
        """Pick a run up in the background unless somebody is at it, or we are looking already."""
        if run_id not in self._looked_after:
            self._looked_after.add(run_id)
            task = self._begin_waking(run_id, wait_seconds=0)
            task.add_done_callback(lambda _: self._looked_after.discard(run_id))

    def _begin_waking(self, run_id: str, *, wait_seconds: float | None) -> asyncio.Task[None]:
        task = self._tasks.create_task(self._woken(run_id, wait_seconds=wait_seconds))
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)
        return task

    async def _woken(self, run_id: str, *, wait_seconds: float | None) -> None:
        try:
            await self._pick_up(run_id, wait_seconds=wait_seconds)
        except ThreadBusy:
            return  # somebody is at it
        except OrchestrationError as error:
            log.warning("run_not_picked_up", run_id=run_id, error=type(error).__name__, detail=error.detail)

    async def _pick_up(self, run_id: str, *, wait_seconds: float | None = None) -> None:
        """Set a run going again from its last checkpoint, unless it has ended or waits for a human.

        Raises `ThreadBusy` when somebody is at its thread for longer than that.
        """
        run = await self._runs.get(run_id)
        async with AsyncExitStack() as held:
            lease = await held.enter_async_context(self._locks.hold(run.thread_id, wait_seconds=wait_seconds))
            run = await self._runs.get(run_id)
            asked = await self._approvals.of_run(run_id) if run.status == "awaiting_approval" else []
            if any(each.ends_run for each in asked):
                await self._withdraw(run, by=NOBODY)
            elif run.status in ACTIVE and not any(each.state == "pending" for each in asked):
                await self._go_on(run, lease, held)

    async def _go_on(self, run: Run, lease: Lease, held: AsyncExitStack) -> None:
        """Set an active run going whose thread we hold, or end it when it was to be cancelled or keeps dying."""
        if (live := self._lives.get(run.run_id)) and live.is_running:
            with suppress(OrchestrationError):  # an attempt of ours that lost its lease and is about to end
                await live.settled()
            return
        if run.cancel_requested:
            await self._withdraw(run)
        elif run.status == "running" and run.attempt >= MAX_ATTEMPTS:
            await self._execution.end(run, "failed", error=RunFailed(f"Given up after {run.attempt} attempts."))
        elif taken := await self._runs.take(run, at=self._clock()):
            log.info("run_picked_up", run_id=run.run_id, thread_id=run.thread_id, attempt=taken.attempt)
            self._set_going(taken, lease, held.pop_all(), None)

    async def _admit(self, run: Run, asked: Asked) -> Run | None:
        """Record the run as its thread's active one, or return the one that a crash left in the middle."""
        try:
            await self._runs.add(run)
        except Duplicate:
            other = await self._runs.active(run.thread_id)
        else:
            return None
        if other and other.status == "running":
            return other
        if other and asked.on_pending == "reject":
            detail = "This conversation waits for a human's approval; decide it, or send on_pending=cancel."
            raise ApprovalPending(detail, extra={"orchestration_id": other.run_id})
        if other:
            await self._withdraw(other)
        await self._runs.add(run)
        return None

    async def _interrupt(self, thread_id: str) -> None:
        other = await self._runs.active(thread_id)
        if other and other.status == "running":
            with suppress(OrchestrationError):  # it ended otherwise, which is as good
                await self.cancel(other.run_id, owner=None)

    async def _withdraw(self, run: Run, *, by: str | None = None) -> Run:
        """Cancel an active run that nobody is at."""
        return await self._execution.end(run, "cancelled", by=by) if run.status in ACTIVE else run
