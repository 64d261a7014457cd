"""An HTTP client that costs next to nothing: what is measured is the server."""

import asyncio
import json
from typing import Any, Self


class Refused(Exception):
    """The server answered something else than was expected."""


class Connection:
    """One kept connection to a server on this machine; one request at a time.

    Args:
        url: Such as `http://127.0.0.1:8700`.
    """

    def __init__(self, url: str) -> None:
        self._host, _, port = url.rpartition("/")[2].partition(":")
        self._port = int(port)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def get(self, path: str) -> dict[str, Any]:
        """Return the JSON at a path; raises `Refused` for all but 200, `OSError` when nobody answers."""
        return await self._asked("GET", path, b"", expected=200)

    async def post(self, path: str, body: dict[str, Any] | None = None, *, expected: int = 200) -> dict[str, Any]:
        """Send JSON and return the answer's; raises `Refused` for another status than the expected."""
        return await self._asked("POST", path, json.dumps(body).encode() if body else b"", expected=expected)

    async def _asked(self, method: str, path: str, body: bytes, *, expected: int) -> dict[str, Any]:
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        answer = await self._reader.readexactly(length)
        if int(lines[0].split()[1]) != expected:
            raise Refused(f"{method} {path}: {lines[0]} instead of {expected}: {answer[:300].decode()}")
        found: dict[str, Any] = json.loads(answer)
        return found
