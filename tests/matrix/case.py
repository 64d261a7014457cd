"""One cell of the matrix: a scenario on a fresh server, what befalls it, and what is wrong afterwards."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal
from uuid import uuid4

import yaml

from checkpoints.collections import Database
from checkpoints.documents import open_documents
from checkpoints.mongo import open_mongo
from tests.downstream_document import services_file
from tests.downstream_simulator import Downstream
from tests.downstream_truth import Kind
from tests.matrix.checker import violations
from tests.matrix.history import Acknowledged, History, read_records
from tests.matrix.lives import PATIENCE_SECONDS, Lives, Passed, Plan, lives
from tests.matrix.nursery import Nursery
from tests.matrix.scenarios import SCENARIOS, Talk
from tests.networked import Servers

PATIENT, IMPATIENT = 15.0, 2.0
"""How many seconds the server waits for the simulated service; impatient where that is slow on purpose."""

LEASE, SHORT_LEASE = 3.0, 1.0
"""How many seconds a thread's lease lasts; short where a server is to be stopped past it."""

POLICIES = {"expire": {"seconds": 1}, "quorum": {"quorum": 2}}
"""What the policy says otherwise, by scenario."""


@dataclass(frozen=True)
class Case:
    """What is to be tried.

    Args:
        mode: How the service treats a repeated request, see `tests.downstream_simulator`.
        fault: What befalls the first write at the service.
        plans: What befalls the server's lives.
        patient: Whether the server waits long enough for a service that is slow on purpose.
        outside: The server is killed from outside as soon as this happened at the service.
        store: Whose server is killed, and started again, when the first life tells that it is at its point.
    """

    scenario: str
    mode: str
    fault: str = "none"
    plans: tuple[Plan, ...] = ()
    patient: bool = False
    outside: Kind | None = None
    store: Literal["redis", "mongo"] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Args:
        passed: The points that each life noted.
        reached: Whether everything planned befell.
    """

    case: Case
    history: History
    wrong: list[str]
    passed: list[list[Passed]]
    reached: bool


@dataclass
class Ground:
    """Where cases are tried: what they share.

    Args:
        servers: The stores' servers; None for the embedded stores.
    """

    folder: Path
    nursery: Nursery
    downstream: Downstream
    servers: Servers | None = None
    environment: dict[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    async def tried(self, case: Case) -> Outcome:
        """Try one case."""
        realm = uuid4().hex
        folder = self.folder / realm
        folder.mkdir(parents=True)
        environment = self.settings(folder, realm, case)
        async with self._listening(case, folder), lives(self.nursery, folder, environment, case.plans) as server:
            return await self._lived(case, server, realm, environment)

    @asynccontextmanager
    async def _listening(self, case: Case, folder: Path) -> AsyncIterator[None]:
        """Kill the store's server, and start it again, whenever a life tells that it is at its point."""

        async def told(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert self.servers
            store = self.servers.redis if case.store == "redis" else self.servers.mongo
            await store.kill()
            await store.start()
            writer.write(b".")
            writer.close()

        if case.store is None:
            yield
        else:
            async with await asyncio.start_unix_server(told, folder / "tell.sock"):
                yield

    def settings(self, folder: Path, realm: str, case: Case) -> dict[str, str]:
        """Return a server's environment for a case, its files written."""
        url = self.downstream.url(realm, case.mode, case.fault)
        too_slow = case.fault.startswith("slow") and not case.patient
        timeout, settled = (IMPATIENT, 2 * IMPATIENT) if too_slow else (PATIENT, 0.2)
        # Each in a database of its own: breakers go by the service's name, and one case's faults are not another's.
        stores = self.servers.environment(number=next(self.numbers)) if self.servers else {}
        return {
            "DATA_DIR": str(folder / "data"),
            "SERVICES_FILE": str(services_file(folder, url, timeout_seconds=timeout, settled_after=settled)),
            "POLICY_FILE": str(policy_file(folder, **POLICIES.get(case.scenario, {}))),
            "LOG_LEVEL": "WARNING",
            "LEASE_SECONDS": str(SHORT_LEASE if any(plan.deed == "stop" for plan in case.plans) else LEASE),
            "ACTION_RESOLVE_SECONDS": "20",
            **stores,
            **({"MONGODB_DATABASE": f"matrix_{realm[:12]}"} if stores else {}),
            **self.environment,
        }

    async def _lived(self, case: Case, server: Lives, realm: str, environment: dict[str, str]) -> Outcome:
        talk = Talk(server, realm)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
                if case.outside:
                    group.create_task(self._killed(server, realm, case.outside))
                await SCENARIOS[case.scenario](talk)
            at_rest = await server.close()
        except TimeoutError:
            at_rest = False
        lived = zip(case.plans, server.passed, strict=False)
        hits = [notes for plan, notes in lived if plan.deed != "note"]
        was_sending = case.fault != "none" or any(each.sending for notes in hits for each in notes)
        history = await self.history(
            case, realm, environment, talk.acknowledged, was_sending=was_sending, at_rest=at_rest
        )
        reached = sum(bool(notes) for notes in hits) == sum(plan.deed != "note" for plan in case.plans)
        return Outcome(case, history, violations(history), server.passed, reached)

    async def history(
        self,
        case: Case,
        realm: str,
        environment: dict[str, str],
        acknowledged: list[Acknowledged],
        *,
        was_sending: bool = False,
        at_rest: bool,
    ) -> History:
        """Return what is left when every server is closed."""
        async with self._opened(environment) as database:
            records = await read_records(database)
        effects = tuple(self.downstream.events(realm))
        return History(
            mode=case.mode,
            was_sending=was_sending,
            at_rest=at_rest,
            acknowledged=tuple(acknowledged),
            effects=effects,
            **records,
        )

    async def _killed(self, server: Lives, realm: str, when: Kind) -> None:
        await self.downstream.happened(realm, when)
        assert server.child
        server.child.send(signal.SIGKILL)

    @asynccontextmanager
    async def _opened(self, environment: dict[str, str]) -> AsyncIterator[Database]:
        if self.servers is None:
            async with open_documents(Path(environment["DATA_DIR"]) / "documents.sqlite") as database:
                yield database
        else:
            name = environment["MONGODB_DATABASE"]
            async with open_mongo(self.servers.mongo.url, database=name, max_pool_size=2) as opened:
                yield opened


def policy_file(folder: Path, *, seconds: int = 3600, quorum: int = 1) -> Path:
    """Write the policy of a case, under which every refund asks, and return its path."""
    rules = [
        {"name": "reads-run", "when": {"effect": "read"}, "then": "run"},
        {
            "name": "money-asks",
            "when": {"effect": "write"},
            "then": "ask",
            "approval_type": "financial",
            "expires_in_seconds": seconds,
            "quorum": quorum,
        },
    ]
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump({"rules": rules}, sort_keys=False))
    return path
