"""How requests are read off the wire: by uvicorn's C parser, and with what uvicorn's Python parser does beside it.

A head is bounded, has one Host, and garbage behind requests does not take the answer that is due to them.
"""

from typing import Final

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES: Final = 65_536
"""Of a request line and its headers together; a longer head is answered 400."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, for requests from anybody."""

    _in_head = False
    _head_bytes = 0
    _unread_bytes = 0
    _hosts = 0
    _refusal: str | None = None

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that goes on and on is refused, although the parser tells nothing of it yet."""
        if self._refusal is not None:
            return
        before = self.headers if self._in_head else None
        super().data_received(data)
        if self._in_head and self.headers is before:
            self._unread_bytes += len(data)
            if self._unread_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head, self._head_bytes, self._unread_bytes, self._hosts = True, 0, 0, 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)
        self._hosts += self.headers[-1][0] == b"host"

    def on_headers_complete(self) -> None:
        """Begin to answer; raises `HttpParserError`, which becomes 400, for a request without one Host (RFC 9112)."""
        self._in_head = False
        if self._hosts > 1 or (self._hosts == 0 and self.parser.get_http_version() != "1.0"):
            raise HttpParserError("A request names one host.")
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Answer what was asked next, and what was no request when everything before it has its answer."""
        super().on_response_complete()
        if self._refusal is not None and self.cycle.response_complete and not self.transport.is_closing():
            super().send_400_response(self._refusal)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, and hang up; requests before it are answered first."""
        asked = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
        if not asked or (self.cycle.more_body and not self.pipeline):  # that one is itself broken
            super().send_400_response(msg)
        elif self.cycle.more_body:
            self.transport.close()  # whose answer a 400 were, nobody could tell
        else:
            self._refusal = msg
            self.flow.pause_reading()

    def _count(self, some: int) -> None:
        self._head_bytes += some
        if self._head_bytes > MOST_HEAD_BYTES:
            raise HttpParserError("The head of the request is too long.")
