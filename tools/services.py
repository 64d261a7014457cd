"""The services of this process: their clients, their operations and their health."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from domain.actions import Frozen, Operation
from domain.breakers import Breaker, Unguarded
from domain.errors import CircuitOpen, ConfigurationError, InvalidInput, NotFound, ServiceError, ServiceRefused
from tools.catalogue import Configured
from tools.documents import Shelf, parse_document
from tools.http import Bounds, PooledClient
from tools.http_answers import Answer
from tools.lookups import assured
from tools.openapi import Offer, read_offer

DOCUMENT_SECONDS = 2.0
DOCUMENT_BYTES = 5_000_000
HEALTH_AGE = timedelta(seconds=5)

log = logging.getLogger(__name__)


ANSWERS = "It answers."
"""All there is to say of a service in order."""


class Health(Frozen):
    """How a service was when it was last asked.

    Args:
        detail: One sentence: what is wrong, or what of its operations is missing.
    """

    service: str
    status: Literal["healthy", "unhealthy"]
    detail: str
    checked_at: datetime


class Connected:
    """One service: its client, what it offers, and how it is.

    Args:
        on_change: Called whenever the operations offered change.
    """

    def __init__(
        self,
        configured: Configured,
        *,
        bounds: Bounds,
        shelf: Shelf,
        now: Callable[[], datetime],
        on_change: Callable[[], None],
    ) -> None:
        self.configured = configured
        self.offer = Offer()
        self.is_current = False
        seconds = configured.entry.timeout_seconds
        own = replace(bounds, deadline_seconds=seconds, read_seconds=seconds, write_seconds=seconds)
        self.client = PooledClient(configured.name, configured.base_url, bounds=own, headers=configured.headers)
        self._asking = replace(own, deadline_seconds=DOCUMENT_SECONDS, answer_bytes=DOCUMENT_BYTES, attempts=1)
        self._shelf, self._now, self._on_change = shelf, now, on_change
        self._text = ""
        self._doubts = 0
        self._health: Health | None = None
        self._probing = asyncio.Lock()

    async def start(self) -> None:
        """Read the document, or the one kept from last time.

        Raises `ConfigurationError` when the document is a file of ours and unusable.
        """
        try:
            await self._read()
        except (ServiceError, InvalidInput, OSError) as error:
            if isinstance(self.configured.document, Path):
                raise ConfigurationError(f"{self.configured.document} is no readable OpenAPI document.") from error
            log.warning("service %s: %s", self.configured.name, _words(error))
            await self._recall()

    async def probe(self, max_age: timedelta = HEALTH_AGE) -> Health:
        """Return how the service is, or was lately; several callers at once ask it once."""
        async with self._probing:
            last = self._health
            if last is None or abs(self._now() - last.checked_at) >= max_age:
                doubts = self._doubts
                last = await self._asked()
                self._health = last if doubts == self._doubts else None
            return last

    def doubt(self) -> None:
        """Have the next who wants to know how it is ask again: a call has just failed."""
        self._doubts += 1
        self._health = None

    async def _asked(self) -> Health:
        try:
            await self._ask()
        except ServiceError as error:
            self.is_current = isinstance(self.configured.document, Path)
            return self._found("unhealthy", error.detail)
        except InvalidInput as error:
            return self._found("healthy", f"{ANSWERS} {error.detail}")
        return self._found("healthy", ANSWERS)

    async def _ask(self) -> None:
        """Ask for the health path, or the document, or anything; read the document of a service that came back.

        Raises `ServiceError` when the service does not answer, `InvalidInput` when only its document is unusable.
        """
        health, document = self.configured.entry.health, self.configured.document
        if health is None and self._is_ours(document):
            return await self._read()
        if health is not None:
            await self.client.request("GET", self.configured.base_url + health, bounds=self._asking)
        else:
            with suppress(ServiceRefused):
                await self.client.request("GET", f"{self.configured.base_url}/", bounds=self._asking)
        if not self.is_current:
            try:
                await self._read()
            except ServiceError as error:
                raise InvalidInput(f"Its document cannot be read: {error.detail}") from error
        return None

    def _found(self, status: Literal["healthy", "unhealthy"], detail: str) -> Health:
        if not self.offer.operations and status == "healthy":
            status, detail = "unhealthy", f"{detail} None of its allowed operations is known."
        if skipped := [f"{name} ({reason})" for name, reason in self.offer.skipped.items()]:
            detail = f"{detail} Not offered: {', '.join(skipped)}."
        return Health(service=self.configured.name, status=status, detail=detail, checked_at=self._now())

    def _is_ours(self, document: str | Path) -> bool:
        return isinstance(document, str) and document.startswith(f"{self.configured.base_url}/")

    async def _read(self) -> None:
        document = self.configured.document
        text = (
            await asyncio.to_thread(document.read_text, "utf-8")
            if isinstance(document, Path)
            else await self._fetched()
        )
        changed = await self._adopt(text)
        self.is_current = True
        if changed and isinstance(document, str):
            try:
                await self._shelf.keep(self.configured.name, text)
            except OSError as error:
                log.warning("service %s: its document cannot be kept: %s", self.configured.name, error.strerror)

    async def _fetched(self) -> str:
        document = str(self.configured.document)
        if self._is_ours(document):
            return (await self.client.request("GET", document, bounds=self._asking)).text
        elsewhere = PooledClient(self.configured.name, document.rpartition("/")[0], bounds=self._asking)
        try:  # another host: it must not see this service's headers
            return (await elsewhere.request("GET", document)).text
        finally:
            await elsewhere.aclose()

    async def _recall(self) -> None:
        if text := await self._shelf.last(self.configured.name):
            with suppress(InvalidInput):
                await self._adopt(text)

    async def _adopt(self, text: str) -> bool:
        """Take over a document and tell whether it is another one. Raises `InvalidInput`, and changes nothing then."""
        if text == self._text:
            return False
        self.offer = await asyncio.to_thread(self._offered, text)
        self._text = text
        self._on_change()
        return True

    def _offered(self, text: str) -> Offer:
        entry = self.configured.entry
        document = parse_document(text)
        offer = read_offer(
            document,
            service=self.configured.name,
            allowed=entry.operations,
            reads=entry.reads,
            reversible=entry.reversible,
        )
        return assured(offer, idempotent=entry.idempotent, lookups=entry.lookups)


class Services:
    """All services of this process; see `open_services`."""

    def __init__(
        self,
        configured: Sequence[Configured],
        *,
        bounds: Bounds,
        folder: Path,
        now: Callable[[], datetime],
        breaker_of: Callable[[str], Breaker],
    ) -> None:
        shelf = Shelf(folder)
        self._breakers = {each.name: breaker_of(each.name) for each in configured}
        self._connected = {
            each.name: Connected(each, bounds=bounds, shelf=shelf, now=now, on_change=self._forget)
            for each in configured
        }
        self._operations: tuple[Operation, ...] | None = None
        self._by_name: dict[tuple[str, str], Operation] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The services, in the order of the services file."""
        return tuple(self._connected)

    def operations(self) -> tuple[Operation, ...]:
        """Return every operation offered, in the order of the services file; the same tuple until one changes."""
        if self._operations is None:
            self._operations = tuple(each for one in self._connected.values() for each in one.offer.operations)
            self._by_name = {(each.service, each.name): each for each in self._operations}
        return self._operations

    def unknown(self) -> tuple[str, ...]:
        """Return the services of which no operation is known: they did not answer, and never had before."""
        return tuple(name for name, one in self._connected.items() if not one.offer.operations)

    def operation(self, service: str, name: str) -> Operation | None:
        """Return an operation, or `None` where it is not offered or not allowed."""
        self.operations()
        return self._by_name.get((service, name))

    def client(self, service: str) -> PooledClient:
        """Return the one client of a service. Raises `NotFound`."""
        return self._one(service).client

    async def request(self, service: str, method: str, url: str, **options: Any) -> Answer:
        """Call a service if its breaker lets it, and return its answer; health probes go past the breaker.

        After a call that fails and is no refusal its health is asked anew. Raises `ServiceError`.

        Args:
            options: As `PooledClient.request` takes them.
        """
        began = time.perf_counter()
        try:
            return await self.client(service).request(method, url, breaker=self._breakers[service], **options)
        except CircuitOpen:
            raise
        except ServiceError as error:
            error.duration_ms = (time.perf_counter() - began) * 1000
            if not isinstance(error, ServiceRefused):
                self._one(service).doubt()
            raise

    async def probe(self, service: str) -> Health:
        """Return how a service is, at most 5 s old and not from before its last failure. Raises `NotFound`."""
        return await self._one(service).probe()

    async def health(self) -> tuple[Health, ...]:
        """Return how every service is, asked at the same time, each at most 5 s old."""
        async with asyncio.TaskGroup() as group:
            probes = [group.create_task(one.probe()) for one in self._connected.values()]
        return tuple(probe.result() for probe in probes)

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the figures of every pool, by service; see `PooledClient.stats`."""
        return {name: one.client.stats() for name, one in self._connected.items()}

    async def start(self) -> None:
        """Read all documents at the same time. Raises `ConfigurationError` for an unusable file of ours."""
        for failure in await asyncio.gather(*(one.start() for one in self._connected.values()), return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure

    async def revisit(self, every_seconds: float) -> None:
        """Ask the services whose document is unknown or old again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_seconds)
            async with asyncio.TaskGroup() as group:
                for one in self._connected.values():
                    if not one.is_current:
                        group.create_task(one.probe(timedelta(0)))

    def _forget(self) -> None:
        self._operations = None

    def _one(self, service: str) -> Connected:
        if service not in self._connected:
            raise NotFound(f"There is no service called {service}.")
        return self._connected[service]


@asynccontextmanager
async def open_services(
    configured: Sequence[Configured],
    *,
    data_dir: Path,
    bounds: Bounds,
    now: Callable[[], datetime],
    breaker_of: Callable[[str], Breaker] = Unguarded.of,
    revisit_seconds: float = 5.0,
) -> AsyncIterator[Services]:
    """Open every service and close it again; a service that is down costs 2 s at most and stops nothing.

    Documents are kept in `data_dir/openapi` for a start without their service. A service without a current document
    is asked again every `revisit_seconds`. Raises `ConfigurationError` when a document is a file and unusable.

    Args:
        now: The time, with its zone.
        breaker_of: Gives each service its circuit breaker.
    """
    async with AsyncExitStack() as stack:
        services = Services(configured, bounds=bounds, folder=data_dir / "openapi", now=now, breaker_of=breaker_of)
        for name in services.names:
            stack.push_async_callback(services.client(name).aclose)
        await services.start()
        revisiting = asyncio.create_task(services.revisit(revisit_seconds))
        stack.push_async_callback(_stopped, revisiting)
        yield services


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def _words(error: Exception) -> str:
    return error.detail if isinstance(error, ServiceError | InvalidInput) else "Its document cannot be read."
