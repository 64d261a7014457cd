"""The demo services on free ports inside the test's process, over real HTTP, with a way to stop and restart each."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiosqlite
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.launch import PORTS, Place, ask_all_to_stop
from demo.serving import Running, listener, serving

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """One request as a service saw it."""

    method: str
    path: str
    idempotency_key: str | None
    status: int


class DemoServices(Mapping[str, str]):
    """Base URLs by service name; they stay the same over stops and starts.

    Args:
        place: Where the services keep their data.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._running: dict[str, Running] = {}
        self._ports: dict[str, int] = {}
        self._stops: dict[str, AsyncExitStack] = {}
        self.received: dict[str, list[Received]] = {}
        """Every request answered so far, by service, health checks left out, oldest first."""

    def __getitem__(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self._ports[name]}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._ports)

    def __len__(self) -> int:
        return len(self._ports)

    def settings(self) -> dict[str, str]:
        """Return the environment that tells a server where the services are: `PETSTORE_URL` and so on."""
        return {f"{name.upper()}_URL": url for name, url in self.items()}

    async def start(self, name: str) -> None:
        """Start a service, on its former port and data if it ran before."""
        app = self._place.app(name)
        app.add_middleware(_Recorder, into=self.received.setdefault(name, []))
        async with AsyncExitStack() as stack:
            running = await stack.enter_async_context(serving(app, listener(LOOPBACK, self._ports.get(name, 0))))
            self._ports[name] = running.port
            self._running[name] = running
            self._stops[name] = stack.pop_all()

    async def stop(self, name: str) -> None:
        """Stop a service: connections are refused afterwards."""
        await self._stops.pop(name).aclose()

    async def restart(self, name: str) -> None:
        """Stop a service and start it again on the same port and data."""
        await self.stop(name)
        await self.start(name)

    async def stop_all(self) -> None:
        """Stop whatever still runs."""
        ask_all_to_stop(self._running)
        for name in list(self._stops):
            await self.stop(name)

    async def count(self, name: str, kind: str) -> int:
        """Return how many documents of a kind a service keeps: `count("petstore", "orders")`."""
        async with aiosqlite.connect(self._place.folder / f"{name}.sqlite") as connection:
            sql = "SELECT count(*) FROM documents WHERE kind = ?"
            async with connection.execute(sql, (kind,)) as cursor:
                row = await cursor.fetchone()
        return int(row[0]) if row else 0


class _Recorder:
    """Notes what was asked and answered; the innermost layer besides the application itself."""

    def __init__(self, app: ASGIApp, into: list[Received]) -> None:
        self._app = app
        self._into = into

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["path"] != "/health":
                key = dict(scope["headers"]).get(b"idempotency-key")
                text = key.decode("latin-1") if key is not None else None
                self._into.append(Received(scope["method"], scope["path"], text, message["status"]))
            await send(message)

        await self._app(scope, receive, noting)


@asynccontextmanager
async def demo_services(
    folder: Path, *, only: tuple[str, ...] = tuple(PORTS), postgres_url: str | None = None
) -> AsyncIterator[DemoServices]:
    """Run the demo services on free ports until the block ends.

    Args:
        folder: Holds their data; the same folder again is a restart.
        only: The services to run, all four unless told otherwise.
        postgres_url: Where cloudapp keeps its data, a file below the folder unless given.
    """
    services = DemoServices(Place(folder / "demo", postgres_url))
    try:
        for name in only:
            await services.start(name)
        yield services
    finally:
        await services.stop_all()
