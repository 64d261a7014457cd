"""The Redis of this process: a pool that waits instead of failing, short timeouts, retries of our own choice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from domain.errors import ConfigurationError, StoreUnavailable

PATIENT: dict[str, Any] = {
    "timeout": 20,  # for a free connection: 200 sessions at once on a busy machine waited longer than 5 s
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "health_check_interval": 15,
    "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
    "retry_on_error": [RedisConnectionError, RedisTimeoutError],
}
"""For what must not be lost: a restart of Redis is waited for, a while."""

PROMPT: dict[str, Any] = {
    "timeout": 0.5,
    "socket_timeout": 0.25,
    "socket_connect_timeout": 0.25,
    "retry": Retry(NoBackoff(), 0),
}
"""For what has a form without Redis: an answer at once or none."""


REFUSALS = {
    "maxmemory": "has no memory left (maxmemory)",
    "read only": "is a replica, which takes no writes",
    "is loading": "is still reading what it has stored",
    "MISCONF": "cannot write to its disk, and so takes no writes",
    "bulk length": "takes no values as large as this one (proto-max-bulk-len)",
}
"""What a Redis's refusals contain, of every version and from within scripts, and what they mean."""

CLUSTER = (
    "REDIS_URL names a node of a Redis Cluster, which spreads its keys over several servers: name a Redis that is none,"
    " with a replica that can take over."
)


@asynccontextmanager
async def open_redis(url: str, *, max_connections: int, manner: dict[str, Any]) -> AsyncIterator["Redis"]:
    """Open a pool and close it again; raises `ConfigurationError` for a URL that is none, `StoreUnavailable`.

    Args:
        max_connections: The pool's size; who finds none free waits.
        manner: `PATIENT` or `PROMPT`.
    """
    try:
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(url, max_connections=max_connections, **manner)
    except ValueError as error:
        raise ConfigurationError("REDIS_URL is not a Redis address, such as redis://127.0.0.1:6379/0.") from error
    client = Redis(connection_pool=pool)
    try:
        await ping(client)
        if await _is_cluster(client):
            raise ConfigurationError(CLUSTER)
        yield client
    finally:
        await client.aclose()
        await pool.aclose()


async def ping(client: "Redis") -> None:
    """Ask Redis whether it is there; raises `StoreUnavailable`."""
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis {reason(error)}.") from error


def reason(error: Exception) -> str:
    """Return what a Redis does that raised an error, as the rest of a sentence for operators."""
    said = str(error)
    for part, words in REFUSALS.items():
        if part in said:
            return words
    if isinstance(error, AuthenticationError) or "NOAUTH" in said:
        return "does not know the user or the password of its address"
    return (
        "refuses a command; see its log and its access rules" if isinstance(error, ResponseError) else "does not answer"
    )


def tagged(name: str) -> str:
    """Return a name in braces, by which a cluster keeps keys together (Redis Cluster's hash tags).

    The first closing brace would end the tag, and nothing between braces is none: both are written otherwise.
    """
    return f"{{{name.replace('%', '%25').replace('}', '%7D') or '%'}}}"


def untagged(tag: str) -> str:
    """Return the name again."""
    return "" if tag == "{%}" else tag[1:-1].replace("%7D", "}").replace("%25", "%")


async def _is_cluster(client: "Redis") -> bool:
    """Ask for the server's mode, which some do not tell to everybody."""
    try:
        said: Any = await client.execute_command("HELLO")  # type: ignore[no-untyped-call]  # redis-py
    except ResponseError:
        return False
    return b"cluster" in (said.values() if isinstance(said, dict) else said)


def pool_stats(client: "Redis") -> dict[str, int]:
    """Return the pool's figures, by the names operators know."""
    pool: Any = client.connection_pool
    in_use = len(pool._in_use_connections)  # noqa: SLF001  # redis-py tells them nowhere else
    return {
        "idle_connections": sum(each is not None for each in pool._available_connections),  # noqa: SLF001  # the same
        "in_use_connections": in_use,
        "max_connections": pool.max_connections,
    }
