"""Take a folder of documents into the knowledge base: `python -m boot.ingest FOLDER`.

Where a server is running on DATA_DIR, or `--url` names one, the documents go there over HTTP; otherwise this program
opens the knowledge base itself.
"""

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from boot.container import utc_now
from boot.data_dir import claimed
from boot.knowledge import Knowledge, open_knowledge
from boot.settings import Settings, read_settings
from boot.stores import open_stores
from domain.errors import ConfigurationError, FolderHeld, OrchestrationError
from domain.knowledge import Given

SUFFIXES = frozenset({".md", ".markdown", ".txt", ".rst", ".html", ".htm", ".pdf"})
AT_ONCE = 4
LOOK_SECONDS = 0.2
KEY = "ORCHESTRATOR_API_KEY"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks for."""

    folder: Path
    url: str | None
    owner: str
    shared: bool


class Door(Protocol):
    """A way into the knowledge base."""

    async def put(self, source: str, content: bytes) -> dict[str, Any]:
        """Return the job of a document; raises `OrchestrationError` where it is refused."""

    async def look(self, job_id: str) -> dict[str, Any]:
        """Return a job as it is now."""


@dataclass(frozen=True)
class Own:
    """The knowledge base, opened by this program."""

    knowledge: Knowledge
    asked: Asked

    async def put(self, source: str, content: bytes) -> dict[str, Any]:
        """See `Door`."""
        given = Given(owner=self.asked.owner, content=content, source=source, shared=self.asked.shared)
        return (await self.knowledge.jobs.submit(given)).model_dump()

    async def look(self, job_id: str) -> dict[str, Any]:
        """See `Door`."""
        return (await self.knowledge.ingests.get(job_id)).model_dump()


@dataclass(frozen=True)
class Server:
    """A server's knowledge base."""

    client: httpx2.AsyncClient
    shared: bool

    async def put(self, source: str, content: bytes) -> dict[str, Any]:
        """See `Door`."""
        fields = {"source": source, "shared": "true" if self.shared else "false"}
        return await self._answer("POST", "/rag/documents", data=fields, files={"file": (source, content)})

    async def look(self, job_id: str) -> dict[str, Any]:
        """See `Door`."""
        return await self._answer("GET", f"/rag/jobs/{job_id}")

    async def _answer(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            response = await self.client.request(method, path, **more)
            body: dict[str, Any] = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise ConfigurationError(f"No server answers at {self.client.base_url}.") from error
        if not response.is_success:
            raise OrchestrationError(str(body.get("detail", f"HTTP status {response.status_code}")))
        return body


async def ingest(asked: Asked, settings: Settings, console: Console) -> int:
    """Take every document below the folder in, and return how many could not be."""
    files = await asyncio.to_thread(found, asked.folder)
    outcomes: Counter[str] = Counter()
    turn = asyncio.Semaphore(AT_ONCE)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        async with opened(asked, settings) as door, asyncio.TaskGroup() as tasks:
            bar = progress.add_task("Ingesting", total=len(files))

            async def one(file: Path) -> None:
                async with turn:
                    outcome, reason = await _taken(door, file, asked.folder)
                outcomes[outcome] += 1
                progress.advance(bar)
                if reason:
                    progress.console.print(f"{file}: {reason}", markup=False, soft_wrap=True)

            for file in files:
                tasks.create_task(one(file))
    told = ", ".join(f"{outcomes[each]} {each}" for each in ("ingested", "unchanged", "failed") if outcomes[each])
    console.print(f"{len(files)} documents: {told or 'nothing to do'}.")
    return outcomes["failed"]


def found(folder: Path) -> list[Path]:
    """Return the documents below a folder, hidden ones left out; raises `ConfigurationError` where there is none."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder.")
    files = [each for each in sorted(folder.rglob("*")) if each.is_file() and each.suffix.lower() in SUFFIXES]
    return [each for each in files if not any(part.startswith(".") for part in each.relative_to(folder).parts)]


@asynccontextmanager
async def opened(asked: Asked, settings: Settings) -> AsyncIterator[Door]:
    """Open the way in: the server that is named or running, or else the knowledge base itself."""
    async with AsyncExitStack() as stack:
        try:
            data_dir = None if asked.url else await stack.enter_async_context(claimed(settings.data_dir))
        except FolderHeld:
            data_dir = None
        if data_dir is not None:
            stores = await open_stores(stack, settings, data_dir, utc_now)
            knowledge = await open_knowledge(stack, settings, stores.database, stores.locks, data_dir, utc_now)
            await knowledge.begin(stack)
            yield Own(knowledge, asked)
            return
        url = asked.url or f"http://{settings.host}:{settings.port}"
        headers = {"X-API-Key": key} if (key := os.environ.get(KEY)) else {}
        client = httpx2.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False)
        yield Server(await stack.enter_async_context(client), asked.shared)


async def _taken(door: Door, file: Path, folder: Path) -> tuple[str, str]:
    """Return what came of one document, and the reason where it failed."""
    try:
        content = await asyncio.to_thread(file.read_bytes)
        job = await door.put(file.relative_to(folder).as_posix(), content)
        while job["state"] in ("queued", "running"):
            await asyncio.sleep(LOOK_SECONDS)
            job = await door.look(job["job_id"])
    except ConfigurationError:
        raise
    except OrchestrationError as error:
        return "failed", error.detail
    except OSError as error:
        return "failed", error.strerror or "It cannot be read."
    if job["state"] == "failed":
        return "failed", job["error"]
    return ("unchanged" if job["unchanged"] else "ingested"), ""


def read_options(arguments: Sequence[str]) -> Asked:
    """Return what the command line asks for; leaves the process with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m boot.ingest",
        description="Take every document below a folder into the knowledge base: text, Markdown, HTML, PDF.",
        epilog=f"A server with keys wants one in {KEY}; sharing takes an operator's.",
    )
    parser.add_argument("folder", type=Path, help="where the documents are")
    parser.add_argument("--url", help="the server to send them to; without it, the one that runs on DATA_DIR, if any")
    parser.add_argument("--private", action="store_true", help="only their owner finds them, not everybody")
    parser.add_argument("--owner", default="anonymous", help="whose they are, where no server is involved")
    given = parser.parse_args(arguments)
    return Asked(folder=given.folder, url=given.url, owner=given.owner, shared=not given.private)


def main() -> int:
    """Do what the command line asks for; returns the exit code."""
    asked = read_options(sys.argv[1:])
    try:
        return 1 if asyncio.run(ingest(asked, read_settings(), Console())) else 0
    except* OrchestrationError as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        sys.stderr.write(f"Not ingested: {getattr(first, 'detail', first)}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
