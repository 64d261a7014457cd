"""The HTTP shell: opens what the process needs, and lays the routes over it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from types import FrameType

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI

from api import (
    actions,
    approvals,
    audit,
    breakers,
    experiment_reports,
    experiments,
    knowledge,
    operations,
    orchestrate,
    policy,
    problems,
    reference,
    services,
    webhooks,
)
from api.document import Documented
from api.guard import Guard
from boot.container import Container, open_container
from boot.logs import set_up_logs
from boot.settings import Settings, read_settings
from domain.errors import ConfigurationError, OrchestrationError

log = structlog.get_logger("server")

FORM_BYTES = 100_000
"""What a form may take beside the document in it."""

DESCRIPTION = """An agent server that acts on your services, asks a human where policy says so, and never lies about it.

A message goes to `POST /orchestrate`. What comes back is a reply (200), or a pause (202) with the approvals that a
human has to decide; after the decision the run goes on by itself, and `POST /orchestrations/{id}/resume` returns its
reply."""


def create_app(settings: Settings, container: Container | None = None) -> FastAPI:
    """Return the application; its lifespan opens a container unless it is given an open one."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with nullcontext(container) if container else open_container(settings) as app.state.container:
            yield

    app = Documented(
        title="AI Orchestration Layer",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        longest_message=settings.max_message_chars,
        metadata_keys=settings.metadata_keys,
    )
    larger = {"/rag/documents": max(settings.max_document_bytes + FORM_BYTES, settings.max_body_bytes)}
    app.add_middleware(Guard, max_body_bytes=settings.max_body_bytes, larger=larger)
    problems.install(app)
    families = (
        orchestrate,
        approvals,
        actions,
        policy,
        experiments,
        experiment_reports,
        audit,
        breakers,
        knowledge,
        webhooks,
        operations,
        services,
        reference,
    )
    for family in families:
        app.include_router(family.router)
    return app


def main() -> int:
    """Serve until a signal says stop; returns the process's exit code."""
    # Before anything imports numpy: on few cores its threads fight for them (tools/knowledge/minilm.py).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        settings = read_settings()
        set_up_logs(level=settings.log_level, form=settings.log_format)
        asyncio.run(serve(settings), loop_factory=uvloop.new_event_loop)  # like bench/__main__.py
    except OrchestrationError as error:
        sys.stderr.write(f"Not started: {error.detail}\n")
        return 2
    return 0


async def serve(settings: Settings) -> None:
    """Serve on the configured address until a signal says stop; raises what keeps the server from starting."""
    listener = _bound(settings.host, settings.port)
    async with open_container(settings) as container:
        config = uvicorn.Config(
            create_app(settings, container),
            http="h11",  # not the C parser: docs/decisions/0013; like tests/running.py
            ws="none",
            log_config=None,
            access_log=settings.log_level == "DEBUG",
            server_header=False,
            timeout_graceful_shutdown=int(settings.shutdown_grace_seconds) + 1,
        )
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, _noted)
        log.info("serving", url=f"http://{settings.host}:{listener.getsockname()[1]}")
        await Server(config, container).serve([listener])


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that has the address, of several an IPv4 one, and does not listen yet.

    Raises `ConfigurationError`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise ConfigurationError(f"{host}:{port} cannot be listened on: {error.strerror}.") from error
    return listener


class Server(uvicorn.Server):
    """uvicorn, but readers of streams are let go at once instead of being cut off."""

    def __init__(self, config: uvicorn.Config, container: Container) -> None:
        super().__init__(config)
        self._container = container
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop taking requests, and dismiss the readers."""
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._container.orchestrations.dismiss)


def _noted(*_: object) -> None:
    """Take a signal without dying of it: uvicorn raises it once more when it has stopped, and stores are still open."""


if __name__ == "__main__":
    sys.exit(main())
