"""One connection to Redis that everybody shares: who asks in the same moment is sent, and answered, together.

A pool's connection carries one command and waits for its answer; most of what that costs is Python's own work. Here
every command of one turn of the event loop leaves in one write, and answers arrive in the order of the commands.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoScriptError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from checkpoints.lean.resp import Argument, Replies, packed

ANSWER_SECONDS = 2.0
LOST = (RedisConnectionError, RedisTimeoutError, ReadOnlyError)


@dataclass(frozen=True)
class Script:
    """A Lua script and the name Redis knows it by."""

    source: str

    @cached_property
    def digest(self) -> str:
        """Return its name."""
        return hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


class Line:
    """The connection, made when it is needed and made again when it is lost. What is asked must bear repetition.

    Args:
        client: Whose address, password and certificates are used; its pool is not.
    """

    def __init__(self, client: Redis, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        pool = client.connection_pool
        self._connection = partial(pool.connection_class, **pool.connection_kwargs)
        self._answer_seconds = answer_seconds
        self._retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), 3, supported_errors=LOST)
        self._connecting = asyncio.Lock()
        self._wire: _Wire | None = None

    async def run(self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument]) -> Any:
        """Run a script and return its answer; raises redis-py's errors and `OSError`."""
        digest = script.digest
        try:
            return await self.ask("EVALSHA", digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self.ask("EVAL", script.source, len(keys), *keys, *arguments)

    async def ask(self, *command: Argument) -> Any:
        """Return the answer to a command; raises redis-py's errors and `OSError`."""
        request = packed(command)
        try:
            return await self._asked(request)
        except LOST:
            return await self._retry.call_with_retry(partial(self._asked, request), _again)

    async def close(self) -> None:
        """Close the connection; what waits for an answer gets an error."""
        async with self._connecting:
            if self._wire is not None:
                await self._wire.close()

    async def _asked(self, request: bytes) -> Any:
        wire = self._wire
        if wire is None or wire.is_lost:
            wire = await self._connected()
        try:
            return await wire.ask(request)
        except ResponseError as error:
            if "read only" not in str(error):
                raise
            # Another one was made the master, and the address may lead there by now.
            wire.lose(RedisConnectionError("This Redis became a replica."))
            raise ReadOnlyError(str(error)) from error

    async def _connected(self) -> "_Wire":
        async with self._connecting:
            if self._wire is None or self._wire.is_lost:
                connection = self._connection()
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py
                self._wire = _Wire(connection, self._answer_seconds)
            return self._wire


async def _again(_: Exception) -> None:
    """Do nothing between two attempts: the next one connects."""


class _Wire(asyncio.Protocol):
    """An open connection: taken over from the driver once it has shaken hands."""

    def __init__(self, connection: AbstractConnection, answer_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer, connection._writer, connection._reader = connection._writer, None, None  # noqa: SLF001  # the driver hands it out nowhere else
        self._transport: asyncio.Transport = self._writer.transport  # type: ignore[union-attr,assignment]  # it is one
        self._replies = Replies(connection._parser.parse_error)  # noqa: SLF001  # the same
        self._outgoing: list[bytes] = []
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._answer_seconds = answer_seconds
        self._watch: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()
        self.is_lost = False
        self._transport.set_protocol(self)

    def ask(self, request: bytes) -> asyncio.Future[Any]:
        """Return the answer to come."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if not self._waiting:
            self._transport.write(request)  # nobody else is asking
        else:
            if not self._outgoing:
                self._loop.call_soon(self._send)
            self._outgoing.append(request)
        self._waiting.append((answer, time.monotonic()))
        if self._watch is None:
            self._watch = self._loop.call_later(self._answer_seconds, self._look)
        return answer

    def data_received(self, data: bytes) -> None:
        """Give every answer to who waits for it."""
        try:
            for reply in self._replies.read(data):
                answer, _ = self._waiting.popleft()
                if answer.done():
                    continue
                if isinstance(reply, Exception):
                    answer.set_exception(reply)
                else:
                    answer.set_result(reply)
        except (InvalidResponse, ValueError, IndexError):
            self.lose(RedisConnectionError("Redis answered something else than its protocol."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self.lose(RedisConnectionError(f"Redis closed the connection: {exc}."))
        self._closed.set()

    async def close(self) -> None:
        """Close the connection and wait until it is; what a Redis that stands still does not take is not waited for."""
        self.lose(RedisConnectionError("The connection is being closed."))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._answer_seconds):
                await self._closed.wait()
        self._transport.abort()

    def _send(self) -> None:
        if not self.is_lost:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _look(self) -> None:
        """Give up a connection that owes an answer for too long, else look again when the next one may."""
        self._watch = None
        if not self._waiting:
            return
        left = self._waiting[0][1] + self._answer_seconds - time.monotonic()
        if left <= 0:
            self.lose(RedisTimeoutError("Redis did not answer in time."))
        else:
            self._watch = self._loop.call_later(left, self._look)

    def lose(self, error: Exception) -> None:
        """Give the connection up, and tell everybody who waits."""
        self.is_lost = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._transport.abort() if isinstance(error, RedisTimeoutError) else self._transport.close()
        while self._waiting:
            answer, _ = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(error)
