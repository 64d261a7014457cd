"""What every request passes: an id for its log lines, a bound on its body, and strict JSON."""

import secrets

import pydantic_core
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

BINARY = ("multipart/form-data", "application/octet-stream", "text/")


class Guard:
    """ASGI middleware in front of the routes.

    Python's JSON parser takes NaN, lone surrogates and any depth until the stack ends; this one takes none of them.

    Args:
        max_body_bytes: The largest body taken; a larger one is answered 413 and not read to its end.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        request_id = _clean(headers.get("x-request-id")) or secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        if scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
            body = await self._body(headers, receive)
            if body is None:
                refusal = problem(413, "content-too-large", f"A body may have {self._max_body_bytes} bytes.")
                return await refusal(scope, receive, tagged)
            if fault := _fault(headers.get("content-type", ""), body):
                return await problem(400, "malformed-json", fault)(scope, receive, tagged)
            receive = _replayed(body, receive)
        return await self._app(scope, receive, tagged)

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """Return the whole body, or None as soon as it is too large."""
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            return None
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body_bytes:
                return None
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)


def _clean(request_id: str | None) -> str | None:
    """Return a caller's request id if it can stand in a log line as it is."""
    return request_id if request_id and len(request_id) <= 64 and request_id.replace("-", "").isalnum() else None


def _fault(content_type: str, body: bytes) -> str | None:
    """Return what is wrong with a JSON body, or None."""
    if not body or content_type.startswith(BINARY):
        return None
    try:
        pydantic_core.from_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        return f"The body is not JSON: {error}."
    return None


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
