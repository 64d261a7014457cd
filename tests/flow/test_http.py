"""The pooled client against real servers: retries, bounds, classification and cancelled calls."""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from domain.errors import (
    ResponseRejected,
    ServiceBroke,
    ServiceError,
    ServiceFailed,
    ServiceRefused,
    ServiceTimeout,
    ServiceUnavailable,
)
from tests.downstream import Behaviour, Downstream, Recorded, Reply, always, raw_server, replying, serving, unused_port
from tools.http import Bounds, PooledClient

BOUNDS = Bounds(
    deadline_seconds=5, wait_initial_seconds=0.01, wait_jitter_seconds=0.01, wait_max_seconds=0.05, max_connections=5
)
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"


@asynccontextmanager
async def client_of(base_url: str, bounds: Bounds = BOUNDS) -> AsyncIterator[PooledClient]:
    client = PooledClient("shop", base_url, bounds=bounds)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def shop(*script: Behaviour, last: Behaviour | None = None) -> AsyncIterator[tuple[Downstream, str]]:
    app = Downstream(last or always(200, {"ok": True}), list(script))
    async with serving(app) as url:
        yield app, url


async def never(request: Recorded) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


async def test_get_is_repeated_until_the_service_recovers() -> None:
    async with shop(always(503), always(429)) as (app, url), client_of(url) as client:
        answer = await client.request("GET", f"{url}/pets")
        assert (answer.status, answer.text, len(app.seen)) == (200, '{"ok": true}', 3)
        assert answer.headers["content-type"] == "application/json"
        assert answer.duration_ms > 0
        assert client.stats() == {
            "pool_max": 5,
            "pool_size": 1,
            "pool_available": 5,
            "requests_total": 1,
            "requests_queued": 0,
            "requests_errors": 0,
            "retries": 2,
        }


async def test_retry_after_is_honoured_and_capped() -> None:
    async with shop(always(503, retry_after="1"), always(503, retry_after="60")) as (_, url):
        bounds = Bounds(retry_after_max_seconds=0.3)
        async with client_of(url, bounds) as client:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await client.request("GET", f"{url}/")
            assert 0.6 <= loop.time() - began < 1.5


async def test_retry_after_beyond_the_deadline_is_not_waited_for() -> None:
    async with shop(always(503, retry_after="4")) as (app, url):
        async with client_of(url, Bounds(deadline_seconds=2)) as client:
            async with asyncio.timeout(1):
                with pytest.raises(ServiceFailed) as caught:
                    await client.request("GET", f"{url}/")
        assert (caught.value.status, len(app.seen)) == (503, 1)


async def test_retry_after_may_be_a_date() -> None:
    date, later = "Tue, 03 Nov 2026 10:00:00 GMT", "Tue, 03 Nov 2026 11:00:00 GMT"
    async with shop(always(503, date=date, retry_after=later)) as (app, url):
        async with client_of(url, Bounds(deadline_seconds=2)) as client:
            with pytest.raises(ServiceFailed):
                await client.request("GET", f"{url}/")
        assert len(app.seen) == 1


@pytest.mark.parametrize("status", [500, 503])
async def test_a_write_without_a_key_is_sent_once_when_the_service_fails(status: int) -> None:
    async with shop(always(status, {"why": "disk"})) as (app, url), client_of(url) as client:
        with pytest.raises(ServiceFailed) as caught:
            await client.request("POST", f"{url}/orders", content=b"{}")
        assert len(app.seen) == 1
        assert (caught.value.status, caught.value.body, caught.value.may_have_applied) == (
            status,
            '{"why": "disk"}',
            True,
        )


async def test_a_write_without_a_key_is_sent_once_when_the_answer_is_cut() -> None:
    seen: list[bytes] = []
    async with raw_server(CUT, seen) as url, client_of(url) as client:
        with pytest.raises(ServiceBroke) as caught:
            await client.request("POST", f"{url}/orders", content=b"{}")
        assert (len(seen), caught.value.may_have_applied) == (1, True)


async def test_a_cut_get_is_repeated_and_then_reported() -> None:
    seen: list[bytes] = []
    async with raw_server(CUT, seen) as url, client_of(url) as client:
        with pytest.raises(ServiceBroke):
            await client.request("GET", f"{url}/orders")
        assert (len(seen), client.stats()["retries"], client.stats()["requests_errors"]) == (3, 2, 1)


async def test_a_write_with_a_key_is_repeated_with_the_same_key() -> None:
    async with shop(always(503), always(502)) as (app, url), client_of(url) as client:
        await client.request("POST", f"{url}/orders", content=b'{"a":1}', idempotency_key="k-1")
        assert [(seen.headers["idempotency-key"], seen.body) for seen in app.seen] == [("k-1", b'{"a":1}')] * 3


async def test_a_refusal_after_an_attempt_in_doubt_stays_in_doubt() -> None:
    async with shop(always(503), always(404)) as (app, url), client_of(url) as client:
        with pytest.raises(ServiceFailed) as caught:
            await client.request("DELETE", f"{url}/orders/1", idempotency_key="k-1")
        assert (caught.value.status, caught.value.may_have_applied, len(app.seen)) == (503, True, 2)


@pytest.mark.parametrize("status", [400, 404, 409])
async def test_a_refusal_is_not_repeated(status: int) -> None:
    async with shop(always(status, "no")) as (app, url), client_of(url) as client:
        with pytest.raises(ServiceRefused) as caught:
            await client.request("GET", f"{url}/")
        assert (caught.value.status, caught.value.body, caught.value.may_have_applied) == (status, '"no"', False)
        assert len(app.seen) == 1


async def test_a_too_large_answer_is_rejected_and_the_pool_goes_on() -> None:
    bounds = Bounds(answer_bytes=1000, max_connections=1)
    async with shop(always(200, "x" * 2000)) as (_, url), client_of(url, bounds) as client:
        with pytest.raises(ResponseRejected):
            await client.request("GET", f"{url}/")
        assert (await client.request("GET", f"{url}/")).status == 200


async def test_the_size_bound_counts_decompressed_bytes() -> None:
    async def bomb(request: Recorded) -> Reply:
        return 200, {"content-encoding": "gzip"}, gzip.compress(bytes(20_000_000))

    async with shop(bomb) as (_, url), client_of(url) as client:
        with pytest.raises(ResponseRejected, match="larger than 1000000 bytes"):
            await client.request("GET", f"{url}/")


async def test_a_body_that_cannot_be_decompressed_is_rejected() -> None:
    async with shop(always(200, "plain", content_encoding="gzip")) as (_, url), client_of(url) as client:
        with pytest.raises(ResponseRejected):
            await client.request("GET", f"{url}/")


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/else", "/same-host"])
async def test_redirects_are_refused(target: str) -> None:
    async with shop(always(307, location=target)) as (app, url), client_of(url) as client:
        with pytest.raises(ResponseRejected):
            await client.request("GET", f"{url}/")
        assert len(app.seen) == 1


@pytest.mark.parametrize("bounds", [Bounds(deadline_seconds=0.1), Bounds(read_seconds=0.1, attempts=1)])
async def test_a_slow_service_is_a_timeout_that_may_have_been_applied(bounds: Bounds) -> None:
    async with shop(last=never) as (app, url), client_of(url, bounds) as client:
        with pytest.raises(ServiceTimeout) as caught:
            await client.request("POST", f"{url}/")
        assert (caught.value.may_have_applied, len(app.seen)) == (True, 1)


async def test_a_refused_connection_means_nothing_was_sent() -> None:
    async with unused_port() as port, client_of(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(ServiceUnavailable) as caught:
            await client.request("POST", f"http://127.0.0.1:{port}/orders")
        assert caught.value.may_have_applied is False


@pytest.mark.parametrize("bounds", [{"pool_seconds": 0.1}, {"deadline_seconds": 0.1}])
async def test_waiting_in_vain_for_a_slot_means_nothing_was_sent(bounds: dict[str, float]) -> None:
    async with shop(last=never) as (app, url), client_of(url, Bounds(max_connections=1)) as client:
        arrived = asyncio.create_task(client.request("POST", f"{url}/first"))
        await app.reached.wait()
        with pytest.raises(ServiceUnavailable):
            await client.request("POST", f"{url}/second", bounds=Bounds(**bounds))  # type: ignore[arg-type] # floats only
        assert (len(app.seen), client.stats()["requests_queued"], client.stats()["pool_available"]) == (1, 1, 0)
        arrived.cancel()


async def test_nothing_leaves_the_service() -> None:
    async with shop() as (app, url), client_of(f"{url}/v1") as client:
        for elsewhere in (f"{url}/v2/pets", f"{url}/v1.evil/pets", "http://127.0.0.1:1/v1/pets"):
            with pytest.raises(ServiceUnavailable):
                await client.request("POST", elsewhere)
        assert app.seen == []


async def test_cookies_of_one_call_do_not_reach_the_next() -> None:
    async with shop(always(200, set_cookie="who=alice; Path=/")) as (app, url), client_of(url) as client:
        await client.request("GET", f"{url}/")
        await client.request("GET", f"{url}/")
        assert "cookie" not in app.seen[1].headers


async def test_the_pool_survives_thousands_of_cancelled_calls() -> None:
    async def brief(request: Recorded) -> Reply:
        await asyncio.sleep(0.005)
        return replying(200)

    chance = random.Random(7)  # noqa: S311 # no secret
    async with shop(last=brief) as (_, url), client_of(url) as client:

        async def caller() -> None:
            for _ in range(125):
                with suppress(TimeoutError, ServiceError):
                    async with asyncio.timeout(chance.uniform(0, 0.06)):
                        await client.request("GET", f"{url}/")

        async with asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(caller())
        answers = await asyncio.gather(*(client.request("GET", f"{url}/") for _ in range(10)))
        assert [answer.status for answer in answers] == [200] * 10
        assert (client.stats()["pool_available"], client.stats()["requests_total"]) == (5, 5010)
