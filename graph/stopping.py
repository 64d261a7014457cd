"""How long what is under way may still take when the server stops."""

import asyncio
from collections.abc import Collection
from typing import Any


class Grace:
    """Seconds that begin to pass once, for everybody who waits: first the server's connections, then what runs.

    Args:
        seconds: How many there are.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends_at: float | None = None

    def left(self) -> float:
        """Return how many seconds are left; the first who asks lets them begin."""
        now = asyncio.get_running_loop().time()
        if self._ends_at is None:
            self._ends_at = now + self._seconds
        return max(0.0, self._ends_at - now)

    async def spend_on(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        """Let tasks end while there are seconds left, and cancel those that do not."""
        if tasks:
            await asyncio.wait(tasks, timeout=self.left())
        for task in tasks:
            task.cancel()
