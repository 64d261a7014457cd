"""The threads around one SQLite file: one that writes, and a few that read.

Every write that waits when the writer is ready shares one transaction and one fsync with the others (group commit),
each within its own savepoint, so that one that fails does not undo its neighbours. Callers are answered only after
the commit. Readers have connections of their own: they never wait for a commit, and what they see includes every
write that was answered before they were asked.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from operator import attrgetter
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from checkpoints.embedded.transactions import Connected
from domain.errors import StoreUnavailable

_MOST_IN_ONE_COMMIT: Final = 256
READERS: Final = 3
_READ: Final = "BEGIN"
_WRITE: Final = "BEGIN IMMEDIATE"


class Command(NamedTuple):
    """Something to do in a thread with its connection, and who waits for it."""

    work: Callable[[Any], Any]
    caller: asyncio.Future[Any]


class Answer(NamedTuple):
    """What came of a command."""

    caller: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def deliver(self) -> None:
        """Tell the caller, unless it was cancelled meanwhile."""
        if self.caller.done():
            return
        if self.error is None:
            self.caller.set_result(self.result)
        else:
            self.caller.set_exception(self.error)


class Lane[S: Connected]:
    """A thread, and the commands that wait for it or that it is at.

    Args:
        serve: What the thread does with the commands it finds waiting.
        most: How many commands it takes at once; they are answered together.
    """

    def __init__(self, session: S, serve: "Serve", *, most: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._serve = serve
        self._most = most
        self._commands: SimpleQueue[Command | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sqlite", daemon=True)
        self._thread.start()
        self.load = 0

    async def ask[T](self, work: Callable[[S], T]) -> T:
        """Have the thread do something and return the result."""
        caller: asyncio.Future[T] = self._loop.create_future()
        self.load += 1
        self._commands.put(Command(work, caller))
        return await caller

    async def close(self) -> None:
        """Let the thread finish what it was asked for, then close its connection."""
        self._commands.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with closing(self._session.connection):
            going = True
            while going:
                commands, going = self._waiting()
                if commands:
                    self._tell(self._serve(self._session, commands))

    def _waiting(self) -> tuple[list[Command], bool]:
        """Return every command that waits, and whether more may come."""
        commands: list[Command] = []
        command = self._commands.get()
        while command is not None:
            commands.append(command)
            if len(commands) == self._most:
                return commands, True
            try:
                command = self._commands.get_nowait()
            except Empty:
                return commands, True
        return commands, False

    def _tell(self, answers: list[Answer]) -> None:
        with suppress(RuntimeError):  # the loop was closed before us: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver, answers)

    def _deliver(self, answers: list[Answer]) -> None:
        self.load -= len(answers)
        for answer in answers:
            answer.deliver()


type Serve = Callable[[Connected, list[Command]], list[Answer]]


class Engine[S: Connected]:
    """One open file; `opened` makes it.

    Args:
        sessions: Its connections: one to write and some to read.
    """

    def __init__(self, sessions: Sequence[S]) -> None:
        self._store = sessions[0].store
        writer, *readers = sessions
        self._writer = Lane(writer, _committed, most=_MOST_IN_ONE_COMMIT)
        self._readers = [Lane(reader, _read, most=1) for reader in readers]
        self._closed = False

    @classmethod
    async def opened(cls, opening: Callable[[], Sequence[S]]) -> "Engine[S]":
        """Open the file and start the threads; raises what the opening raises."""
        return cls(await asyncio.to_thread(opening))

    async def write[T](self, work: Callable[[S], T]) -> T:
        """Run a change and return its result once it is on disk.

        A caller that is cancelled while it waits may find that its change was made all the same.
        """
        self._check_open()
        return await self._writer.ask(work)

    async def read[T](self, work: Callable[[S], T]) -> T:
        """Run a query against one consistent state of the file and return its result."""
        self._check_open()
        # The first of the idle ones: a thread that was just at work wakes up faster than its neighbour.
        return await min(self._readers, key=attrgetter("load")).ask(work)

    async def close(self) -> None:
        """Finish what was asked for, then stop the threads and close the file."""
        self._closed = True
        for lane in (*self._readers, self._writer):
            await lane.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"The {self._store} is closed.")


def _read(session: Connected, commands: list[Command]) -> list[Answer]:
    return [_attempted(session, command, session.transaction(_READ)) for command in commands]


def _committed(session: Connected, commands: list[Command]) -> list[Answer]:
    if len(commands) == 1:
        return [_attempted(session, commands[0], session.transaction(_WRITE))]
    try:
        with session.transaction(_WRITE):
            return [_in_company(session, command) for command in commands]
    except StoreUnavailable as error:
        return [Answer(command.caller, error=error) for command in commands]


def _in_company(session: Connected, command: Command) -> Answer:
    answer = _attempted(session, command, session.savepoint())
    if not session.is_open:  # this failure undid what its neighbours did before
        raise session.unavailable() from answer.error
    return answer


def _attempted(session: Connected, command: Command, scope: AbstractContextManager[None]) -> Answer:
    try:
        with scope:
            result = command.work(session)
    except Exception as error:  # noqa: BLE001  # whatever a command raises is for its caller; the thread serves on
        return Answer(command.caller, error=error)
    return Answer(command.caller, result)
