"""Replicas of the run machinery on one Redis and one document file, with a model that answers when told.

Run as a program it is one replica in a process of its own: `python -m tests.replicas REDIS_URL FOLDER SESSION` begins a
run there and says on its standard output how far it has come; a line on its standard input lets the model answer.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from redis.asyncio import Redis

from boot.policies import load_policy
from checkpoints.approvals import Approvals
from checkpoints.documents import open_documents
from checkpoints.ledger import Ledger
from checkpoints.redis import PATIENT, open_redis
from checkpoints.redis_locks import RedisLocks, open_redis_locks
from checkpoints.runs import Runs
from checkpoints.saver import open_redis_saver
from checkpoints.variants import ServersOwn
from domain.conversation import Decision, OnToken, Turn
from domain.errors import OrchestrationError, StoreError
from domain.policy import Standing
from graph.build import Parts, build
from graph.execution import Execution
from graph.runs import Asked, Orchestrations
from graph.stopping import Grace
from tools.http import Bounds
from tools.knowledge.absent import NoKnowledge
from tools.services import open_services
from tools.toolbox import Toolbox

ROOT = Path(__file__).parent.parent
LEASE_SECONDS = 1.5
TEND_SECONDS = 0.2


@dataclass
class Told:
    """A model that says nothing before it may."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    times: int = 0

    async def decide(self, turn: Turn, *, on_token: OnToken) -> Decision:
        """Answer with the message."""
        self.times += 1
        self.asked.set()
        await self.may_answer.wait()
        return Decision(text=f"You said: {turn.message}", answered_by="told")


@dataclass(frozen=True)
class Replica:
    """One server's worth of runs."""

    runs: Orchestrations
    records: Runs
    saver: BaseCheckpointSaver[Any]
    redis: Redis
    locks: RedisLocks
    model: Told


@asynccontextmanager
async def replica(
    redis_url: str, folder: Path, *, tends: bool = True, queue_seconds: float = 10, lease_seconds: float = LEASE_SECONDS
) -> AsyncIterator[Replica]:
    """Open a replica.

    Args:
        tends: Whether it looks for runs that were left behind.
    """
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(open_redis(redis_url, max_connections=32, manner=PATIENT))
        saver = await stack.enter_async_context(open_redis_saver(redis))
        own = await stack.enter_async_context(open_redis(redis_url, max_connections=8, manner=PATIENT))
        locks = await stack.enter_async_context(open_redis_locks(own, lease_seconds=lease_seconds))
        model = Told()
        services = await stack.enter_async_context(open_services((), data_dir=folder, bounds=Bounds(), now=now))
        toolbox = Toolbox(services)
        execution = await _execution(stack, folder, saver, model, toolbox)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        runs = Orchestrations(
            execution, toolbox=toolbox, locks=locks, tasks=tasks, queue_seconds=queue_seconds, grace=Grace(0)
        )
        stack.push_async_callback(runs.close)
        if tends:
            stack.callback(tasks.create_task(_tend(runs)).cancel)
        yield Replica(runs, execution.runs, saver, redis, locks, model)


async def _execution(
    stack: AsyncExitStack, folder: Path, saver: BaseCheckpointSaver[Any], model: Told, toolbox: Toolbox
) -> Execution:
    database = await stack.enter_async_context(open_documents(folder / "documents.sqlite"))
    records, approvals, ledger = Runs(database), Approvals(database), Ledger(database)
    for each in (records, approvals, ledger):
        await each.open()
    parts = Parts(
        model=model,
        variants=ServersOwn(),
        knowledge=NoKnowledge(),
        toolbox=toolbox,
        policies=Standing(load_policy(ROOT / "policy.yaml")),
        approvals=approvals,
        ledger=ledger,
        clock=now,
        max_steps=5,
        error_handling=True,
        window_chars=8_000,
        summary_chars=2_000,
    )
    graph = build(parts, checkpointer=saver)
    return Execution(
        graph=graph, runs=records, approvals=approvals, ledger=ledger, clock=now, max_steps=5, parallel=True
    )


def now() -> datetime:
    """Return the time, to the millisecond."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def asked(session_id: str = "s", message: str = "hello", **more: Any) -> Asked:
    """Return a message."""
    return Asked(owner="tests", user_id=1, session_id=session_id, message=message, **more)


async def _tend(runs: Orchestrations) -> None:
    while True:
        with suppress(StoreError):
            await runs.recover()
        await asyncio.sleep(TEND_SECONDS)


async def _alone(redis_url: str, folder: Path, session_id: str) -> None:
    loop = asyncio.get_running_loop()
    async with replica(redis_url, folder, tends=False) as here:
        live = await here.runs.start(asked(session_id))
        await here.model.asked.wait()
        _tell(f"asked {live.run.run_id}")
        await loop.run_in_executor(None, sys.stdin.readline)
        here.model.may_answer.set()
        try:
            _tell(f"ended {(await live.settled()).status}")
        except OrchestrationError as error:
            _tell(f"stopped {error.detail}")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_alone(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
