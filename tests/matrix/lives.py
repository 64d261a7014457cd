"""A server that is killed and started again, as those see it who talk to it: they ask until they are answered."""

import asyncio
import json
import signal
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.matrix.nursery import Child, Nursery
from tests.matrix.victim import Deed, Order
from tests.running import free_port

PATIENCE_SECONDS = 60.0
"""How long everything together may take until a scenario has come to rest."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody, and costs nothing to make."""


@dataclass(frozen=True)
class Plan:
    """What befalls one life of the server.

    Args:
        point: As `Point` writes itself.
    """

    deed: Deed
    point: str = ""


@dataclass(frozen=True)
class Passed:
    """A point a life came by.

    Args:
        sending: Whether an action's outcome was open at that moment: its intent may be durable, its outcome is not.
    """

    point: str
    sending: bool


class Unreachable(Exception):
    """The server died while it was being asked; whether it heard is not known."""


@dataclass
class Lives:
    """One server's successive lives on the same data.

    Args:
        plans: What befalls the first life, the second and so on; further ones are left in peace.
    """

    nursery: Nursery
    folder: Path
    environment: Mapping[str, str]
    plans: Sequence[Plan] = ()
    program: str = "server"
    passed: list[list[Passed]] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    child: Child | None = None
    lived: int = 0
    _reviving: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the next life, and the one after it where that dies before it listens."""
        while True:
            plan = self._plan()
            self.lived += 1
            environment = {**self.environment, "PORT": str(self.port)}
            deed, point = (plan.deed, plan.point) if plan else (None, "")
            order = Order(str(self.folder), environment, self.program, deed, point)
            self.child = await self.nursery.fork(order)
            if await self._listens(self.child):
                return
            assert self.lived < 6, f"the server does not start: {(self.folder / 'log.txt').read_text()[-2000:]}"
            self._note()

    async def call(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Ask once; raises `Unreachable` where the server dies over it, having started its next life."""
        life = self.lived
        if self.child is None or self.child.ended.is_set():
            await self._revive(life)
            life = self.lived
        try:
            async with httpx2.AsyncClient(
                base_url=self.url, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_TLS
            ) as client:
                return await client.request(method, path, json=body)
        except httpx2.TransportError as error:
            await self._revive(life)
            raise Unreachable from error

    async def insist(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Ask until there is an answer that is not 503: for questions that may be asked twice."""
        while True:
            try:
                answer = await self.call(method, path, body)
            except Unreachable:
                continue
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.1)

    async def close(self) -> bool:
        """Stop the server in good order, in a life that ends in no other way; return whether it ended by itself."""
        while True:
            if self.child is None or self.child.ended.is_set():
                await self._revive(self.lived)
            assert self.child
            in_order = await self.child.end()
            self._note()
            if not self._was_disturbed():
                return in_order
            await self.start()

    def _plan(self) -> Plan | None:
        """Return what befalls the next life."""
        return self.plans[self.lived] if self.lived < len(self.plans) else None

    def _was_disturbed(self) -> bool:
        """Return whether the life that is over met its point: it may not have ended as it should."""
        plan = self.plans[self.lived - 1] if self.lived <= len(self.plans) else None
        return plan is not None and plan.deed in ("kill", "tell") and bool(self.passed[-1])

    async def _revive(self, life: int) -> None:
        """Start the life after this one, unless somebody else has."""
        async with self._reviving:
            if self.lived != life:
                return
            assert self.child
            async with asyncio.timeout(5):
                await self.child.ended.wait()
            self._note()
            await self.start()

    async def _listens(self, child: Child) -> bool:
        """Wait until a process takes connections; return False where it ends before that."""
        async with asyncio.timeout(60):
            while not child.ended.is_set():
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    return True
        return False

    def _note(self) -> None:
        """Keep what the life that ended noted."""
        self.passed.append(read_notes(self.folder))


@asynccontextmanager
async def lives(
    nursery: Nursery,
    folder: Path,
    environment: Mapping[str, str],
    plans: Sequence[Plan] = (),
    *,
    program: str = "server",
) -> AsyncIterator[Lives]:
    """Start a server's first life; whatever happens, the last is over afterwards."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # as quick as it gets
    server = Lives(nursery, folder, environment, plans, program)
    try:
        await server.start()
        yield server
    finally:
        if server.child and not server.child.ended.is_set():
            await server.child.end(signal.SIGKILL)


def read_notes(folder: Path) -> list[Passed]:
    """Return what a life noted in its folder, and take it away."""
    notes = folder / "points.jsonl"
    lines = notes.read_text().splitlines() if notes.exists() else []
    notes.unlink(missing_ok=True)
    return [Passed(**json.loads(line)) for line in lines]


def body_of(answer: httpx2.Response) -> dict[str, Any]:
    """Return an answer's JSON."""
    body: dict[str, Any] = answer.json()
    return body
