"""One pooled HTTP client per service: bounded, retried in this one place, and precise about what may have happened."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx2
import stamina

from domain.breakers import Breaker, Unguarded
from domain.errors import CircuitOpen, ServiceBroke, ServiceError, ServiceRefused, ServiceTimeout, ServiceUnavailable
from tools.guarding import guarded
from tools.http_answers import Answer, read_text, retry_after
from tools.transport import Transport, tls

SAFE = frozenset({"GET", "HEAD"})
RETRIED = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one call may cost.

    Args:
        deadline_seconds: For the whole call: waiting for a slot, every attempt and every pause between them.
        keepalive_seconds: An idle connection is dropped after this; shorter than the 2 s and 5 s of usual servers,
            because a write on a connection the server is just closing ends as "may have been applied".
        answer_bytes: The largest answer taken, counted after decompression.
        attempts: Sends at most, for calls that may be repeated.
        retry_after_max_seconds: The longest pause a service's `Retry-After` can ask for.
    """

    max_connections: int = 20
    max_keepalive: int = 10
    keepalive_seconds: float = 1.5
    connect_seconds: float = 2.0
    read_seconds: float = 10.0
    write_seconds: float = 10.0
    pool_seconds: float = 2.0
    deadline_seconds: float = 10.0
    answer_bytes: int = 1_000_000
    attempts: int = 3
    wait_initial_seconds: float = 0.1
    wait_max_seconds: float = 2.0
    wait_jitter_seconds: float = 0.2
    retry_after_max_seconds: float = 5.0


@dataclass
class _Call:
    """One call, and what is known about it so far.

    Args:
        tried_at: When the attempt under way got a connection or began to open one; `None` before.
        sent_at: When the attempt under way began to send; `None` before, and between two attempts.
        failed: How the last attempt ended, while none is under way.
        doubt: The last attempt of a write that may have been applied.
        before_send: What it raises keeps the attempt under way from being sent.
    """

    method: str
    url: str
    content: bytes | None
    headers: Mapping[str, str]
    bounds: Bounds
    ends: float
    breaker: Breaker
    before_send: Callable[[], None]
    tried_at: float | None = None
    sent_at: float | None = None
    retry_after: float | None = None
    failed: ServiceError | None = None
    doubt: ServiceError | None = None

    async def trace(self, event: str, info: object) -> None:
        """Note when the service is asked at all, and from when on it may act on the request."""
        self.tried_at = self.tried_at or time.perf_counter()
        if event == "http11.send_request_headers.started":
            self.before_send()
            self.sent_at = time.perf_counter()

    @property
    def was_tried(self) -> bool:
        return self.tried_at is not None

    @property
    def is_overdue(self) -> bool:
        return asyncio.get_running_loop().time() >= self.ends

    def lasted(self) -> float:
        return time.perf_counter() - self.tried_at if self.tried_at else 0.0

    def begin(self) -> None:
        self.tried_at = self.sent_at = self.retry_after = self.failed = None

    def end(self, error: ServiceError) -> None:
        self.sent_at, self.failed = None, error
        if error.may_have_applied and self.method not in SAFE:
            self.doubt = error

    def pause(self, error: Exception) -> bool | float:
        """Return whether another attempt makes sense, or the seconds the service asked to wait before it."""
        if not isinstance(error, ServiceError) or not _is_passing(error):
            return False
        if self.retry_after is None:
            return True
        wait = min(self.retry_after, self.bounds.retry_after_max_seconds)
        return wait if wait < self.ends - asyncio.get_running_loop().time() else False


class PooledClient:
    """The one client of one service.

    GET, HEAD and calls with an idempotency key are repeated on 429, 502, 503, 504 and transport errors, with jitter
    and `Retry-After` honoured up to a cap; everything else is sent once. Redirects are never followed, not even on the
    same host: what was approved is one URL. Cookies are not kept, proxies of the environment not used.

    Args:
        service: The service's name, for errors.
        base_url: Requests elsewhere are refused, so that the service's headers cannot leave it.
        headers: Sent with every request.
    """

    def __init__(
        self, service: str, base_url: str, *, bounds: Bounds, headers: Mapping[str, str] | None = None
    ) -> None:
        self.service = service
        self.base_url = base_url.rstrip("/")
        self.bounds = bounds
        self._transport = Transport(verify=tls(self.base_url), trust_env=False, limits=_limits(bounds))
        self._client = httpx2.AsyncClient(
            transport=self._transport,
            trust_env=False,
            headers={"User-Agent": "ai-orchestration-layer", **(headers or {})},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        self._in_flight = self._total = self._queued = self._errors = self._retries = 0

    async def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        bounds: Bounds | None = None,
        breaker: Breaker | None = None,
        before_send: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Send one call and return its 2xx answer.

        Raises `ServiceUnavailable` when nothing was sent (`CircuitOpen`: by the breaker's word), `ServiceTimeout` and
        `ServiceBroke` when it was and no whole answer came, `ServiceRefused` (4xx), `ServiceFailed` (5xx),
        `ResponseRejected` (too large, undecodable, redirect). Of several attempts of a write, one that may have been
        applied decides the error.

        Args:
            url: Absolute, below the client's base URL.
            idempotency_key: Sent as `Idempotency-Key`; only for operations that honour it, because it allows retries.
            bounds: For this call alone; the connection limits are the pool's all the same.
            breaker: Guards every attempt by itself; none for questions that are not calls, such as health probes.
            before_send: Called when an attempt has its connection, right before its first byte.
        """
        bounds = bounds or self.bounds
        keyed = {**(headers or {}), **({"Idempotency-Key": idempotency_key} if idempotency_key else {})}
        ends = asyncio.get_running_loop().time() + bounds.deadline_seconds
        call = _Call(method, url, content, keyed, bounds, ends, breaker or Unguarded(), before_send)
        with self._counted():
            return await self._within_deadline(call, repeatable=method in SAFE or bool(idempotency_key))

    def stats(self) -> dict[str, int]:
        """Return the pool's figures.

        `pool_available` counts the calls that could start at once, `requests_queued` the calls so far that found every
        connection taken, `requests_errors` the calls so far without an answer or with one that is no 2xx or 4xx.
        """
        return {
            "pool_max": self.bounds.max_connections,
            "pool_size": self._transport.size(),
            "pool_available": max(0, self.bounds.max_connections - self._in_flight),
            "requests_total": self._total,
            "requests_queued": self._queued,
            "requests_errors": self._errors,
            "retries": self._retries,
        }

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._total += 1
        self._queued += self._in_flight >= self.bounds.max_connections
        self._in_flight += 1
        try:
            yield
        except ServiceError as error:
            self._errors += not isinstance(error, ServiceRefused)
            raise
        finally:
            self._in_flight -= 1

    async def _within_deadline(self, call: _Call, *, repeatable: bool) -> Answer:
        try:
            async with asyncio.timeout_at(call.ends):
                return await (self._repeated(call) if repeatable and call.bounds.attempts > 1 else self._attempt(call))
        except TimeoutError as late:
            error = call.failed or self._no_answer(call, ServiceTimeout)
            raise self._most_doubtful(call, error) from late
        except ServiceError as error:
            if self._most_doubtful(call, error) is error:
                raise
            raise self._most_doubtful(call, error) from error

    async def _repeated(self, call: _Call) -> Answer:
        bounds = call.bounds
        async for attempt in stamina.retry_context(
            on=call.pause,
            attempts=bounds.attempts,
            timeout=None,
            wait_initial=bounds.wait_initial_seconds,
            wait_max=bounds.wait_max_seconds,
            wait_jitter=bounds.wait_jitter_seconds,
        ):
            with attempt:
                self._retries += attempt.num > 1
                return await self._attempt(call)
        raise AssertionError("stamina raises the last error itself")

    async def _attempt(self, call: _Call) -> Answer:
        call.begin()
        try:
            async with guarded(call.breaker, call, deadline_seconds=call.bounds.deadline_seconds):
                return await self._send(call)
        except ServiceError as error:
            call.end(error)
            raise

    async def _send(self, call: _Call) -> Answer:
        if not call.url.startswith((f"{self.base_url}/", f"{self.base_url}?")):
            raise ServiceUnavailable(
                f"The address lies outside {self.service}; nothing was sent.", service=self.service
            )
        try:
            async with self._client.stream(
                call.method,
                call.url,
                content=call.content,
                headers=call.headers,
                timeout=_timeouts(call.bounds),
                extensions={"trace": call.trace},
            ) as response:
                call.retry_after = retry_after(response.headers)
                text = await read_text(response, service=self.service, limit=call.bounds.answer_bytes)
                took = time.perf_counter() - (call.sent_at or 0.0)
                return Answer(response.status_code, dict(response.headers), text, round(took * 1000, 3))
        except httpx2.TimeoutException as error:
            raise self._no_answer(call, ServiceTimeout) from error
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise self._no_answer(call, ServiceBroke) from error

    def _no_answer(self, call: _Call, kind: type[ServiceTimeout | ServiceBroke]) -> ServiceError:
        """Return `ServiceUnavailable` if nothing of the attempt under way was sent, else an error of the given kind."""
        if call.sent_at is None:
            return ServiceUnavailable(f"{self.service} cannot be reached; nothing was sent.", service=self.service)
        how = "did not answer in time" if kind is ServiceTimeout else "broke the connection"
        doubt = "" if call.method in SAFE else "; the call may have been applied"
        return kind(f"{self.service} {how}{doubt}.", service=self.service)

    @staticmethod
    def _most_doubtful(call: _Call, error: ServiceError) -> ServiceError:
        """Return the error to raise: after "may have been applied", a later attempt that was not proves nothing."""
        return error if error.may_have_applied or call.doubt is None else call.doubt


def _is_passing(error: ServiceError) -> bool:
    """Tell whether another attempt may end better; a full pool or an open circuit is no reason to queue again."""
    if isinstance(error, CircuitOpen) or isinstance(error.__cause__, httpx2.PoolTimeout | httpx2.InvalidURL):
        return False
    return error.status in RETRIED or isinstance(error, ServiceUnavailable | ServiceTimeout | ServiceBroke)


def _timeouts(bounds: Bounds) -> httpx2.Timeout:
    return httpx2.Timeout(
        connect=bounds.connect_seconds,
        read=bounds.read_seconds,
        write=bounds.write_seconds,
        pool=bounds.pool_seconds,
    )


def _limits(bounds: Bounds) -> httpx2.Limits:
    return httpx2.Limits(
        max_connections=bounds.max_connections,
        max_keepalive_connections=bounds.max_keepalive,
        keepalive_expiry=bounds.keepalive_seconds,
    )
