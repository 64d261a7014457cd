"""A real document server for tests, which speaks MongoDB's wire protocol: killed and started again on the same data."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from tests.killable import Killable


@dataclass
class MongoServer(Killable):
    """One server process on its own port and folder; every acknowledged write is synced.

    Args:
        standalone: Without it the server says it is a replica set's primary, for which drivers repeat writes.
    """

    standalone: bool = True

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "secantusd-py"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--storage-path", str(self.folder)),
            *("--sync-on-commit", "--enable-test-commands", "--log-level", "ERROR"),
            *(["--standalone"] if self.standalone else []),
            cwd=self.folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with AsyncMongoClient[dict[str, object]](self.url, serverSelectionTimeoutMS=200) as client:
            async with asyncio.timeout(60):
                while not await _answers(client):
                    assert self.process.returncode is None, "the document server ended while it started"


@asynccontextmanager
async def mongo_server(folder: Path, *, standalone: bool = True) -> AsyncIterator[MongoServer]:
    """Run a document server; whatever happens, it is gone afterwards."""
    server = MongoServer(folder, standalone)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()


async def _answers(client: AsyncMongoClient[dict[str, object]]) -> bool:
    try:
        await client.admin.command("ping")
    except PyMongoError:
        return False
    return True
