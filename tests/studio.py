"""`langgraph dev` as a process of its own, with the repository's configuration, on data and a folder of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from tests.running import ROOT, free_port
from tests.services import DemoServices

GRAPH = "orchestrate"


@dataclass
class Studio:
    """A `langgraph dev`, restartable on the same data, and what its client says in one line each.

    Args:
        folder: Where it runs; the data directory is `data` in it.
        outward: What it would have said to the world outside: the first line of every request that left loopback.
    """

    demo: DemoServices
    folder: Path
    client: LangGraphClient
    port: int
    environment: dict[str, str]
    outward: list[str] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        command = Path(sys.executable).parent / "langgraph"
        with (self.folder / "output").open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                command,
                *("dev", "--no-browser", "--no-reload", "--port", str(self.port)),
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
            while not await _is_up(client, f"http://127.0.0.1:{self.port}/ok"):
                assert self.process.returncode is None, self.output
                await asyncio.sleep(0.05)

    async def stop(self, *, within_seconds: float = 10.0) -> None:
        """Ask it to stop, and wait; raises `TimeoutError` where it does not."""
        if self.process and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(within_seconds):
                await self.process.wait()

    @property
    def is_gone(self) -> bool:
        """Whether neither it nor a process it started is left."""
        assert self.process
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def kill(self) -> None:
        """End it and what it started, whatever they are doing."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def output(self) -> str:
        """Everything it has printed."""
        return (self.folder / "output").read_text()

    async def thread(self) -> str:
        """Return the id of a new thread."""
        thread_id: str = (await self.client.threads.create())["thread_id"]
        return thread_id

    async def run(self, thread_id: str, message: str) -> dict[str, Any]:
        """Run a message to its end or to a pause, and return the output."""
        return await self._wait(thread_id, input={"message": message})

    async def answer(self, thread_id: str, answer: Any) -> dict[str, Any]:
        """Resume a thread, run it to its end or to a pause, and return the output."""
        return await self._wait(thread_id, command={"resume": answer})

    async def paused(self, message: str) -> tuple[str, dict[str, Any]]:
        """Send a message that has to wait for a human, and return the thread's id and its one interrupt."""
        thread_id = await self.thread()
        await self.run(thread_id, message)
        (interrupt,) = (await self.client.threads.get_state(thread_id))["interrupts"]
        return thread_id, dict(interrupt)

    async def _wait(self, thread_id: str, **given: Any) -> dict[str, Any]:
        output = await self.client.runs.wait(thread_id, GRAPH, **given)
        assert isinstance(output, dict)
        return output


@asynccontextmanager
async def studio(folder: Path, demo: DemoServices) -> AsyncIterator[Studio]:
    """Run `langgraph dev` until the block ends; whatever happens, it is gone afterwards."""
    configuration = json.loads((ROOT / "langgraph.json").read_text()) | {"dependencies": [str(ROOT)]}
    (folder / "langgraph.json").write_text(json.dumps(configuration))
    outward: list[str] = []
    async with AsyncExitStack() as stack:
        trap = await stack.enter_async_context(_trap(outward))
        port = free_port()
        client = await stack.enter_async_context(get_client(url=f"http://127.0.0.1:{port}", api_key=None))
        running = Studio(demo, folder, client, port, _environment(folder, demo, trap), outward)
        try:
            await running.start()
            yield running
        finally:
            running.kill()
            if running.process:
                await running.process.wait()


def _environment(folder: Path, demo: DemoServices, trap: str) -> dict[str, str]:
    proxies = {f"{scheme}_proxy": trap for scheme in ("http", "https", "all")}
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LANGGRAPH_", "LANGSMITH_"))},
        **demo.settings(),
        **proxies,
        **{name.upper(): value for name, value in proxies.items()},
        "no_proxy": "127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",  # the command itself: langgraph.json is read too late for that
        "DATA_DIR": str(folder / "data"),
        "SERVICES_FILE": str(ROOT / "services.yaml"),
        "POLICY_FILE": str(ROOT / "policy.yaml"),
    }


@asynccontextmanager
async def _trap(seen: list[str]) -> AsyncIterator[str]:
    """Be the proxy through which everything but loopback would go; note who comes, and refuse."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readline()).decode("latin-1").strip())
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _is_up(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.TransportError:
        return False
