"""A real Chroma server for tests, as a process that can be killed and started again on its data."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.running import free_port


@dataclass
class ChromaServer:
    """One server on its own port and folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The address for CHROMA_URL."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it answers."""
        program = Path(sys.executable).with_name("chroma")
        self.process = await asyncio.create_subprocess_exec(
            str(program), "run", "--path", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(30):
            while not await _answers(client, f"{self.url}/api/v2/heartbeat"):
                assert self.process.returncode is None, "the server ended while it started"
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """End it at once."""
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def chroma_server(folder: Path) -> AsyncIterator[ChromaServer]:
    """Run a server; whatever happens, it is gone afterwards."""
    server = ChromaServer(folder)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.TransportError:
        return False
