"""The connections to one service: how many there are, and whom they trust."""

import functools
import ssl

import httpx2


class Transport(httpx2.AsyncHTTPTransport):
    """The pool, with the one number operators ask for."""

    def size(self) -> int:
        """Return how many connections there are."""
        return len(self._pool.connections)


def tls(base_url: str) -> ssl.SSLContext:
    """Return the context all clients share; plain HTTP gets an empty one that trusts nobody and costs nothing."""
    return _trusting() if base_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _trusting() -> ssl.SSLContext:
    """Load the system's certificates once (25 ms); `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured."""
    return httpx2.create_ssl_context()
