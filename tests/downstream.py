"""Small real downstream services for the tests: ASGI apps on uvicorn, and a raw TCP server for broken ones."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

type Reply = tuple[int, dict[str, str], bytes]
type Behaviour = Callable[["Recorded"], Awaitable[Reply]]


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived."""

    method: str
    raw_path: bytes
    query: bytes
    headers: dict[str, str]
    body: bytes


def replying(status: int, body: object = None, **headers: str) -> Reply:
    """Return a JSON reply; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"content-type": "application/json", **named}, json.dumps(body).encode()


@dataclass
class Downstream:
    """An ASGI app that records what arrives and answers from a script, `last` once the script is over.

    Args:
        reached: Set as soon as a request has arrived.
    """

    last: Behaviour
    script: list[Behaviour] = field(default_factory=list)
    seen: list[Recorded] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (event := await receive())["type"] == "http.request":
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        request = Recorded(scope["method"], scope["raw_path"], scope["query_string"], headers, body)
        self.seen.append(request)
        self.reached.set()
        status, named, content = await (self.script.pop(0) if self.script else self.last)(request)
        raw = [(name.encode(), value.encode()) for name, value in named.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})


def always(status: int, body: object = None, **headers: str) -> Behaviour:
    """Return a behaviour that gives the same JSON reply to everything."""

    async def behave(request: Recorded) -> Reply:
        return replying(status, body, **headers)

    return behave


def documented(document: object, last: Behaviour) -> Behaviour:
    """Return a behaviour that serves `/openapi.json` and leaves the rest to `last`."""

    async def behave(request: Recorded) -> Reply:
        return replying(200, document) if request.raw_path == b"/openapi.json" else await last(request)

    return behave


class _Server(uvicorn.Server):
    """A server that says when it listens and stops when told, without polling."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.stopping.wait()


@asynccontextmanager
async def serving(app: ASGIApp, *, port: int = 0) -> AsyncIterator[str]:
    """Run an ASGI app on a loopback port, a free one unless told, and yield its base URL."""
    config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False, date_header=False)
    config.timeout_graceful_shutdown = 0
    server = _Server(config)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            await server.ready.wait()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.stopping.set()


@asynccontextmanager
async def raw_server(reply: bytes, seen: list[bytes]) -> AsyncIterator[str]:
    """Answer every connection's first request head with `reply` and cut the connection; yield the base URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def unused_port() -> AsyncIterator[int]:
    """Yield a loopback port nobody listens on: bound, so that nobody else gets it, and not listening."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
