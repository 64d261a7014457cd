"""Which services the demo has, where they listen and keep their data."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from demo import cloudapp, ml, petstore, vehicles
from demo.database import Database, SqliteDatabase
from demo.postgres import PostgresDatabase
from demo.serving import Running, listener, serving

PORTS = {"petstore": 8083, "vehicles": 8880, "cloudapp": 8099, "ml": 8600}
"""The services and the ports they have unless told otherwise."""


@dataclass(frozen=True)
class Place:
    """Where the services keep their data.

    Args:
        folder: Holds one SQLite file per service.
        postgres_url: Where cloudapp keeps its data instead, when given.
    """

    folder: Path
    postgres_url: str | None = None

    def app(self, name: str) -> FastAPI:
        """Return one service by its name."""
        create: Mapping[str, Callable[[Database], FastAPI]] = {
            "petstore": petstore.create_app,
            "vehicles": vehicles.create_app,
            "cloudapp": cloudapp.create_app,
            "ml": ml.create_app,
        }
        return create[name](self._database(name))

    def _database(self, name: str) -> Database:
        if name == "cloudapp" and self.postgres_url:
            return PostgresDatabase(self.postgres_url, schema="cloudapp")
        return SqliteDatabase(self.folder / f"{name}.sqlite")


@asynccontextmanager
async def running(place: Place, host: str, ports: Mapping[str, int]) -> AsyncIterator[dict[str, Running]]:
    """Run the named services on their ports until the block ends.

    Raises `PortTaken` before any of them runs, and `DatabaseUnavailable`.
    """
    async with AsyncExitStack() as stack:
        sockets = {name: stack.enter_context(listener(host, port)) for name, port in ports.items()}
        services: dict[str, Running] = {}
        for name, bound in sockets.items():
            services[name] = await stack.enter_async_context(serving(place.app(name), bound))
            stack.callback(ask_all_to_stop, services)  # runs before any of them is waited for
        yield services


def ask_all_to_stop(services: Mapping[str, Running]) -> None:
    """Start the end of every service, so that they end at the same time."""
    for service in services.values():
        service.ask_to_stop()
