"""What clients and humans do while servers die under them: they ask again until they are answered."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.matrix.history import Acknowledged
from tests.matrix.lives import Lives, Unreachable, body_of

type Scenario = Callable[["Talk"], Awaitable[None]]

ENDED = ("completed", "failed", "cancelled")
LOOK_SECONDS = 0.02
APPROVER = 1
ONE = "refund order 7 with $5"
TWO = "refund order 7 with $5 and refund order 8 with $6"


@dataclass
class Talk:
    """One conversation with a server that dies, and what was acknowledged in it.

    Args:
        session: Its thread, which no other conversation has.
    """

    server: Lives
    session: str
    acknowledged: list[Acknowledged] = field(default_factory=list)

    async def ask(self, message: str) -> str:
        """Send a message, once more where nobody took it before the server died, and return the run's id."""
        body = {"user_id": 1, "session_id": self.session, "message": message}
        while True:
            try:
                answer = await self.server.call("POST", "/orchestrate", body)
            except Unreachable:
                answer = None
            if answer is not None and answer.status_code in (200, 202):
                return str(body_of(answer)["orchestration_id"])
            listed = await self.server.insist("GET", f"/orchestrations?user_id=1&session_id={self.session}")
            if runs := body_of(listed)["orchestrations"]:
                return str(runs[0]["orchestration_id"])

    async def until(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until a run has one of these statuses, or has ended, and return it."""
        while True:
            answer = await self.server.insist("GET", f"/orchestrations/{run_id}")
            assert answer.status_code == 200, answer.text
            run = body_of(answer)
            if run["status"] in (*statuses, *ENDED):
                return run
            await asyncio.sleep(LOOK_SECONDS)

    async def decide(self, request: dict[str, Any], *, approved: bool, approver_id: int = APPROVER, **more: Any) -> int:
        """Decide a request until the server answers; return the answer's status."""
        verdict = {"approved": approved, "approver_id": approver_id, "digest": request["action"]["digest"], **more}
        path = f"/approvals/pending/{request['request_id']}/decide"
        answer = await self.server.insist("POST", path, verdict)
        if answer.status_code == 200:
            digest = body_of(answer)["action"]["digest"]
            self.acknowledged.append(Acknowledged(request["request_id"], approver_id, approved, digest))
        return answer.status_code

    async def waiting(self, run_id: str) -> list[dict[str, Any]]:
        """Return what a run waits for."""
        run = await self.until(run_id, "awaiting_approval")
        found: list[dict[str, Any]] = run.get("approvals", [])
        return found


async def approve(talk: Talk) -> None:
    """One action, approved."""
    run_id = await talk.ask(ONE)
    for request in await talk.waiting(run_id):
        await talk.decide(request, approved=True)
    await talk.until(run_id)


async def reject(talk: Talk) -> None:
    """One action, rejected."""
    run_id = await talk.ask(ONE)
    for request in await talk.waiting(run_id):
        await talk.decide(request, approved=False)
    await talk.until(run_id)


async def both(talk: Talk) -> None:
    """Two actions at once, one approved and one rejected."""
    run_id = await talk.ask(TWO)
    for place, request in enumerate(await talk.waiting(run_id)):
        await talk.decide(request, approved=place == 0)
    await talk.until(run_id)


async def cancel(talk: Talk) -> None:
    """A run that is cancelled while it waits."""
    run_id = await talk.ask(ONE)
    await talk.waiting(run_id)
    await talk.server.insist("POST", f"/orchestrations/{run_id}/cancel")
    await talk.until(run_id)


async def expire(talk: Talk) -> None:
    """A request that nobody decides."""
    await talk.until(await talk.ask(ONE))


async def resume(talk: Talk) -> None:
    """One action, approved, and the client waits by resuming."""
    run_id = await talk.ask(ONE)
    for request in await talk.waiting(run_id):
        await talk.decide(request, approved=True)
    await talk.server.insist("POST", f"/orchestrations/{run_id}/resume")
    await talk.until(run_id)


async def quorum(talk: Talk) -> None:
    """One action that two people have to approve."""
    run_id = await talk.ask(ONE)
    for request in await talk.waiting(run_id):
        for approver_id in (1, 2):
            await talk.decide(request, approved=True, approver_id=approver_id)
    await talk.until(run_id)


async def edit(talk: Talk) -> None:
    """One action, approved with other arguments than were proposed."""
    run_id = await talk.ask(ONE)
    for request in await talk.waiting(run_id):
        await talk.decide(request, approved=True, edited_arguments={"order_id": 7, "amount": 3})
    await talk.until(run_id)


SCENARIOS: dict[str, Scenario] = {
    each.__name__: each for each in (approve, reject, both, cancel, expire, resume, quorum, edit)
}
