"""The real server for tests: in this process on a free port, or as a process of its own that can be killed."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from boot.container import Container, open_container
from boot.settings import Settings
from server import create_app

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings_for(data_dir: Path, urls: Mapping[str, str], **changes: Any) -> Settings:
    """Return settings for a server on its own data and the given services."""
    given = {"data_dir": data_dir, "services_file": ROOT / "services.yaml", "policy_file": ROOT / "policy.yaml"}
    return Settings(_env_file=None, **{**given, **_urls(urls), **changes})


class Deaf(uvicorn.Server):
    """A server that leaves signals to pytest."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # a generator there
        """Capture none."""
        return nullcontext()


@dataclass
class Served:
    """A server in this process, and a client that talks to it."""

    url: str
    client: httpx2.AsyncClient
    container: Container


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Served]:
    """Serve in this process on a free port."""
    async with open_container(settings) as container:
        listener = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY on these only
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(settings, container)
        config = uvicorn.Config(app, http="h11", ws="none", log_config=None, timeout_graceful_shutdown=2)
        server = Deaf(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
                while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                    await asyncio.sleep(0.005)
                yield Served(url, client, container)
        finally:
            server.should_exit = True
            await task


@dataclass
class Process:
    """A server as a process of its own, restartable on the same data."""

    environment: dict[str, str]
    python: Path = Path(sys.executable)
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {**os.environ, **self.environment, "PORT": str(self.port), "LOG_LEVEL": "WARNING"}
        self.process = await asyncio.create_subprocess_exec(str(self.python), "server.py", cwd=ROOT, env=environment)
        async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
            while not await _answers(client, f"{self.url}/health"):
                assert self.process.returncode is None, "the server ended while it started"
                await asyncio.sleep(0.02)

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(how)
        return await self.process.wait()


async def refused(**environment: str) -> str:
    """Start a server that must not start, and return what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "server.py", cwd=ROOT, env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    assert process.returncode == 2
    return told.decode()


@asynccontextmanager
async def server_process(
    data_dir: Path, urls: Mapping[str, str], *, python: Path = Path(sys.executable), **environment: str
) -> AsyncIterator[Process]:
    """Run the server as a process; whatever happens, it is gone afterwards."""
    upper = {name.upper(): url for name, url in _urls(urls).items()}
    process = Process({"DATA_DIR": str(data_dir), **upper, **environment}, python)
    try:
        await process.start()
        yield process
    finally:
        await process.end(signal.SIGKILL)


def _urls(urls: Mapping[str, str]) -> dict[str, str]:
    return {f"{name}_url": url for name, url in urls.items()}


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.TransportError:
        return False
