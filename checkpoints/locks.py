"""One writer per thread: the lease a writer holds, and the locks of one process.

The form that processes share is `checkpoints.redis_locks`.
"""

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Protocol
from weakref import WeakValueDictionary

from domain.errors import StoreUnavailable, ThreadBusy

BUSY = "Another run of this thread is under way."


class Lease:
    """The right to write under a name, for as long as it is renewed.

    Args:
        number: The fencing number: whoever held the name before had a smaller one.
        key: Where the shared store keeps the lease, and `value` what stands there while it is ours; empty for a lease
            of one process.
        clock: Monotonic seconds, which go on while the process is stopped.
    """

    def __init__(
        self, name: str, *, number: int, key: str = "", value: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self.number, self.key, self.value = name, number, key, value
        self.lost = asyncio.Event()
        self._clock = clock
        self._ends_at = math.inf

    def is_held(self) -> bool:
        """Whether it was neither lost nor given back, and not even its shortest life since the last renewal is over."""
        return not self.lost.is_set() and self._clock() < self._ends_at

    def seconds_left(self) -> float:
        """Return how long it lasts without another renewal; negative when that is over."""
        return self._ends_at - self._clock()

    def renewed(self, *, until: float) -> None:
        """Let it last until then, by the clock."""
        self._ends_at = until

    def lose(self) -> None:
        """Let it be over, and tell whoever waits for that."""
        self._ends_at = -math.inf
        self.lost.set()


class Leases(Protocol):
    """Where leases come from."""

    def hold(self, name: str, *, wait_seconds: float | None) -> AbstractAsyncContextManager[Lease]:
        """Hold the name; raises `ThreadBusy` when it is not free in time, `StoreUnavailable` when nobody can tell.

        Args:
            wait_seconds: 0 tries once; None waits as long as it takes.
        """
        ...


class Locks:
    """A lock for every name that somebody in this process holds or waits for, and none for the others."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def hold(self, name: str, *, wait_seconds: float | None) -> AsyncIterator[Lease]:
        """Hold the name; raises `ThreadBusy`. See `Leases`."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(wait_seconds):
                await lock.acquire()
        except TimeoutError as error:
            raise ThreadBusy(BUSY) from error
        lease = Lease(name, number=next(self._numbers))
        try:
            yield lease
        finally:
            lease.lose()
            lock.release()


_writing: ContextVar[Lease | None] = ContextVar("writing", default=None)


@contextmanager
def writing_under(lease: Lease) -> Iterator[None]:
    """Let everything that is written here, and in tasks that are started here, be fenced by the lease."""
    token = _writing.set(lease)
    try:
        yield
    finally:
        _writing.reset(token)


def writing_lease() -> Lease | None:
    """Return the lease that what is written now must be fenced by.

    Raises `StoreUnavailable` when it is over: somebody else may be writing.
    """
    lease = _writing.get()
    if lease and not lease.is_held():
        raise lapsed()
    return lease


def lapsed() -> StoreUnavailable:
    """Return what a writer is told whose lease is over."""
    return StoreUnavailable("This server lost the thread's lease; the run goes on where it is held.")
