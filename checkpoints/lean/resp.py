"""Redis's wire protocol, as much as our scripts need: requests packed, replies read as they arrive.

RESP, https://redis.io/docs/latest/develop/reference/protocol-spec/: strings, numbers, errors, nothing, and arrays of
these. The driver does the rest (address, TLS, passwords); its own reader costs more processor time than our commands.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from redis.exceptions import InvalidResponse, RedisError

type Argument = bytes | str | int

NOTHING_YET = 4
"""The shortest reply has as many bytes."""


def packed(arguments: Sequence[Argument]) -> bytes:
    """Return a request."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        each = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(each), each))
    return b"".join(parts)


class _Incomplete(Exception):
    """The reply goes on behind what has arrived; `args[0]` is how many bytes it has at least."""


class Replies:
    """What has arrived and was not read yet.

    Args:
        error_of: Returns the driver's exception for the text of an error.
    """

    def __init__(self, error_of: Any) -> None:
        self._arrived = bytearray()
        self._needed = NOTHING_YET
        self._error_of = error_of

    def read(self, arrived: bytes) -> Iterator[Any]:
        """Yield every reply that is complete now; an error is yielded as an exception.

        Raises redis-py's `InvalidResponse` for what is no reply.
        """
        self._arrived += arrived
        if len(self._arrived) < self._needed:
            return
        text, at = bytes(self._arrived), 0
        try:
            while at < len(text):
                reply, at = self._reply(text, at)
                self._needed = NOTHING_YET
                if reply is not PUSHED:
                    yield reply
        except _Incomplete as incomplete:
            self._needed = incomplete.args[0] - at
        finally:
            del self._arrived[:at]

    def _reply(self, text: bytes, at: int) -> tuple[Any, int]:
        end = text.find(b"\r\n", at)
        if end < 0:
            raise _Incomplete(len(text) + 1)
        kind, line, at = text[at], text[at + 1 : end], end + 2
        if kind == BULK:
            return self._bulk(text, at, int(line))
        if kind == NUMBER:
            return int(line), at
        if kind in (ARRAY, PUSH):
            return self._array(text, at, int(line), pushed=kind == PUSH)
        if kind == SIMPLE:
            return line, at
        if kind == ERROR:
            error: RedisError = self._error_of(line.decode(errors="replace"))
            return error, at
        if kind == NULL:
            return None, at
        raise InvalidResponse(f"Redis answered with {text[at : at + 20]!r}.")

    @staticmethod
    def _bulk(text: bytes, at: int, length: int) -> tuple[bytes | None, int]:
        if length < 0:
            return None, at
        if len(text) < at + length + 2:
            raise _Incomplete(at + length + 2)
        return text[at : at + length], at + length + 2

    def _array(self, text: bytes, at: int, length: int, *, pushed: bool) -> tuple[Any, int]:
        if length < 0:
            return None, at
        items: list[Any] = []
        for _ in range(length):
            item, at = self._reply(text, at)
            items.append(item)
        return (PUSHED if pushed else items), at


BULK, NUMBER, ARRAY, SIMPLE, ERROR, NULL, PUSH = b"$:*+-_>"
PUSHED = object()
"""What nobody asked for; it belongs to no request."""
