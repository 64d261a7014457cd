"""Documents from the web: allowed hosts only, never a private address, whatever a redirect says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demo.serving import listener, serving
from domain.errors import Forbidden, OrchestrationError, UnreadableDocument
from tests.knowing import ended, search
from tests.running import served, settings_for
from tests.services import DemoServices
from tools.knowledge.fetching import fetcher

LOOPBACK = "127.0.0.0/8,::1/128"
SEEN: list[str] = []


async def page(request: Request) -> Response:
    SEEN.append(request.headers["host"])
    return PlainTextResponse("Goods may be sent back within 30 days.")


async def away(request: Request) -> Response:
    return RedirectResponse(request.query_params["to"])


async def large(_: Request) -> Response:
    return Response(b"x" * 2_000, media_type="text/plain")


async def circle(_: Request) -> Response:
    return RedirectResponse("/circle")


ROUTES: list[BaseRoute] = [
    Route("/circle", circle),
    Route("/page.txt", page),
    Route("/away", away),
    Route("/large", large),
]


@asynccontextmanager
async def web() -> AsyncIterator[int]:
    async with serving(FastAPI(routes=ROUTES), listener("127.0.0.1", 0)) as running:
        yield running.port


async def test_an_allowed_host_is_asked_by_its_name_at_the_address_that_was_checked() -> None:
    async with web() as port:
        fetched = await fetcher(f"localhost:{port}", LOOPBACK, most_bytes=1_000).fetch(
            f"http://localhost:{port}/page.txt"
        )
    assert (fetched.content, fetched.content_type.partition(";")[0]) == (
        b"Goods may be sent back within 30 days.",
        "text/plain",
    )
    assert SEEN[-1] == f"localhost:{port}"


REFUSED = [
    "http://example.org/x",
    "http://localhost/x",
    "http://LOCALHOST:1/x",
    "ftp://localhost:{port}/x",
    "file:///etc/passwd",
    "http://user:secret@localhost:{port}/page.txt",
    "http://localhost:{port}.example.org/",
    "//localhost:{port}/page.txt",
    "localhost",
    "http://[::1",
    "",
]


@pytest.mark.parametrize("url", REFUSED)
async def test_an_address_that_is_not_on_the_list_is_refused(url: str) -> None:
    async with web() as port:
        with pytest.raises(Forbidden):
            await fetcher(f"localhost:{port}", LOOPBACK, most_bytes=1_000).fetch(url.format(port=port))


PRIVATE = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    "0.0.0.0",  # noqa: S104  # asked, not bound
    "[::ffff:127.0.0.1]",
    "169.254.169.254",
    "10.0.0.1",
    "[64:ff9b::7f00:1]",
]


@pytest.mark.parametrize("host", PRIVATE)
async def test_a_private_address_is_refused_though_its_host_is_on_the_list(host: str) -> None:
    async with web() as port:
        with pytest.raises(Forbidden, match="private address"):
            await fetcher(f"{host.strip('[]')}:{port}", "", most_bytes=1_000).fetch(f"http://{host}:{port}/page.txt")


@pytest.mark.parametrize("to", ["http://127.0.0.1:{port}/page.txt", "http://10.0.0.1/", "file:///etc/passwd", "//x/"])
async def test_a_redirect_is_checked_like_the_first_address(to: str) -> None:
    async with web() as port:
        url = f"http://localhost:{port}/away?to={to.format(port=port)}"
        with pytest.raises(Forbidden):
            await fetcher(f"localhost:{port}", LOOPBACK, most_bytes=1_000).fetch(url)


async def test_a_redirect_to_a_private_address_is_refused_though_its_host_is_on_the_list() -> None:
    async with web() as port:
        allowed = fetcher(f"localhost:{port}, 10.0.0.1", LOOPBACK, most_bytes=1_000)
        with pytest.raises(Forbidden, match="private address"):
            await allowed.fetch(f"http://localhost:{port}/away?to=http://10.0.0.1/")


async def test_a_name_that_gets_another_address_after_the_check_is_asked_at_the_checked_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    resolve, answers = loop.getaddrinfo, ["127.0.0.1", "127.0.0.9"]

    async def changing(host: Any, *more: Any, **options: Any) -> Any:
        return await resolve(answers.pop(0) if host == "rebound.example" else host, *more, **options)

    monkeypatch.setattr(loop, "getaddrinfo", changing)
    async with web() as port:
        allowed = fetcher(f"rebound.example:{port}", "127.0.0.1/32", most_bytes=1_000)
        url = f"http://rebound.example:{port}/page.txt"
        assert (await allowed.fetch(url)).content == b"Goods may be sent back within 30 days."
        assert (answers, SEEN[-1]) == (["127.0.0.9"], f"rebound.example:{port}")
        with pytest.raises(Forbidden, match="private address"):
            await allowed.fetch(url)


async def test_a_redirect_on_the_same_host_is_followed_and_a_circle_is_left() -> None:
    async with web() as port:
        allowed = fetcher(f"localhost:{port}", LOOPBACK, most_bytes=1_000)
        assert (await allowed.fetch(f"http://localhost:{port}/away?to=/page.txt")).url.endswith("/page.txt")
        with pytest.raises(UnreadableDocument, match="too often"):
            await allowed.fetch(f"http://localhost:{port}/circle")


@pytest.mark.parametrize(("path", "reason"), [("large", "1000 bytes"), ("none", "status 404")])
async def test_what_is_too_large_or_not_there_is_said(path: str, reason: str) -> None:
    async with web() as port:
        with pytest.raises(OrchestrationError, match=reason):
            await fetcher(f"localhost:{port}", LOOPBACK, most_bytes=1_000).fetch(f"http://localhost:{port}/{path}")


async def test_a_document_by_its_address_is_found_and_fetched_again_only_if_it_changed(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with web() as port:
        settings = settings_for(
            tmp_path / "data", demo, rag_allowed_hosts=f"localhost:{port}", rag_allowed_networks=LOOPBACK
        )
        async with served(settings) as server:
            jobs = []
            for _ in range(2):
                answer = await server.client.post("/rag/documents", json={"url": f"http://localhost:{port}/page.txt"})
                jobs.append(await ended(server.client, answer.json()["job_id"]))
            elsewhere = await server.client.post("/rag/documents", json={"url": "http://169.254.169.254/latest"})
            (hit,) = await search(server.client, "send goods back")
    assert [(job["state"], job["unchanged"]) for job in jobs] == [("done", False), ("done", True)]
    assert hit["source"] == f"http://localhost:{port}/page.txt"
    assert (elsewhere.status_code, elsewhere.json()["type"]) == (403, "/problems/forbidden")
