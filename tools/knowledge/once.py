"""Something opened once, however many ask for it at the same time."""

import asyncio
from collections.abc import Awaitable, Callable


class Once[T]:
    """Opens a thing for the first who asks; everybody else gets the same one.

    A failure is told to everybody who waited for that attempt, and the next caller tries again. A caller who gives up
    waiting takes nothing from the others: the opening goes on without anybody.

    Args:
        opening: Opens the thing; its errors are the caller's.
    """

    def __init__(self, opening: Callable[[], Awaitable[T]]) -> None:
        self._opening = opening
        self._task: asyncio.Task[T] | None = None
        self.times = 0
        """How often it was opened with success."""

    async def get(self) -> T:
        """Return the thing, opened; raises what opening it raises."""
        return await asyncio.shield(self.begin())

    def begin(self) -> asyncio.Task[T]:
        """Return the opening, begun if nobody has: stored before anything can wait, so that there is never a second."""
        if self._task is None:
            self._task = asyncio.create_task(self._open())
            self._task.add_done_callback(self._forget_failure)
        return self._task

    def opened(self) -> T | None:
        """Return the thing if it is open already."""
        done = self._task is not None and self._task.done() and not self._task.cancelled()
        return self._task.result() if done and self._task and self._task.exception() is None else None

    async def settle(self) -> None:
        """Wait until nothing is being opened any more."""
        while (task := self._task) is not None and not task.done():
            await asyncio.wait([task])

    async def _open(self) -> T:
        thing = await self._opening()
        self.times += 1
        return thing

    def _forget_failure(self, task: asyncio.Task[T]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._task = None
