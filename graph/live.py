"""Runs under way in this process, and the last few that came to rest, for readers who come late."""

import asyncio
from collections import OrderedDict
from typing import Any

from domain.errors import OrchestrationError, RunInterrupted
from domain.runs import Run
from graph.events import Log

RESTING = 64
"""How many runs at rest keep their events for late readers."""


class Live:
    """One run as this process sees it: its record, its events, and who waits for it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.log = Log()
        self.task: asyncio.Task[None] | None = None
        self.cancel_asked = False
        self.cancelled_by: str | None = None
        self._dismissed = False
        self._sending: dict[str, str] = {}
        self._waiting: dict[str, bool] = {}
        self._error: OrchestrationError | None = None
        self._settled = asyncio.Event()
        self._at_rest = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Whether an attempt is under way."""
        return not self._settled.is_set()

    def set_out(self, run: Run) -> None:
        """Begin an attempt."""
        self.run, self._error, self._settled, self.cancel_asked = run, None, asyncio.Event(), False
        self._sending.clear()
        self._waiting.clear()
        self._at_rest.clear()
        self.log.reopen(run.attempt)

    def settle(self, run: Run, error: OrchestrationError | None = None) -> None:
        """End an attempt with the record it left, or with the error that everybody who waits will get."""
        self.run, self._error = run, error
        if error:
            self.log.append("error", {**run.shown(), "error": type(error).__name__, "detail": error.detail})
        else:
            self.log.append("done", run.reply or run.shown())
        self.log.close()
        self._settled.set()
        self._at_rest.set()

    async def at_rest(self) -> Run:
        """Return the run once it has ended, pauses, or waits for a service; raises what it failed with."""
        while self.is_running and not self.waits:
            if self._dismissed:
                raise interrupted(self.run)
            await self._at_rest.wait()
        return self.run if self.is_running else await self.settled()

    def dismiss(self) -> None:
        """Let everybody go who waits for the attempt: the server stops."""
        self._dismissed = True
        self._at_rest.set()

    async def settled(self) -> Run:
        """Return the run once it has ended or pauses; raises what it failed with."""
        await self._settled.wait()
        if self._error:
            raise self._error
        return self.run

    def cancel(self, *, by: str | None = None) -> None:
        """Stop the attempt: at once, or, while an action is being sent, as soon as its outcome is known."""
        self.cancelled_by = self.cancelled_by or by
        if not self.cancel_asked:  # a second one would cut off what the first one has to leave behind
            self.cancel_asked = True
            self._stop()

    def abandon(self) -> None:
        """Stop the attempt in the same way and leave its record alone: it is no longer ours."""
        self.cancel_asked = False
        self._stop()

    async def abandon_when(self, lost: asyncio.Event) -> None:
        """Abandon the attempt as soon as its thread's lease is lost."""
        await lost.wait()
        self.abandon()

    def _stop(self) -> None:
        if self.task and not self._is_sending:
            self.task.cancel()

    @property
    def _is_sending(self) -> bool:
        return any(not self._waiting.get(each) for each in self._sending.values())

    @property
    def waits(self) -> bool:
        """Whether an action waits for its service, and nothing is being sent."""
        return bool(self._sending) and not self._is_sending

    @property
    def must_stop(self) -> bool:
        """Whether somebody asked to stop and nothing is being sent."""
        return self.cancel_asked and not self._is_sending

    def wait(self, action_id: str, reason: str) -> None:
        """Note that an action waits for its service, or, without a reason, that it goes on."""
        if reason and action_id not in self._waiting:
            self.log.append("action", {"action_id": action_id, "outcome": "waiting", "body": reason})
        self._waiting[action_id] = bool(reason)
        self._note_rest()

    def _note_rest(self) -> None:
        if self.waits or not self.is_running:
            self._at_rest.set()
        else:
            self._at_rest.clear()

    def say(self, text: str) -> None:
        """Add a piece of what the model says."""
        self.log.append("token", {"text": text})

    def tell(self, chunk: dict[str, Any]) -> None:
        """Turn what the graph tells of its tasks into events."""
        if "result" in chunk or "error" in chunk:
            self._ended(chunk)
        else:
            if chunk["name"] == "act" and chunk["input"]["action"]["effect"] == "write":
                self._sending[chunk["id"]] = chunk["input"]["action"]["action_id"]
            self.log.append("node", {"node": chunk["name"], "phase": "start"})

    def _ended(self, chunk: dict[str, Any]) -> None:
        self._waiting.pop(self._sending.pop(chunk["id"], ""), None)
        self._note_rest()
        for result in ((chunk.get("result") or {}).get("results") or {}).values():
            self.log.append("action", result)
        phase = "error" if chunk.get("error") else "pause" if chunk.get("interrupts") else "end"
        self.log.append("node", {"node": chunk["name"], "phase": phase})


def interrupted(run: Run) -> RunInterrupted:
    """Return what is told of a run that is under way while the server stops."""
    return RunInterrupted("The server stops; the run goes on when it is back.", extra={"orchestration_id": run.run_id})


class Lives:
    """The runs of this process by id; those at rest are forgotten, oldest first."""

    def __init__(self) -> None:
        self._running: dict[str, Live] = {}
        self._resting: OrderedDict[str, Live] = OrderedDict()

    def get(self, run_id: str) -> Live | None:
        """Return the run if this process still knows it."""
        return self._running.get(run_id) or self._resting.get(run_id)

    def running(self) -> list[Live]:
        """Return the runs under way."""
        return list(self._running.values())

    def begin(self, run: Run) -> Live:
        """Return the run with a new attempt begun; its earlier events stay."""
        live = self._resting.pop(run.run_id, None) or Live(run)
        live.set_out(run)
        self._running[run.run_id] = live
        return live

    def rest(self, live: Live) -> None:
        """Put a run to rest; an attempt that ended without a word tells its readers so."""
        if live.is_running:
            live.settle(live.run, interrupted(live.run))
        live.task = None
        self._running.pop(live.run.run_id, None)
        self._resting[live.run.run_id] = live
        while len(self._resting) > RESTING:
            self._resting.popitem(last=False)
