"""Runs one command beside the services and ends it when asked."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

TETHER = Path(__file__).with_name("tether.py")


class Child:
    """A command under way, in a process group of its own.

    The group keeps a Ctrl-C in the terminal from reaching it twice: from the terminal and from us.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str], *, environment: Mapping[str, str]) -> "Child":
        """Start the command; one that cannot be started ends with 126 or 127, as in a shell."""
        tethered = [sys.executable, "-I", str(TETHER), str(os.getpid()), *command]
        # In a background group a read from the terminal would stop the process.
        stdin = subprocess.DEVNULL if sys.stdin is None or sys.stdin.isatty() else None
        process = await asyncio.create_subprocess_exec(*tethered, env=environment, stdin=stdin, process_group=0)
        return cls(process)

    async def wait(self) -> int:
        """Return the exit status, 128 and the signal's number when one ended it."""
        status = await self._process.wait()
        return status if status >= 0 else 128 - status

    def send(self, signal_number: int) -> None:
        """Send a signal to the command and to what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal_number)

    async def end(self, *, patience_seconds: float) -> int:
        """Wait for the command to end, kill it when it takes too long, and return its exit status."""
        try:
            async with asyncio.timeout(patience_seconds):
                return await self.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self.wait()
