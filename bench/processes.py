"""The server and the demo services as processes of their own, with nothing of the caller's settings."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.loopback import Connection
from boot.settings import Settings

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 60
LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Serving:
    """A server that answers.

    Args:
        start_seconds: From the start of the process to its first healthy answer.
    """

    url: str
    start_seconds: float
    process: psutil.Process

    def cpu(self) -> float:
        """Return the processor seconds spent so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def resident_bytes(self) -> int:
        """Return how much memory it holds."""
        return int(self.process.memory_info().rss)


@asynccontextmanager
async def server(folder: Path, urls: Mapping[str, str] | None = None) -> AsyncIterator[Serving]:
    """Run `python server.py` on a free port and data in a folder until the block ends.

    Args:
        urls: Base URLs of the services by name; None for a server that has no services.
    """
    services = ROOT / "services.yaml" if urls is not None else no_services(folder)
    url = f"http://127.0.0.1:{free_port()}"
    settings = {
        "PORT": url.rpartition(":")[2],
        "DATA_DIR": str(folder / "data"),
        "SERVICES_FILE": str(services),
        "POLICY_FILE": str(ROOT / "policy.yaml"),
        "LOG_LEVEL": "ERROR",
        **{f"{name.upper()}_URL": each for name, each in (urls or {}).items()},
    }
    async with _serving(url, [str(ROOT / "server.py")], folder, settings) as serving:
        yield serving


@asynccontextmanager
async def recording(file: Path) -> AsyncIterator[Serving]:
    """Run `bench.recording` on a free port and data in a file until the block ends."""
    url = f"http://127.0.0.1:{free_port()}"
    arguments = ["-m", "bench.recording", url.rpartition(":")[2], str(file)]
    async with _serving(url, arguments, file.parent, {"PYTHONPATH": str(ROOT)}) as serving:
        yield serving


@asynccontextmanager
async def demo(folder: Path) -> AsyncIterator[dict[str, str]]:
    """Run the demo services on free ports until the block ends, and give their URLs by name."""
    names = ("petstore", "vehicles", "cloudapp", "ml")
    ports = [f"--{name}-port=0" for name in names]
    async with _running(["-m", "demo", "--data-dir", str(folder), *ports], ROOT, {}) as child:
        assert child.stdout  # noqa: S101  # it was asked for
        async with asyncio.timeout(PATIENCE_SECONDS):
            lines = [(await child.stdout.readline()).decode().split() for _ in names]
        yield {line[0]: line[1] for line in lines}


def no_services(folder: Path) -> Path:
    """Return a services file that names none."""
    path = folder / "services.yaml"
    path.write_text("services: {}\n")
    return path


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with none of this product's settings in it."""
    return {name: value for name, value in environment.items() if name.lower() not in Settings.model_fields}


@asynccontextmanager
async def _serving(url: str, arguments: list[str], folder: Path, settings: Mapping[str, str]) -> AsyncIterator[Serving]:
    before = time.perf_counter()
    async with _running(arguments, folder, settings) as child:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await _healthy(url, child):  # noqa: ASYNC110  # another process tells no event
                await asyncio.sleep(LOOK_SECONDS)
        yield Serving(url, time.perf_counter() - before, psutil.Process(child.pid))


@asynccontextmanager
async def _running(
    arguments: list[str], folder: Path, settings: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=folder,  # no `.env` lies there
        env={**without_settings(os.environ), **settings},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        await child.wait()


async def _healthy(url: str, child: asyncio.subprocess.Process) -> bool:
    if child.returncode is not None:
        raise ChildProcessError(f"The server ended with exit code {child.returncode} while it started.")
    try:
        async with Connection(url) as connection:
            await connection.get("/health")
    except OSError:
        return False
    return True
