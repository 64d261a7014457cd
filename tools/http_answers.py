"""What a service answered: read within bounds, and turned into an answer or into one of our errors."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx2

from domain.errors import ResponseRejected, ServiceError, ServiceFailed, ServiceRefused

ERROR_BODY_BYTES = 16_384
CHARSETS = frozenset({"utf-8", "us-ascii", "iso-8859-1", "latin-1", "windows-1252"})


@dataclass(frozen=True)
class Answer:
    """A 2xx answer.

    Args:
        headers: By lower-case name.
        text: The decoded body.
        duration_ms: From the first byte sent to the last received, of the attempt that succeeded.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    duration_ms: float


async def read_text(response: httpx2.Response, *, service: str, limit: int) -> str:
    """Return the body of a 2xx answer.

    Raises `ServiceRefused` (4xx), `ServiceFailed` (5xx), `ResponseRejected` (a redirect, undecodable, or larger).

    Args:
        limit: Bytes taken, counted after decompression.
    """
    status = response.status_code
    if status >= 400:
        raise await _refusal(response, service)
    if status >= 300:
        detail = f"{service} answered with a redirect ({status}), which is not followed."
        raise ResponseRejected(detail, service=service, status=status)
    try:
        raw, whole = await _body(response, limit)
    except httpx2.DecodingError as error:
        detail = f"The answer of {service} cannot be decompressed."
        raise ResponseRejected(detail, service=service, status=status) from error
    if not whole:
        raise ResponseRejected(f"The answer of {service} is larger than {limit} bytes.", service=service, status=status)
    return _text(response, raw)


def retry_after(headers: httpx2.Headers) -> float | None:
    """Return the seconds of `Retry-After` (RFC 9110, 10.2.3); a date counts from the answer's own `Date`."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())


async def _refusal(response: httpx2.Response, service: str) -> ServiceError:
    """Return what a 4xx or 5xx means; the status counts even when its body is cut off."""
    status = response.status_code
    try:
        raw, _ = await _body(response, ERROR_BODY_BYTES)
    except (httpx2.TransportError, httpx2.DecodingError):
        raw = b""
    kind, verb = (ServiceFailed, "failed") if status >= 500 else (ServiceRefused, "refused the call")
    return kind(f"{service} {verb} with status {status}.", service=service, status=status, body=_text(response, raw))


async def _body(response: httpx2.Response, limit: int) -> tuple[bytes, bool]:
    """Return the decoded body up to `limit` bytes, and whether that is all of it."""
    kept = bytearray()
    async with aclosing(response.aiter_bytes()) as parts:
        async for part in parts:
            kept += part[: limit + 1 - len(kept)]
            if len(kept) > limit:
                return bytes(kept[:limit]), False
    return bytes(kept), True


def _text(response: httpx2.Response, raw: bytes) -> str:
    charset = (response.charset_encoding or "utf-8").lower()
    return raw.decode(charset if charset in CHARSETS else "utf-8", errors="replace")
