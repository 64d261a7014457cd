"""An HTTP client that costs next to nothing: what is measured is the server."""

import asyncio
import json
from typing import Any, Self

CLOSED = "The server closed the connection."


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
        loop = asyncio.get_running_loop()
        self._transport, self._answers = await loop.create_connection(_Answers, self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    async def get(self, path: str) -> dict[str, Any]:
        """Return the JSON at a path; raises `Refused` for all but 200, `OSError` when nobody answers."""
        return _read(await self.asked("GET", path))

    async def post(self, path: str, body: dict[str, Any] | None = None, *, expected: int = 200) -> dict[str, Any]:
        """Send JSON and return the answer's; raises `Refused` for another status than the expected."""
        return _read(await self.asked("POST", path, body, expected=expected))

    async def asked(self, method: str, path: str, body: dict[str, Any] | None = None, *, expected: int = 200) -> bytes:
        """Return the answer's body as it came; raises `Refused` for another status than the expected."""
        content = json.dumps(body).encode() if body else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        if self._transport.is_closing():
            raise ConnectionResetError(CLOSED)
        answer = self._answers.next()
        self._transport.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        status, found = await answer
        if status != expected:
            raise Refused(f"{method} {path}: {status} instead of {expected}: {found[:300].decode()}")
        return found


class _Answers(asyncio.Protocol):
    """What comes back: whole answers, of which each says how long it is."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None

    def next(self) -> asyncio.Future[tuple[int, bytes]]:
        """Return status and body of the next one, once it is complete."""
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not (end and self._waiting):
            return
        first, *lines = head.lower().split(b"\r\n")
        length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        if len(body) >= length and not self._waiting.done():
            self._received.clear()
            self._waiting.set_result((int(first.split()[1]), bytes(body)))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError(CLOSED))


def _read(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer)
    return found
