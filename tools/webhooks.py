"""Receivers of webhooks: one pooled client each, one signed attempt at a time, no redirect followed."""

from urllib.parse import urlsplit, urlunsplit

from domain.errors import ConfigurationError
from domain.webhooks import Delivery, origin_of, signature
from tools.http import Bounds, PooledClient

ANSWER_BYTES = 64_000
"""What a receiver may answer; nobody reads it."""


class Receiver:
    """One address that is told of events.

    Args:
        timeout_seconds: For one attempt, from the connection to the end of the answer.
    """

    def __init__(self, url: str, *, key: bytes, timeout_seconds: float) -> None:
        self.url = url
        self._key = key
        bounds = Bounds(
            max_connections=4,
            connect_seconds=min(5.0, timeout_seconds),
            read_seconds=timeout_seconds,
            write_seconds=timeout_seconds,
            deadline_seconds=timeout_seconds,
            answer_bytes=ANSWER_BYTES,
            attempts=1,
        )
        self._client = PooledClient("the receiver", origin_of(url), bounds=bounds)

    async def tell(self, delivery: Delivery, *, timestamp: int) -> int:
        """Send one event and return the 2xx status of the answer; raises the `ServiceError` that says what happened.

        Args:
            timestamp: Seconds since 1970; receivers refuse what is old.
        """
        signed = signature(self._key, event_id=delivery.event_id, timestamp=timestamp, body=delivery.body)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signed,
        }
        answer = await self._client.request("POST", self.url, content=delivery.body.encode(), headers=headers)
        return answer.status

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()


def checked_url(text: str, *, allowed_hosts: frozenset[str]) -> str:
    """Return an address as it is used; raises `ConfigurationError`, which names the host alone.

    Args:
        allowed_hosts: `host` or `host:port`; of none given, every host.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
        raise ConfigurationError("WEBHOOK_URLS: each is an http or https address without a user and without #.")
    if allowed_hosts and not allowed_hosts & {parts.hostname, parts.netloc.lower()}:
        raise ConfigurationError(f"WEBHOOK_URLS: {parts.netloc} is not among WEBHOOK_ALLOWED_HOSTS.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", parts.query, ""))
