"""Services against real downstreams: their documents, their health, and what survives when they are down."""

import asyncio
import json
from pathlib import Path

import pytest

from domain.errors import ConfigurationError, NotFound
from tests.downstream import Downstream, Recorded, Reply, always, documented, serving, unused_port
from tests.shop import DOCUMENT, Clock, opened, shop
from tools.services import Services


def names(services: Services) -> list[str]:
    return [each.name for each in services.operations()]


async def test_the_last_known_document_serves_while_the_service_is_down(tmp_path: Path) -> None:
    async with serving(Downstream(always(200, DOCUMENT))) as url, opened(tmp_path, shop(url)):
        kept = tmp_path / "openapi" / "shop.json"
        assert json.loads(kept.read_text()) == DOCUMENT
    async with unused_port() as port, opened(tmp_path, shop(f"http://127.0.0.1:{port}")) as services:
        assert names(services) == ["addNote", "getText", "putNote"]
        health = await services.probe("shop")
        assert (health.status, health.detail) == ("unhealthy", "shop cannot be reached; nothing was sent.")


@pytest.mark.parametrize("health", [None, "/health"])
@pytest.mark.parametrize("kept", [None, "not json", '{"openapi": "2"}'])
async def test_a_service_that_comes_back_is_read_at_the_next_probe(
    tmp_path: Path, kept: str | None, health: str | None
) -> None:
    if kept is not None:
        (tmp_path / "openapi").mkdir()
        (tmp_path / "openapi" / "shop.json").write_text(kept)
    clock, app = Clock(), Downstream(documented(DOCUMENT, always(200)))
    async with unused_port() as port:
        one = shop(f"http://127.0.0.1:{port}", health=health)
        async with opened(tmp_path, one, now=clock) as services, serving(app, port=port):
            assert services.operations() == ()
            clock.advance(6)
            assert ((await services.probe("shop")).status, len(services.operations())) == ("healthy", 3)


async def test_a_service_that_comes_back_is_read_in_the_background(tmp_path: Path) -> None:
    app = Downstream(always(200, DOCUMENT))
    async with unused_port() as port, opened(tmp_path, shop(f"http://127.0.0.1:{port}"), revisit=0.01) as services:
        assert (await services.probe("shop")).status == "unhealthy"
        async with serving(app, port=port), asyncio.timeout(5):
            await app.reached.wait()
            assert ((await services.probe("shop")).status, len(services.operations())) == ("healthy", 3)


async def test_a_healthy_service_without_a_usable_document_says_so(tmp_path: Path) -> None:
    clock, app = Clock(), Downstream(documented("no document", always(200)))
    async with serving(app) as url, opened(tmp_path, shop(url, health="/health"), now=clock) as services:
        found = await services.probe("shop")
        assert (found.status, found.detail) == (
            "unhealthy",
            "It answers. This is not an OpenAPI document: it has no paths. None of its allowed operations is known.",
        )


async def test_a_changed_document_is_taken_over(tmp_path: Path) -> None:
    clock, app = Clock(), Downstream(always(200, {**DOCUMENT, "paths": {}}))
    async with serving(app) as url, opened(tmp_path, shop(url), now=clock) as services:
        health = await services.probe("shop")
        assert (health.status, "addNote (the document does not offer it)" in health.detail) == ("unhealthy", True)
        app.last = always(200, DOCUMENT)
        clock.advance(6)
        assert ((await services.probe("shop")).detail, len(services.operations())) == ("It answers.", 3)


async def test_many_probes_ask_once_and_again_when_old(tmp_path: Path) -> None:
    clock, app = Clock(), Downstream(documented(DOCUMENT, always(200)))
    async with serving(app) as url, opened(tmp_path, shop(url, health="/health"), now=clock) as services:
        found = await asyncio.gather(*(services.probe("shop") for _ in range(20)))
        assert {(each.status, each.checked_at) for each in found} == {("healthy", clock.time)}
        clock.advance(6)
        await services.health()
        assert [seen.raw_path for seen in app.seen] == [b"/openapi.json", b"/health", b"/health"]


async def test_a_cancelled_probe_does_not_poison_the_next(tmp_path: Path) -> None:
    async def never(request: Recorded) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    app = Downstream(documented(DOCUMENT, always(200)))
    async with serving(app) as url, opened(tmp_path, shop(url, health="/health")) as services:
        app.script.append(never)
        app.reached.clear()
        first = asyncio.create_task(services.probe("shop"))
        await app.reached.wait()
        second = asyncio.create_task(services.probe("shop"))
        first.cancel()
        assert (await second).status == "healthy"


async def test_a_document_elsewhere_does_not_see_the_headers(tmp_path: Path) -> None:
    docs, app = Downstream(always(200, DOCUMENT)), Downstream(always(200))
    async with serving(docs) as elsewhere, serving(app) as url:
        one = shop(url, document=f"{elsewhere}/a/openapi.json", **{"X-Key": "s3cret"})
        async with opened(tmp_path, one) as services:
            assert ((await services.probe("shop")).status, len(services.operations())) == ("healthy", 3)
    assert [seen.headers.get("x-key") for seen in (*docs.seen, *app.seen)] == [None, "s3cret"]


async def test_a_local_document_works_without_the_service(tmp_path: Path) -> None:
    local = tmp_path / "shop.json"
    local.write_text(json.dumps(DOCUMENT))
    async with unused_port() as port, opened(tmp_path, shop(f"http://127.0.0.1:{port}", document=local)) as services:
        assert (len(services.operations()), (await services.probe("shop")).status) == (3, "unhealthy")
    local.write_text("{")
    with pytest.raises(ConfigurationError):
        async with opened(tmp_path, shop("http://127.0.0.1:1", document=local)):
            pass


async def test_an_unknown_service_is_not_found(tmp_path: Path) -> None:
    async with opened(tmp_path) as services:
        with pytest.raises(NotFound):
            await services.probe("shop")
        assert (services.operations(), services.stats(), await services.health()) == ((), {}, ())
