"""One attempt at a run: drive the graph to its end or to a pause, and leave the record saying which."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from langgraph.types import Command

from checkpoints.approvals import Approvals
from checkpoints.ledger import Ledger
from checkpoints.locks import writing_lease
from checkpoints.runs import Runs
from domain.approvals import RELEASED, Approval
from domain.conversation import Notice
from domain.errors import OrchestrationError, RunFailed, StoreUnavailable
from domain.experiments import MOST_STEPS
from domain.measures import outcome
from domain.runs import Run, RunStatus, reply_shown
from graph.build import Graph
from graph.live import Live

log = structlog.get_logger(__name__)

type Values = dict[str, Any]  # the graph's output, as LangGraph hands it over


class Stopped(Exception):
    """Somebody cancelled the run, and it has come to a place where it can stop."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How runs of this server are executed.

    Args:
        max_steps: How many rounds of actions one run may take.
        parallel: Whether the actions of one round are carried out side by side, or one after the other.
        standing: What is degraded in every reply of this process: stores that did not answer at the start.
    """

    graph: Graph
    runs: Runs
    approvals: Approvals
    ledger: Ledger
    clock: Callable[[], datetime]
    max_steps: int
    parallel: bool
    standing: tuple[Notice, ...] = ()

    async def attempt(self, live: Live, message: str | None) -> None:
        """Run to the end or to a pause; whatever happens, the record and everybody who waits learn it.

        Raises `StoreUnavailable` where not even that can be recorded; the run is picked up again then.

        Args:
            message: The message of a run that begins; None goes on from the last checkpoint.
        """
        try:
            await self._to_the_end(live, message)
        except Stopped:
            await self._cancelled(live)
        except asyncio.CancelledError:
            if not live.cancel_asked:
                raise
            await self._cancelled(live)
        except StoreUnavailable as error:
            live.settle(live.run, error)  # the record still says `running`: it is picked up again
        except OrchestrationError as error:
            await self._failed(live, error)
        except Exception:  # the record must say that the run failed, whatever it was
            log.exception("run_failed", run_id=live.run.run_id)
            await self._failed(live, RunFailed("The run failed by a defect of this server; its log tells which."))

    async def _to_the_end(self, live: Live, message: str | None) -> None:
        values = await (self._goes_on(live) if message is None else self._segment(live, {"message": message}))
        while gates := {each.value["approval_id"]: each.id for each in values["__interrupt__"]}:
            asked = [each for each in await self.approvals.of_run(live.run.run_id) if each.request_id in gates]
            if any(each.ends_run for each in asked):
                raise Stopped
            if waiting := [each for each in asked if each.state == "pending"]:
                return await self._leave(live, "awaiting_approval", values, waiting)
            values = await self._segment(
                live, Command(resume={gates[each.request_id]: _answer(each) for each in asked})
            )
        return await self._leave(live, "completed", values, [])

    async def _goes_on(self, live: Live) -> Values:
        """Go on from the last checkpoint; a run that never reached its first one begins."""
        state = await self.graph.aget_state(self._config(live.run))
        if state.values.get("run_id") != live.run.run_id:
            return await self._segment(live, {"message": live.run.message})
        if state.tasks and not state.interrupts:
            return await self._segment(live, None)
        return {**state.values, "__interrupt__": state.interrupts}

    async def _segment(self, live: Live, command: Any) -> Values:
        """Run the graph until it ends or pauses, tell the readers, and return its output."""
        values: Values = {}
        gates: list[Any] = []
        stream: Any = self.graph.astream(
            command, self._config(live.run, live), stream_mode=["tasks", "values"], durability="sync"
        )
        async with aclosing(stream) as chunks:
            async for mode, chunk in chunks:
                if mode == "tasks":
                    live.tell(chunk)
                    if live.must_stop and live.waits:
                        raise Stopped
                    continue
                values = chunk
                gates += chunk.get("__interrupt__", ())
                if live.must_stop:
                    raise Stopped
        return {**values, "__interrupt__": gates}

    async def _leave(self, live: Live, status: RunStatus, values: Values, waiting: list[Approval]) -> None:
        shown = [each.shown() for each in waiting]
        for request in shown:
            live.log.append("approval", request)
        now = self.clock()
        run = live.run.model_copy(update={"status": status, "updated_at": now})
        reply = reply_shown(run, values, approvals=shown, standing=self.standing)  # type: ignore[arg-type]  # the output is part of the state
        measured = outcome(run, status, values, reply)
        live.settle(await self._recorded(live.run, status, at=now, reply=reply, measured=measured))

    async def _cancelled(self, live: Live) -> None:
        live.settle(await self.end(live.run, "cancelled", by=live.cancelled_by))

    async def _failed(self, live: Live, error: OrchestrationError) -> None:
        error.extra.setdefault("orchestration_id", live.run.run_id)
        live.settle(await self.end(live.run, "failed", error=error), error)

    async def end(
        self, run: Run, status: RunStatus, *, by: str | None = None, error: OrchestrationError | None = None
    ) -> Run:
        """End a run before its reply: its open requests first, so that nobody releases what nobody waits for.

        The record tells what had been sent until then. Raises `StoreUnavailable`.

        Args:
            by: Who ended it; None where it ended by itself.
        """
        writing_lease()  # what a run that goes on elsewhere waits for is not ours to withdraw
        now = self.clock()
        await self.approvals.cancel(run.run_id, by=by, at=now)
        values = await self._as_it_stands(run, now)
        await self._conclude_claims(run, values["results"], by=by, at=now)
        ended = run.model_copy(update={"status": status, "updated_at": now})
        reply = reply_shown(ended, values, approvals=[], standing=self.standing)  # type: ignore[arg-type]  # a part of it
        failure = {"error": type(error).__name__, "detail": error.detail} if error else None
        measured = outcome(run, status, values, reply)
        reply = {**reply, "error": failure}
        return await self._recorded(run, status, at=now, reply=reply, error=failure, measured=measured)

    async def _as_it_stands(self, run: Run, now: datetime) -> Values:
        """Return what the last checkpoint and the ledger know of a run."""
        state = await self.graph.aget_state(self._config(run))
        values: Values = state.values if state.values.get("run_id") == run.run_id else {}
        sent = await self.ledger.settle(run.run_id, at=now)
        results = {action_id: result.model_dump() for action_id, result in sent.items()}
        return {**values, "results": {**values.get("results", {}), **results}}

    async def _conclude_claims(
        self, run: Run, results: dict[str, dict[str, Any]], *, by: str | None, at: datetime
    ) -> None:
        """Let the approvals know what came of the actions that were at work when the run ended."""
        for request in await self.approvals.of_run(run.run_id):
            if request.state == "claimed":
                result = results.get(request.action.action_id)
                if result and result["outcome"] in RELEASED:
                    await self.approvals.advance(request.request_id, of="claimed", to=result["outcome"])
                else:
                    await self.approvals.withdraw(request.request_id, by=by, at=at)

    async def _recorded(
        self,
        run: Run,
        status: RunStatus,
        *,
        at: datetime,
        reply: dict[str, Any],
        measured: dict[str, Any],
        error: dict[str, Any] | None = None,
    ) -> Run:
        """Leave the record in a new status and return it; as it is where the attempt is no longer ours."""
        left = await self.runs.leave(run, status, at=at, reply=reply, error=error, measured=measured)
        return left or await self.runs.get(run.run_id)

    def _config(self, run: Run, live: Live | None = None) -> Any:
        config = {
            "configurable": {
                "__on_token": live.say if live else None,
                "__on_wait": live.wait if live else None,
                "thread_id": run.thread_id,
                "orchestration_id": run.run_id,
                "requester": run.requester,
                "attributes": run.attributes,
                "__pregel_strict_resume": True,
            },
            "recursion_limit": 10 + 6 * max(self.max_steps, MOST_STEPS),  # a variant may want more steps
        }
        return config if self.parallel else {**config, "max_concurrency": 1}


def _answer(request: Approval) -> dict[str, Any]:
    """Return what the gate is told; the record is what counts, `review` reads it again."""
    return {"approved": request.state in RELEASED}
