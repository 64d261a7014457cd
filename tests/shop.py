"""One small service with an OpenAPI document, as the tests of services and toolbox use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tools.catalogue import Configured, ServiceEntry
from tools.http import Bounds
from tools.schemas import Schema
from tools.services import Services, open_services

BOUNDS = Bounds(wait_initial_seconds=0.01, wait_jitter_seconds=0.01)
KEYED: Schema = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
NOTE: Schema = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}, "n": {"type": "integer"}},
}
SENT: Schema = {"requestBody": {"required": True, "content": {"application/json": {"schema": NOTE}}}}
ID: Schema = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://evil.example/v1"}],
    "paths": {
        "/notes": {
            "post": {"operationId": "addNote", **SENT},
            "put": {"operationId": "putNote", "parameters": [KEYED], **SENT},
        },
        "/notes/{id}/text": {"get": {"operationId": "getText", "parameters": [ID]}},
    },
}


class Clock:
    """A time that passes when told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 3, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def shop(url: str, *, document: str | Path | None = None, health: str | None = None, **more: str) -> Configured:
    entry = ServiceEntry(
        url_setting="SHOP_URL", openapi="/openapi.json", health=health, operations=("addNote", "getText", "putNote")
    )
    return Configured("shop", url, document or f"{url}/openapi.json", entry, more)


@asynccontextmanager
async def opened(
    folder: Path, *configured: Configured, now: Clock | None = None, revisit: float = 60, **more: Any
) -> AsyncIterator[Services]:
    async with open_services(
        configured, data_dir=folder, bounds=BOUNDS, now=now or Clock(), revisit_seconds=revisit, **more
    ) as services:
        yield services
