"""Where servers to be killed come from: one process that has everything imported forks them (`tests.matrix.victim`)."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.matrix.victim import Order
from tests.running import ROOT


@dataclass
class Child:
    """One forked process; its end shows by its file descriptor, for it is not our own child."""

    pid: int
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Watch for its end."""
        try:
            watched = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self.ended.set()
            return
        loop = asyncio.get_running_loop()

        def over() -> None:
            loop.remove_reader(watched)
            os.close(watched)
            self.ended.set()

        loop.add_reader(watched, over)

    def send(self, how: signal.Signals) -> None:
        """Send a signal, if it is still there."""
        if not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, how)

    async def end(self, how: signal.Signals = signal.SIGTERM, *, patience_seconds: float = 20) -> bool:
        """Send a signal and wait for the end; return whether it came without SIGKILL."""
        self.send(how)
        try:
            async with asyncio.timeout(patience_seconds):
                await self.ended.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.ended.wait()
            return False
        return True


class Nursery:
    """Forks what is ordered, one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def fork(self, order: Order) -> Child:
        """Start a process."""
        async with self._turn:
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(order.line())
            await self._process.stdin.drain()
            return Child(int(await self._process.stdout.readline()))


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """Open a nursery; whatever it forked is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.matrix.victim"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Nursery(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
