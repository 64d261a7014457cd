"""What a step writes, sent together: its tasks' writes with each other, and with the checkpoint that follows.

A write waits for a few turns of the event loop, or as long as the checkpoint it belongs to is itself under way. So does
the checkpoint of a run's input. LangGraph does not wait for either before it goes on: what it waits for is the next
checkpoint, and that is stored in one transaction with what waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from checkpoints.lean.parts import Kept, Place, Step, Written
from checkpoints.locks import Lease, writing_lease
from domain.errors import StoreUnavailable

TURNS = 3
"""How many turns of the event loop something waits: the checkpoint behind an input, or a lone task, comes that soon."""

type Store = Callable[[Lease | None, Sequence[Step]], Awaitable[None]]


class _Waiting:
    """What was written on one checkpoint, and perhaps that checkpoint, which waits to be sent."""

    def __init__(self, place: Place, lease: Lease | None, kept: Kept | None = None) -> None:
        self.place, self.lease, self.kept = place, lease, kept
        self.written: list[Written] = []
        self.sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def steps(self, behind: Kept | None) -> list[Step]:
        """Return what to store, together with the checkpoint behind it."""
        before = [Step(self.place, (), self.kept)] if self.kept else []
        return [*before, Step(self.place, self.written, behind)] if self.written or behind else before


class Together:
    """The steps under way.

    Args:
        store: Stores steps, all or nothing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[Place, _Waiting] = {}
        self._inputs: dict[Place, _Waiting] = {}
        self._under_way: set[Place] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def put(self, kept: Kept, *, goes_on: bool = False) -> None:
        """Store a checkpoint, and what was written before it; raises what the store raises.

        Args:
            goes_on: Whether another one follows at once and may take this one along: nobody waits for this one.
        """
        lease, above = writing_lease(), kept.place._replace(id=kept.parent)
        waiting = self._waiting.get(above)
        if waiting and waiting.lease is not lease:
            self._send(waiting)  # each is fenced by its own
            waiting = None
        if goes_on and not waiting:
            self._waiting[kept.place] = self._inputs[kept.place] = _Waiting(kept.place, lease, kept)
            self._wait(self._waiting[kept.place], TURNS)
            return
        if not waiting and above in self._inputs:
            await asyncio.shield(self._inputs[above].sent)
        await self._sent(waiting or _Waiting(above, lease), kept)

    async def write(self, place: Place, written: Written) -> None:
        """Store what a task wrote; raises what the store raises."""
        lease = writing_lease()
        waiting = self._waiting.get(place)
        if waiting and waiting.lease is not lease:
            self._send(waiting)
            waiting = None
        if waiting is None:
            waiting = self._waiting[place] = _Waiting(place, lease)
            if place not in self._under_way:
                self._wait(waiting, TURNS)
        waiting.written.append(written)
        await asyncio.shield(waiting.sent)

    async def show(self, thread: str) -> None:
        """Store a thread's inputs that wait, before it is read; raises what the store raises."""
        for waiting in [each for place, each in self._inputs.items() if place.thread == thread]:
            self._send(waiting)
            await asyncio.shield(waiting.sent)

    async def flush(self, thread: str | None = None) -> None:
        """Store what waits, of one thread or of all; who wrote it is told how it went."""
        for waiting in [each for place, each in self._waiting.items() if thread in (None, place.thread)]:
            self._send(waiting)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _wait(self, waiting: _Waiting, turns: int) -> None:
        if turns and self._waiting.get(waiting.place) is waiting:
            asyncio.get_running_loop().call_soon(self._wait, waiting, turns - 1)
        else:
            self._send(waiting)

    def _send(self, waiting: _Waiting) -> None:
        if self._waiting.get(waiting.place) is waiting:
            task = asyncio.get_running_loop().create_task(self._sent(waiting, None))
            self._waiting.pop(waiting.place)
            if waiting.kept:
                self._under_way.add(waiting.place)
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever wrote has been told

    async def _sent(self, waiting: _Waiting, kept: Kept | None) -> None:
        if self._waiting.get(waiting.place) is waiting:
            del self._waiting[waiting.place]
        steps = waiting.steps(kept)
        places = [step.kept.place for step in steps if step.kept]
        self._under_way.update(places)
        try:
            await self._store(waiting.lease, steps)
        except BaseException as error:
            told = error if isinstance(error, Exception) else StoreUnavailable("The checkpoints were not waited for.")
            waiting.sent.set_exception(told)
            waiting.sent.exception()  # its writer may be gone
            raise
        else:
            waiting.sent.set_result(None)
        finally:
            self._stored(places)

    def _stored(self, places: Sequence[Place]) -> None:
        """Let go what waited for checkpoints that were under way."""
        for place in places:
            self._under_way.discard(place)
            self._inputs.pop(place, None)
            if behind := self._waiting.get(place):
                self._wait(behind, TURNS)
