"""What every request passes: an id for its log lines, a bound on its body, and strict JSON."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress

import pydantic_core
import structlog
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

DRAINED_BYTES = 16_000_000
DRAINED_SECONDS = 2.0
"""How much, and how long, is still read of a body that is too large: who is cut off while sending reads no answer."""

BINARY = ("multipart/form-data", "application/octet-stream", "text/")


class Guard:
    """ASGI middleware in front of the routes.

    Python's JSON parser takes NaN, lone surrogates, a name twice and any depth until the stack ends; this takes none.

    Args:
        max_body_bytes: The largest body taken; a larger one is answered 413. Its rest is read and dropped within the
            bounds above, then the connection is closed.
        larger: Paths that take larger bodies, and how large.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if scope["method"] == "HEAD":  # answered as GET; uvicorn sends no body
            scope = {**scope, "method": "GET"}
        headers = Headers(scope=scope)
        request_id = _clean(headers.get("x-request-id")) or secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        if scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
            try:
                most = self._larger.get(scope["path"], self._max_body_bytes)
                body, more = await self._body(headers, receive, most)
            except ClientDisconnect:  # half a body is no request, however well it reads
                return None
            if body is None:
                ended = not more or ("expect" not in headers and await _drained(receive))
                return await _too_large(most, keep=ended)(scope, receive, tagged)
            if fault := _fault(headers.get("content-type", ""), body):
                return await problem(400, "malformed-json", fault)(scope, receive, tagged)
            receive = _replayed(body, receive)
        return await self._app(scope, receive, tagged)

    async def _body(self, headers: Headers, receive: Receive, most: int) -> tuple[bytes | None, bool]:
        """Return the whole body, or None as soon as it is too large, and whether more of it is to come.

        Raises `ClientDisconnect` if the caller leaves in the middle of it.
        """
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            return None, True
        parts, size, more = [], 0, True
        while more:
            part, more = await _received(receive)
            size += len(part)
            if size > most:
                return None, more
            parts.append(part)
        return b"".join(parts), False


def _too_large(most: int, *, keep: bool) -> JSONResponse:
    headers = {} if keep else {"Connection": "close"}
    return problem(413, "content-too-large", f"A body may have {most} bytes.", headers=headers)


async def _received(receive: Receive) -> tuple[bytes, bool]:
    """Return the next part of a body and whether more is to come; raises `ClientDisconnect`."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


async def _drained(receive: Receive) -> bool:
    """Return whether a body came to its end within the bounds, or its sender left."""
    left, more = DRAINED_BYTES, True
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(DRAINED_SECONDS):
            while more and left > 0:
                part, more = await _received(receive)
                left -= len(part)
    return not more


def _clean(request_id: str | None) -> str | None:
    """Return a caller's request id if it can stand in a log line as it is."""
    return request_id if request_id and len(request_id) <= 64 and request_id.replace("-", "").isalnum() else None


def _fault(content_type: str, body: bytes) -> str | None:
    """Return what is wrong with a JSON body, or None."""
    if not body or content_type.startswith(BINARY):
        return None
    try:
        pydantic_core.from_json(body, allow_inf_nan=False, cache_strings="none")
        json.loads(body.decode(), object_pairs_hook=_unambiguous, parse_int=str, parse_float=str)
    except _Ambiguous as error:
        return str(error)
    except (ValueError, RecursionError) as error:
        return f"The body is not JSON: {error}."
    return None


class _Ambiguous(ValueError):
    """One object has a name twice: which of the two is meant is anybody's guess."""


def _unambiguous(members: list[tuple[str, object]]) -> None:
    """Keep nothing of an object; raises `_Ambiguous`."""
    if len(dict(members)) == len(members):
        return
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise _Ambiguous(f"The body has {name[:64]!r} twice in one object.")
        seen.add(name)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, then what the connection has to say."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
