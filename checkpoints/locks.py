"""One writer per thread: locks in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from domain.errors import ThreadBusy


class Locks:
    """A lock for every name that somebody holds or waits for, and none for the others."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, name: str, *, wait_seconds: float | None) -> AsyncIterator[None]:
        """Hold the lock; raises `ThreadBusy` when it is not free in time. None waits as long as it takes."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(wait_seconds):
                await lock.acquire()
        except TimeoutError as error:
            raise ThreadBusy("Another run of this thread is under way.") from error
        try:
            yield
        finally:
            lock.release()
