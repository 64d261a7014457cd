"""What a step writes, sent together: its tasks' writes with each other, and with the checkpoint that follows.

A write waits for a few turns of the event loop, or as long as the checkpoint it belongs to is itself under way.
LangGraph does not wait for such writes before it goes on either: what it waits for is the next checkpoint, and that is
stored in the same step as the writes before it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from checkpoints.lean.parts import Kept, Place, Written
from checkpoints.locks import Lease, writing_lease
from domain.errors import StoreUnavailable

TURNS = 3
"""How many turns of the event loop a write waits: the checkpoint behind the only task of a step comes that soon."""

type Store = Callable[[Place, Lease | None, Kept | None, Sequence[Written]], Awaitable[None]]


class _Waiting:
    """What was written on one checkpoint and waits to be sent."""

    def __init__(self, place: Place, lease: Lease | None) -> None:
        self.place, self.lease = place, lease
        self.written: list[Written] = []
        self.sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Together:
    """The steps under way.

    Args:
        store: Stores what tasks wrote on the checkpoint at a place (or before the one given), all or nothing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[Place, _Waiting] = {}
        self._under_way: set[Place] = set()
        self._tasks: dict[asyncio.Task[None], str] = {}

    async def put(self, kept: Kept) -> None:
        """Store a checkpoint, and what was written before it; raises what the store raises."""
        lease = writing_lease()
        waiting = self._waiting.get(kept.place._replace(id=kept.parent))
        if waiting and waiting.lease is not lease:
            waiting = None
        self._under_way.add(kept.place)
        try:
            await (self._sent(waiting, kept) if waiting else self._store(kept.place, lease, kept, ()))
        finally:
            self._under_way.discard(kept.place)
            if behind := self._waiting.get(kept.place):
                self._wait(behind, TURNS)

    async def write(self, place: Place, written: Written) -> None:
        """Store what a task wrote; raises what the store raises."""
        lease = writing_lease()
        waiting = self._waiting.get(place)
        if waiting and waiting.lease is not lease:
            self._send(waiting)  # each is fenced by its own
            waiting = None
        if waiting is None:
            waiting = self._waiting[place] = _Waiting(place, lease)
            if place not in self._under_way:
                self._wait(waiting, TURNS)
        waiting.written.append(written)
        await asyncio.shield(waiting.sent)

    async def flush(self, thread: str | None = None) -> None:
        """Store what waits, of one thread or of all; who wrote it is told how it went."""
        for waiting in [each for place, each in self._waiting.items() if thread in (None, place.thread)]:
            self._send(waiting)
        sent = [task for task, of in self._tasks.items() if thread in (None, of)]
        if sent:
            await asyncio.wait(sent)

    def _wait(self, waiting: _Waiting, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._wait, waiting, turns - 1)
        else:
            self._send(waiting)

    def _send(self, waiting: _Waiting) -> None:
        if self._waiting.get(waiting.place) is waiting:
            task = asyncio.get_running_loop().create_task(self._sent(waiting, None))
            self._waiting.pop(waiting.place)
            self._tasks[task] = waiting.place.thread
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled():
            task.exception()  # whoever wrote has been told

    async def _sent(self, waiting: _Waiting, kept: Kept | None) -> None:
        if self._waiting.get(waiting.place) is waiting:
            del self._waiting[waiting.place]
        try:
            await self._store(waiting.place, waiting.lease, kept, waiting.written)
        except BaseException as error:
            told = error if isinstance(error, Exception) else StoreUnavailable("The checkpoints were not waited for.")
            waiting.sent.set_exception(told)
            waiting.sent.exception()  # its writer may be gone
            raise
        waiting.sent.set_result(None)
