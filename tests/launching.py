"""`python -m demo` as a process of its own."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.running import ROOT

ANY_PORTS = ["--petstore-port=0", "--vehicles-port=0", "--cloudapp-port=0", "--ml-port=0"]


@asynccontextmanager
async def launched(folder: Path, *arguments: str, seconds: float = 20) -> AsyncIterator[Process]:
    """Run the launcher on free ports; it is gone after the block, whatever happens."""
    environment = {name: value for name, value in os.environ.items() if name != "POSTGRES_URL"}
    command = [sys.executable, "-m", "demo", "--data-dir", str(folder), *ANY_PORTS, *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE, env=environment)
    try:
        async with asyncio.timeout(seconds):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def lines(process: Process, *, until: str) -> list[str]:
    """Return what the launcher prints up to and with the line that starts like this."""
    assert process.stdout is not None
    read: list[str] = []
    while not read or not read[-1].startswith(until):
        line = await process.stdout.readline()
        assert line, read
        read.append(line.decode().strip())
    return read
