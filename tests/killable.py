"""A store's server as a process that tests kill, freeze and start again on the same data."""

import asyncio
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from tests.running import free_port


@dataclass
class Killable:
    """One process on its own port and folder."""

    folder: Path
    port: int = field(default_factory=free_port, kw_only=True)
    process: asyncio.subprocess.Process | None = field(default=None, kw_only=True)

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Stop it in good order."""
        await self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: it takes connections and never answers."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    async def _end(self, how: signal.Signals) -> None:
        assert self.process
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.send_signal(how)
            await self.process.wait()
