"""The first form of a port that opens, and why it was not the one asked for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from boot.ports import Port
from domain.errors import ConfigurationError, StoreUnavailable

ONE_SERVER = "One server only: replicas cannot share it."


@dataclass(frozen=True, kw_only=True)
class Form[T]:
    """One way to serve a port.

    Args:
        name: What serves it, such as `SQLite file data/documents.sqlite`.
        opener: Returns its context, which may raise `StoreUnavailable`, or `ImportError` for a missing package.
        lost: One sentence: what the user goes without in this form; empty if nothing.
    """

    name: str
    opener: Callable[[], AbstractAsyncContextManager[T]]
    lost: str = ""


async def first_available[T](
    stack: AsyncExitStack, port: str, *, networked: Form[T] | None, embedded: Form[T], strict: bool, now: datetime
) -> tuple[T, Port]:
    """Open the networked form where one is configured, else the embedded one; the stack closes it.

    Raises `ConfigurationError` where `strict` and the configured form does not open: writing elsewhere would lose it.
    """
    if networked is None:
        opened = await stack.enter_async_context(embedded.opener())
        return opened, _port(port, "embedded", embedded, now, "Nothing else is configured.")
    try:
        opened = await stack.enter_async_context(networked.opener())
    except (StoreUnavailable, ImportError) as error:
        reason = _reason(error)
        if strict:
            raise ConfigurationError(
                f"{port}: {reason} ALLOW_DEGRADED=true starts without it: {embedded.name}. {embedded.lost}"
            ) from error
        opened = await stack.enter_async_context(embedded.opener())
        return opened, _port(port, "degraded", embedded, now, reason)
    return opened, _port(port, "networked", networked, now, "It answers.")


def _reason(error: StoreUnavailable | ImportError) -> str:
    if isinstance(error, ImportError):
        return f"The Python package {error.name or 'it needs'} is not installed."
    return error.detail


def _port[T](port: str, mode: str, form: Form[T], now: datetime, reason: str) -> Port:
    return Port.model_validate(
        {
            "port": port,
            "configured": mode != "embedded",
            "healthy": mode != "degraded",
            "mode": mode,
            "form": form.name,
            "since": now,
            "reason": reason,
            "lost": form.lost,
        }
    )
