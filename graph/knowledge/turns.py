"""Whose turn it is among jobs: few go on at once, and a long one lets those that wait in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from domain.knowledge import Job

AT_ONCE = 2


@dataclass(eq=False)
class Place:
    """A place in the queue.

    Args:
        begun: Whether the job was at work before and keeps others from its document.
    """

    job: Job
    granted: asyncio.Future[None]
    begun: bool


@dataclass
class Turns:
    """The queue of this process: first who has nothing under way, then who has waited longest.

    Jobs of one document never overtake each other.
    """

    at_once: int = AT_ONCE
    _going: dict[str, Job] = field(default_factory=dict, init=False)
    _busy: set[str] = field(default_factory=set, init=False)
    _waiting: list[Place] = field(default_factory=list, init=False)

    @asynccontextmanager
    async def hold(self, job: Job) -> AsyncIterator[None]:
        """Wait for a job's turn, and let it be over at the end."""
        await self._enter(Place(job, asyncio.get_running_loop().create_future(), begun=False))
        try:
            yield
        finally:
            self._leave(job)

    async def pass_on(self, job: Job) -> None:
        """Let others go first if any can, and return when it is this job's turn again."""
        if self._next() is not None:
            self._going.pop(job.job_id, None)
            await self._enter(Place(job, asyncio.get_running_loop().create_future(), begun=True))

    async def _enter(self, place: Place) -> None:
        self._waiting.append(place)
        self._fill()
        try:
            await place.granted
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
                self._fill()
            elif not place.begun:
                self._leave(place.job)
            raise

    def _leave(self, job: Job) -> None:
        self._busy.discard(_of(job))
        self._going.pop(job.job_id, None)
        self._fill()

    def _fill(self) -> None:
        while len(self._going) < self.at_once and (place := self._next()):
            self._waiting.remove(place)
            self._going[place.job.job_id] = place.job
            self._busy.add(_of(place.job))
            place.granted.set_result(None)

    def _next(self) -> Place | None:
        owners = [job.owner for job in self._going.values()]
        seen, able = set(self._busy), list[Place]()
        for place in self._waiting:
            if not place.granted.done() and (place.begun or _of(place.job) not in seen):
                able.append(place)
            seen.add(_of(place.job))
        return min(able, key=lambda place: owners.count(place.job.owner), default=None)


def _of(job: Job) -> str:
    """Return what a job works at: one at a time."""
    return job.document_id or job.job_id
