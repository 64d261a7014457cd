"""Telling others: from the outbox to the receivers, again and again until each has taken what it is to know."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import random

import structlog

from boot.settings import Settings
from checkpoints.bell import Bell
from checkpoints.collections import Database
from checkpoints.outbox import Outbox
from domain.errors import ConfigurationError, InvalidInput, ServiceError, StoreError
from domain.webhooks import Delivery, key_of, origin_of, pause_after
from tools.webhooks import Receiver, checked_url

log = structlog.get_logger("webhooks")

LOOK_SECONDS = 1.0
"""How often the outbox is looked at without anybody ringing."""

FORGET_SECONDS = 3600.0
"""How often what was delivered long ago is removed."""

KEPT = timedelta(days=30)
"""How long deliveries are kept once they are made."""


@dataclass(frozen=True, kw_only=True)
class Telling:
    """How receivers are told.

    Args:
        attempts: After so many a delivery is dead.
        retry_seconds: The first pause; each is four times the one before.
        due: Rung when there are new deliveries.
    """

    outbox: Outbox
    bell: Bell
    clock: Callable[[], datetime]
    attempts: int
    retry_seconds: float
    due: Bell = field(default_factory=Bell)

    async def collect(self) -> None:
        """Turn what happened into deliveries, until cancelled."""
        with self.bell.heard() as rung:
            while True:
                rung.clear()
                collected = 0
                with _noted():
                    collected = await self.outbox.collect(self.clock())
                if collected:
                    self.due.ring()
                else:
                    await _rung(rung)

    async def deliver(self, receiver: Receiver) -> None:
        """Send one receiver what is due, one after the other, until cancelled."""
        with self.due.heard() as rung:
            while True:
                rung.clear()
                delivery = None
                with _noted():
                    if delivery := await self.outbox.claim(receiver.url, self.clock()):
                        await self._attempt(receiver, delivery)
                if delivery is None:
                    await _rung(rung)

    async def forget(self) -> None:
        """Remove what was delivered long ago, now and then, until cancelled."""
        while True:
            with _noted():
                await self.outbox.forget(self.clock() - KEPT)
            await asyncio.sleep(FORGET_SECONDS)

    async def _attempt(self, receiver: Receiver, delivery: Delivery) -> None:
        try:
            status = await receiver.tell(delivery, timestamp=int(self.clock().timestamp()))
        except ServiceError as error:
            await self._failed(delivery, error)
        else:
            await self.outbox.delivered(delivery, status, at=self.clock())

    async def _failed(self, delivery: Delivery, error: ServiceError) -> None:
        is_last = delivery.attempts >= self.attempts
        seconds = pause_after(delivery.attempts, first_seconds=self.retry_seconds, jitter=random())  # noqa: S311  # spreads, hides nothing
        again_at = None if is_last else self.clock() + timedelta(seconds=seconds)
        await self.outbox.failed(delivery, error.detail, error.status, again_at=again_at)
        tell = log.warning if is_last else log.info
        tell("webhook_failed", event_id=delivery.event_id, to=origin_of(delivery.url), attempts=delivery.attempts)


@asynccontextmanager
async def open_webhooks(
    settings: Settings, database: Database, bell: Bell, clock: Callable[[], datetime]
) -> AsyncIterator[Outbox]:
    """Tell the receivers of the settings until the block ends; raises `ConfigurationError`."""
    urls = webhook_urls(settings)
    outbox = Outbox(database, urls)
    await outbox.open()
    telling = Telling(
        outbox=outbox,
        bell=bell,
        clock=clock,
        attempts=settings.webhook_attempts,
        retry_seconds=settings.webhook_retry_seconds,
    )
    async with AsyncExitStack() as stack:
        receivers = [_receiver(settings, url) for url in urls]
        for receiver in receivers:
            stack.push_async_callback(receiver.aclose)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        loops = (
            [telling.collect(), telling.forget(), *(telling.deliver(each) for each in receivers)] if receivers else []
        )
        for loop in loops:
            stack.callback(tasks.create_task(loop).cancel)
        yield outbox


def webhook_urls(settings: Settings) -> tuple[str, ...]:
    """Return the receivers' addresses; raises `ConfigurationError`."""
    hosts = frozenset(each.strip().lower() for each in settings.webhook_allowed_hosts.split(",") if each.strip())
    given = [each.strip() for each in settings.webhook_urls.get_secret_value().split(",") if each.strip()]
    return tuple(dict.fromkeys(checked_url(each, allowed_hosts=hosts) for each in given))


def _receiver(settings: Settings, url: str) -> Receiver:
    if not settings.webhook_secret.get_secret_value():
        raise ConfigurationError("WEBHOOK_URLS needs WEBHOOK_SECRET: receivers must be able to tell who calls.")
    try:
        key = key_of(settings.webhook_secret.get_secret_value())
    except InvalidInput as error:
        raise ConfigurationError(f"WEBHOOK_SECRET: {error.detail}") from error
    return Receiver(url, key=key, timeout_seconds=settings.webhook_timeout_seconds)


@contextmanager
def _noted() -> Iterator[None]:
    """Note that a store did not answer; the next look comes soon."""
    try:
        yield
    except StoreError as error:
        log.warning("not_told", error=type(error).__name__, detail=error.detail)


async def _rung(rung: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            await rung.wait()
