"""A port while the process lives: as it was opened, or, when its store is lost, what is lost with it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from boot.ports import Port
from domain.errors import StoreUnavailable

FRESH_SECONDS = 2.0
PATIENCE_SECONDS = 1.0


class Watched:
    """A port, and the question whether its store is there: asked every two seconds at most, once for all who want it.

    Args:
        ping: Returns when the store answers, raises `StoreUnavailable` when not; None for what cannot be lost.
    """

    def __init__(self, port: Port, ping: Callable[[], Awaitable[object]] | None, clock: Callable[[], datetime]) -> None:
        self._opened = port
        self._seen = port
        self._ping = ping
        self._clock = clock
        self._asked_at = time.monotonic()
        self._asking = asyncio.Lock()

    async def now(self) -> Port:
        """Return how the port is."""
        if self._ping is None:
            return self._opened
        async with self._asking:
            if time.monotonic() - self._asked_at > FRESH_SECONDS:
                self._seen = await self._look(self._ping)
                self._asked_at = time.monotonic()
            return self._seen

    async def _look(self, ping: Callable[[], Awaitable[object]]) -> Port:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await ping()
        except (StoreUnavailable, TimeoutError):
            if not self._seen.healthy:
                return self._seen
            changes = {
                "healthy": False,
                "mode": "degraded",
                "since": self._clock(),
                "reason": "It was lost while the server ran, and is used again when it is back.",
                "lost": "What needs it is answered 503.",
            }
            return self._opened.model_copy(update=changes)
        return self._opened if self._seen.healthy else self._opened.model_copy(update={"since": self._clock()})
