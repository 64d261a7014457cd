"""Runs services inside this process, each on its own socket, without touching signals."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

GRACE_SECONDS = 1
"""How long requests under way may take when the service is asked to stop."""


class PortTaken(Exception):
    """Another program listens on the port already, or we may not."""


@dataclass(frozen=True)
class Running:
    """A service that answers.

    Args:
        task: Ends when the service does.
        ask_to_stop: Starts the end without waiting for it, so that several services can end at the same time.
    """

    url: str
    port: int
    task: asyncio.Task[None]
    ask_to_stop: Callable[[], None]


class _Server(uvicorn.Server):
    """A server that says when it answers and leaves signals to the process it runs in."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()
        self._stopping = asyncio.Event()

    def ask_to_stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        # The original looks ten times a second whether to stop; tests start and stop hundreds of services.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1):  # `on_tick` renews the Date header
                    await self._stopping.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answers.set()


def listener(host: str, port: int) -> socket.socket:
    """Return a socket bound to the port, 0 for any free one; raises `PortTaken`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol's number asyncio leaves out TCP_NODELAY, and every answer takes 40 ms longer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A service that was just stopped may take its port again at once.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen()
    except OSError as error:
        bound.close()
        raise PortTaken(f"Port {port} on {host} cannot be used: {error.strerror}.") from error
    return bound


@asynccontextmanager
async def serving(app: FastAPI, bound: socket.socket) -> AsyncIterator[Running]:
    """Serve the application until the block ends; raises what its data raises when it cannot be opened."""
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=GRACE_SECONDS
    )
    server = _Server(config)
    host, port = bound.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    # Entered here and not by uvicorn, which leaves the process when it fails.
    with bound:
        async with app.router.lifespan_context(app):
            task = asyncio.create_task(server.serve([bound]))
            task.add_done_callback(lambda _: server.answers.set())
            await server.answers.wait()
            try:
                yield Running(f"http://{address}:{port}", port, task, server.ask_to_stop)
            finally:
                server.ask_to_stop()
                await task
