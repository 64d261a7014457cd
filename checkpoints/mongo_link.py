"""The link to MongoDB: what its silence means, in one place, and the figures of the connection pools."""

from collections.abc import Awaitable
from typing import Final

from pymongo.errors import ConnectionFailure, ExecutionTimeout, OperationFailure, WriteConcernError
from pymongo.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)

from domain.errors import StoreUnavailable

_UNREACHED: Final = (ConnectionFailure, ExecutionTimeout, WriteConcernError)
UNAUTHORIZED: Final = 13
"""The server's code for what a user may not do."""

AUTHENTICATION_FAILED: Final = 18
"""The server's code for a user or a password that is wrong."""


class Link(ConnectionPoolListener):
    """Every command goes through it; it listens to the driver's pools as well, on the event loop like the commands.

    Args:
        pool_max: Connections to one server at most; commands go to the one server that takes writes.
    """

    def __init__(self, *, pool_max: int) -> None:
        self._max = pool_max
        self._open = 0
        self._taken = 0
        self._asking = 0
        self._total = 0
        self._queued = 0
        self._errors = 0

    async def answer[T](self, command: Awaitable[T]) -> T:
        """Return a command's answer.

        Every way in which the server can be silent becomes `StoreUnavailable`; a write may have been made all the same.
        """
        self._total += 1
        try:
            return await command
        except _UNREACHED as error:
            self._errors += 1
            raise StoreUnavailable("MongoDB does not answer.") from error
        except OperationFailure as error:
            if error.code not in (UNAUTHORIZED, AUTHENTICATION_FAILED):
                raise
            self._errors += 1
            raise StoreUnavailable("MongoDB does not let us in, or not do this.") from error

    def stats(self) -> dict[str, int]:
        """Return the pools' figures.

        `pool_available` counts the commands that could start at once, `requests_queued` the commands so far that found
        every connection taken, `requests_errors` the commands so far that got no answer.
        """
        return {
            "pool_max": self._max,
            "pool_size": self._open,
            "pool_available": max(0, self._max - self._taken),
            "requests_total": self._total,
            "requests_queued": self._queued,
            "requests_errors": self._errors,
        }

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        """Count a connection."""
        self._open += 1

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        """Count a connection less."""
        self._open -= 1

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:
        """Count a command that has to wait."""
        self._asking += 1
        self._queued += self._taken + self._asking > self._max

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        """Count a connection in use."""
        self._asking -= 1
        self._taken += 1

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        """Count a connection free again."""
        self._taken -= 1

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        """Count a command that waits no longer."""
        self._asking -= 1

    def connection_ready(self, event: ConnectionReadyEvent) -> None:
        """Do nothing."""

    def pool_created(self, event: PoolCreatedEvent) -> None:
        """Do nothing."""

    def pool_ready(self, event: PoolReadyEvent) -> None:
        """Do nothing."""

    def pool_cleared(self, event: PoolClearedEvent) -> None:
        """Do nothing: every connection closed tells."""

    def pool_closed(self, event: PoolClosedEvent) -> None:
        """Do nothing: every connection closed tells."""
