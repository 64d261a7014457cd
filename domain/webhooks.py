"""Webhooks: what others are told of approvals, how they know it is from us, and when it is told again.

Signed as https://www.standardwebhooks.com says: HMAC-SHA256 over `id.timestamp.body`, base64, behind `v1,`.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from domain.actions import Frozen
from domain.approvals import OVER, Approval, Step
from domain.canonical import digest
from domain.errors import InvalidInput

PAUSE_MAX_SECONDS = 21_600.0
"""The longest pause between two attempts."""

type DeliveryState = Literal["pending", "delivered", "dead"]


class Event(Frozen):
    """Something that happened to an approval.

    Args:
        event_id: The same for the same happening, however often and to however many it is told.
        type: Such as `approval.decided`.
        body: What is sent, byte for byte the same at every attempt.
    """

    event_id: str
    type: str
    at: datetime
    request_id: str
    body: str


class Delivery(Frozen):
    """One event on its way to one receiver.

    Args:
        url: Where to; it may hold a secret.
        attempts: How often it was sent so far.
        next_at: When it is sent next, while it is pending.
    """

    delivery_id: str
    event_id: str
    type: str
    at: datetime
    request_id: str
    url: str
    body: str
    state: DeliveryState = "pending"
    attempts: int = 0
    next_at: datetime
    last_status: int | None = None
    last_error: str | None = None
    ended_at: datetime | None = None

    def shown(self) -> dict[str, Any]:
        """Return the delivery as JSON, with no more of the address than its origin."""
        record = self.model_dump(mode="json", exclude={"body"})
        return {**record, "url": origin_of(self.url)}


def events_of(record: Approval) -> Iterator[Event]:
    """Yield everything that has happened to a request, in order; what was yielded before comes again first."""
    steps = [Step(what="decided", at=record.created_at, by=record.owner), *record.trail]
    for number, step in enumerate(steps):
        yield _event(record, step.what if number else "requested", number, step)
    if record.state in OVER and all(step.what != record.state for step in record.trail):
        at = record.execute_by if record.state == "execution_expired" else None
        yield _event(record, record.state, len(steps), Step(what="expired", at=at or record.expires_at, by="server"))


def _event(record: Approval, what: str, number: int, step: Step) -> Event:
    kind = f"approval.{what}"
    happened = step.model_dump(mode="json", exclude={"what"}) if what != "requested" else {"by": record.owner}
    told = {"type": kind, "timestamp": step.at.isoformat(), "data": {**happened, "approval": record.shown()}}
    return Event(
        event_id=f"evt_{digest({'request': record.request_id, 'number': number, 'type': kind})[:32]}",
        type=kind,
        at=step.at,
        request_id=record.request_id,
        body=json.dumps(told, separators=(",", ":"), sort_keys=True),
    )


def key_of(secret: str) -> bytes:
    """Return the key a secret stands for: base64 behind `whsec_`, else its bytes; raises `InvalidInput`."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise InvalidInput("What follows `whsec_` is not base64.") from error


def signature(key: bytes, *, event_id: str, timestamp: int, body: str) -> str:
    """Return the `webhook-signature` of one attempt.

    Args:
        timestamp: Seconds since 1970, as in `webhook-timestamp`.
    """
    signed = f"{event_id}.{timestamp}.{body}".encode()
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


def pause_after(attempts: int, *, first_seconds: float, jitter: float) -> float:
    """Return the seconds to wait after so many attempts: four times as long each time, and up to a fifth more.

    Args:
        jitter: From 0 to 1.
    """
    return float(min(first_seconds * 4.0 ** (attempts - 1), PAUSE_MAX_SECONDS) * (1 + jitter / 5))


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"
