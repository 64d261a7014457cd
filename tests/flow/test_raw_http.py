"""Bytes that no client library would send: the server answers or hangs up, never breaks, and keeps serving others."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from tests.asking import ask
from tests.running import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAST = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
MEGABYTE = b"100000\r\n" + b"x" * 1_048_576 + b"\r\n"


def asking(session_id: str) -> bytes:
    return f'{{"user_id":1,"session_id":"{session_id}","message":"which pets are available?"}}'.encode()


def post(*fields: str, body: bytes = b"") -> bytes:
    head = ("POST /orchestrate HTTP/1.1", "Host: x", "Content-Type: application/json", *fields)
    return "\r\n".join((*head, "", "")).encode() + body


def get(*fields: bytes, path: bytes = b"/health") -> bytes:
    return b"\r\n".join((b"GET " + path + b" HTTP/1.1", b"Host: x", b"Connection: close", *fields, b"", b""))


@asynccontextmanager
async def connected(server: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    at = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()


async def told(server: Served, *parts: bytes, leave: bool = False) -> bytes:
    """Send the parts and return everything that comes until the server hangs up."""
    got = bytearray()
    async with connected(server) as (reader, writer):
        with suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
            if leave:
                writer.write_eof()
        with suppress(ConnectionError):
            while part := await reader.read(65_536):
                got += part
    return bytes(got)


def statuses(answer: bytes) -> list[int]:
    return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


async def runs(server: Served, session_id: str) -> int:
    answer = await server.client.get("/orchestrations", params={"session_id": session_id})
    return len(answer.json()["orchestrations"])


async def test_a_body_that_comes_slowly_keeps_nobody_waiting(shared: Served) -> None:
    body = asking("slow")
    async with connected(shared) as (reader, writer):
        writer.write(post(f"Content-Length: {len(body)}", body=body[:20]))
        await writer.drain()
        assert (await shared.client.get("/health")).status_code == 200
        writer.write(body[20:])
        assert b" 200 " in await reader.readline()


async def test_half_a_body_is_no_request_however_well_it_reads(shared: Served) -> None:
    body = asking("half")
    assert 200 not in statuses(await told(shared, post(f"Content-Length: {len(body) + 50}", body=body), leave=True))
    await ask(shared.client, "which pets are available?", session_id="half")  # waits for the run before it, if any
    assert await runs(shared, "half") == 1


async def test_what_is_more_than_announced_is_not_part_of_the_body(shared: Served) -> None:
    body = asking("short")
    answer = await told(shared, post(f"Content-Length: {len(body) - 10}", body=body + b"\r\n\r\n"))
    assert statuses(answer) == [400, 400]
    assert await runs(shared, "short") == 0


async def test_a_body_that_is_too_large_is_refused_and_the_connection_serves_on(shared: Served) -> None:
    for head, parts in (
        ("Transfer-Encoding: chunked", [*[MEGABYTE] * 10, b"0\r\n\r\n"]),
        ("Content-Length: 10000000", [b"x" * 1_000_000] * 10),
    ):
        answer = await told(shared, post(head), *parts, LAST)
        assert statuses(answer) == [413, 200]
        assert b"application/problem+json" in answer


async def flood(writer: asyncio.StreamWriter, *, megabytes: int) -> None:
    for _ in range(megabytes):
        writer.write(MEGABYTE)
        await writer.drain()


async def test_a_body_without_end_is_cut_off(shared: Served) -> None:
    async with connected(shared) as (_, writer):
        writer.write(post("Transfer-Encoding: chunked"))
        with pytest.raises(ConnectionError):
            await flood(writer, megabytes=500)
    assert (await shared.client.get("/health")).status_code == 200


async def test_who_asks_before_sending_too_much_is_refused_at_once(shared: Served) -> None:
    answer = await told(shared, post("Expect: 100-continue", "Content-Length: 10000000"))
    assert statuses(answer) == [413]
    assert b"connection: close" in answer.lower()


async def test_requests_in_a_row_are_answered_in_order_until_garbage_comes(shared: Served) -> None:
    good = get().replace(b"Connection: close\r\n", b"")
    assert statuses(await told(shared, good + good + b"\x00\x01 garbage\r\n\r\n" + LAST)) == [200, 200, 400]


async def test_garbage_behind_a_message_does_not_pass_for_its_answer(shared: Served) -> None:
    body = asking("garbled")
    answer = await told(shared, post(f"Content-Length: {len(body)}", body=body + b"\x00\x01 garbage\r\n\r\n"))
    assert statuses(answer) == [200, 400]
    assert await runs(shared, "garbled") == 1


async def test_a_message_whose_sender_offers_another_protocol_is_read_to_its_end(shared: Served) -> None:
    body = asking("upgrading")
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    async with connected(shared) as (reader, writer):
        writer.write(post(*offer, f"Content-Length: {len(body)}"))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(body)
        assert b" 200 " in await reader.readline()


async def test_what_stands_behind_a_body_is_no_header(shared: Served) -> None:
    body = asking("trailing")
    chunked = b"%x\r\n%b\r\n0\r\nX-Request-ID: fromtrailer\r\n\r\n" % (len(body), body)
    answer = await told(shared, post("Transfer-Encoding: chunked", "Connection: close", body=chunked))
    assert statuses(answer) == [200]
    assert b"fromtrailer" not in answer


BYTES: dict[str, tuple[bytes, set[int]]] = {
    "a TLS handshake": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", {400}),
    "a negative length": (post("Content-Length: -1", body=b"{}"), {400}),
    "two lengths": (post("Content-Length: 2", "Content-Length: 3", body=b"{}"), {400}),
    "an enormous length": (post("Content-Length: " + "9" * 30, body=b"{}"), {400}),
    "a length that is no ASCII": (post("Content-Length: ²", body=b"{}"), {400}),
    "a chunk that is none": (post("Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n"), {400}),
    "an unknown coding": (post("Transfer-Encoding: gzip", body=b"abc"), {400}),
    "NUL in a header": (get(b"X-A: a\x00b"), {400}),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", {400}),
    "no host in the old protocol": (b"GET /health HTTP/1.0\r\n\r\n", {200}),
    "two hosts": (get(b"Host: y"), {400}),
    "raw UTF-8 in the path": (get(path="/ä".encode()), {400}),
    "a path that is no escape": (get(path=b"/%zz"), {404}),
    "NUL in the path": (get(path=b"/orchestrations/%00"), {404}),
    "bytes that are no text": (get(path=b"/orchestrations?limit=%ff&%00=1"), {422}),
    "a key that is no text": (get(b"X-API-Key: \xff\xfe", b"Authorization: Bearer \xff"), {200}),
    "an event id that is no text": (get(b"Last-Event-ID: \xff\xed\xa0\x80", path=b"/orchestrations/a/stream"), {422}),
    "a method of its own": (get().replace(b"GET", b"BREW"), {405}),
    "a tunnel": (get(path=b"x:1").replace(b"GET", b"CONNECT"), {404}),
    "another protocol": (get(b"Upgrade: websocket").replace(b"close", b"upgrade") + LAST, {200}),
    "a GET with a body": (get(b"Content-Length: 3") + b"abc", {200}),
    "a long path": (get(path=b"/" + b"a" * 30_000), {404}),
}


@pytest.mark.parametrize("name", BYTES)
async def test_what_no_client_sends_breaks_nothing(shared: Served, name: str) -> None:
    sent, expected = BYTES[name]
    assert set(statuses(await told(shared, sent))) == expected
    assert (await shared.client.get("/health")).status_code == 200


BOMBS = {
    "one enormous header": [b"GET /health HTTP/1.1\r\nHost: x\r\nX: ", *[b"a" * 1_000_000] * 20, b"\r\n\r\n"],
    "very many headers": [b"GET /health HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n" * 200_000, b"\r\n"],
    "an enormous path": [b"GET /", *[b"a" * 1_000_000] * 5, b" HTTP/1.1\r\nHost: x\r\n\r\n"],
    "no end of headers": [b"GET /health HTTP/1.1\r\nHost: x\r\n", *[b"X-A: b\r\n" * 100_000] * 20],
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_head_without_measure_is_cut_off(shared: Served, name: str) -> None:
    assert set(statuses(await told(shared, *BOMBS[name]))) <= {400}
    assert (await shared.client.get("/health")).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json", "/orchestrations", "/nowhere"])
async def test_head_is_get_without_the_body(shared: Served, path: str) -> None:
    full, head = await shared.client.get(path), await shared.client.head(path)
    assert (head.status_code, head.content) == (full.status_code, b"")
    assert {name: head.headers[name] for name in ("content-type", "content-length")} == {
        name: full.headers[name] for name in ("content-type", "content-length")
    }


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "DELETE", "HEAD"])
async def test_a_method_that_a_path_does_not_take_is_told_those_it_takes(shared: Served, method: str) -> None:
    for path, allowed in (("/orchestrate", "POST"), ("/health", "HEAD, GET"), ("/approvals/pending", "HEAD, GET")):
        if method not in allowed:
            answer = await shared.client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
            assert answer.headers["content-type"] == "application/problem+json"
