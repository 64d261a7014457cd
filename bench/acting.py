"""Real work: a question that calls a demo service, and a refund that waits for a human."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench.comparing import ask_on_new_session
from bench.load import percentile, timed_ms
from bench.loopback import Connection
from bench.processes import demo, server
from bench.progress import Progress

QUESTION = "which pets are available?"
REFUND = "refund order 1001 with $1"
WARM_RUNS = 5


@dataclass(frozen=True, kw_only=True)
class Acts:
    """Milliseconds per request, in order of occurrence.

    Args:
        answered: The question: one call of a service.
        paused: The refund, up to the pause.
        decided: The human's yes.
        resumed: From the end of the decision to the reply: the run goes on by itself, the service is called.
    """

    answered: list[float]
    paused: list[float]
    decided: list[float]
    resumed: list[float]

    def rows(self) -> dict[str, tuple[float, float]]:
        """Return p50 and p99 by what was asked."""
        named = {
            f"“{QUESTION}”": self.answered,
            f"“{REFUND}” to the pause": self.paused,
            "approve": self.decided,
            "resume to the reply": self.resumed,
        }
        return {name: (percentile(times, 50), percentile(times, 99)) for name, times in named.items()}


async def time_acts(folder: Path, progress: Progress, *, runs: int) -> Acts:
    """Return what so many questions and so many refunds took, one after the other."""
    acts = Acts(answered=[], paused=[], decided=[], resumed=[])
    async with demo(folder) as services, server(folder, services) as running, Connection(running.url) as connection:
        sessions = count()
        question = ask_on_new_session(connection, sessions, message=QUESTION)
        for number in range(WARM_RUNS + runs):
            progress.say(f"acts on services, {number + 1} of {WARM_RUNS + runs}")
            acts.answered.append(await timed_ms(question))
            await _refund(connection, f"r{number}", acts)
    return Acts(**{name: times[WARM_RUNS:] for name, times in vars(acts).items()})


async def _refund(connection: Connection, session: str, acts: Acts) -> None:
    run: dict[str, Any] = {}

    async def ask() -> None:
        body = {"user_id": 1, "session_id": session, "message": REFUND}
        run.update(await connection.post("/orchestrate", body, expected=202))

    async def approve() -> None:
        verdict = {"approved": True, "approver_id": 1}
        await connection.post(f"/approvals/pending/{run['approvals'][0]['request_id']}/decide", verdict)

    async def resume() -> None:
        await connection.post(f"/orchestrations/{run['orchestration_id']}/resume")

    acts.paused.append(await timed_ms(ask))
    acts.decided.append(await timed_ms(approve))
    acts.resumed.append(await timed_ms(resume))
