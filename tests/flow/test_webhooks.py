"""Others are told of every decision, signed, until they have taken it: whoever fails, hangs, redirects or is killed."""

import asyncio
import base64
import hashlib
import hmac
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from tests.asking import decide, paused
from tests.downstream import Downstream, Recorded, Reply, always, replying, serving
from tests.running import refused, served, server_process, settings_for
from tests.services import DemoServices

SECRET = "whsec_" + base64.b64encode(b"a key of the test").decode()


def hooks(url: str, **more: Any) -> dict[str, Any]:
    """Return the settings for one receiver, told again at once."""
    quick = {"webhook_retry_seconds": 0.01, "webhook_timeout_seconds": 0.5}
    return {"webhook_urls": SecretStr(f"{url}/hook"), "webhook_secret": SecretStr(SECRET), **quick, **more}


def told(receiver: Downstream) -> list[str]:
    """Return the types of what the receiver was sent, each with its id once."""
    seen = {each.headers["webhook-id"]: json.loads(each.body)["type"] for each in receiver.seen}
    return list(seen.values())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  # another task brings it about
            await asyncio.sleep(0.02)


async def deliveries(client: httpx2.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/webhooks/deliveries?{query}")).json()["deliveries"]
    return found


async def test_a_decision_is_told_signed(tmp_path: Path, demo: DemoServices) -> None:
    receiver = Downstream(always(204))
    async with serving(receiver) as url, served(settings_for(tmp_path / "data", demo, **hooks(url))) as server:
        _, request_id = await paused(server.client)
        await decide(server.client, request_id, notes="ok")
        await until(lambda: "approval.decided" in told(receiver))
    (decided,) = [each for each in receiver.seen if b"approval.decided" in each.body]
    headers, body = decided.headers, json.loads(decided.body)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{decided.body.decode()}".encode()
    wanted = base64.b64encode(hmac.new(b"a key of the test", signed, hashlib.sha256).digest()).decode()
    assert told(receiver) == ["approval.requested", "approval.decided"]
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert body["data"]["approval"]["request_id"] == request_id
    assert body["data"]["approver_id"] == 1


async def test_who_fails_is_told_again_with_the_same_words(tmp_path: Path, demo: DemoServices) -> None:
    async def hang(_: Recorded) -> Reply:
        await asyncio.sleep(60)
        return replying(200)

    receiver = Downstream(always(200), script=[always(500), hang, always(429), always(200)])
    async with serving(receiver) as url, served(settings_for(tmp_path / "data", demo, **hooks(url))) as server:
        await paused(server.client)
        await until(lambda: len(receiver.seen) == 4)
        await until_delivered(server.client)
        (delivery,) = await deliveries(server.client)
    assert len({(each.headers["webhook-id"], each.body) for each in receiver.seen}) == 1
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("delivered", 4, 200)
    assert delivery["url"] == url


async def until_delivered(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while await deliveries(client, "state=pending"):  # noqa: ASYNC110  # another task brings it about
            await asyncio.sleep(0.02)


async def test_a_redirect_is_not_followed_and_who_never_takes_it_is_given_up(
    tmp_path: Path, demo: DemoServices
) -> None:
    elsewhere = Downstream(always(200))
    async with serving(elsewhere) as other:
        receiver = Downstream(always(307, location=f"{other}/hook"))
        async with serving(receiver) as url:
            settings = settings_for(tmp_path / "data", demo, **hooks(url, webhook_attempts=3))
            async with served(settings) as server:
                await paused(server.client)
                await until(lambda: len(receiver.seen) == 3)
                await until_delivered(server.client)
                (dead,) = await deliveries(server.client, "state=dead")
    assert (elsewhere.seen, len(receiver.seen)) == ([], 3)
    assert (dead["attempts"], dead["type"]) == (3, "approval.requested")


async def test_one_receiver_that_hangs_holds_up_no_other(tmp_path: Path, demo: DemoServices) -> None:
    async def hang(_: Recorded) -> Reply:
        await asyncio.sleep(60)
        return replying(200)

    slow, quick = Downstream(hang), Downstream(always(200))
    async with serving(slow) as one, serving(quick) as two:
        both = {**hooks(one), "webhook_urls": SecretStr(f"{one}/hook,{two}/hook"), "webhook_timeout_seconds": 30.0}
        async with served(settings_for(tmp_path / "data", demo, **both)) as server:
            _, request_id = await paused(server.client)
            await decide(server.client, request_id)
            await until(lambda: "approval.decided" in told(quick))
    assert "approval.decided" not in told(slow)


async def test_what_was_decided_before_sigkill_is_told_after_it(tmp_path: Path, demo: DemoServices) -> None:
    receiver = Downstream(always(503))
    async with serving(receiver) as url:
        given: dict[str, Any] = {"WEBHOOK_URLS": f"{url}/hook", "WEBHOOK_SECRET": SECRET}
        async with server_process(tmp_path / "data", demo, **given, WEBHOOK_RETRY_SECONDS="0.1") as process:
            async with httpx2.AsyncClient(base_url=process.url, timeout=30, trust_env=False) as client:
                asked = [await paused(client, f"refund order 1001 with ${n}", session_id=f"s{n}") for n in (1, 2, 3)]
                await asyncio.gather(*(decide(client, request_id) for _, request_id in asked))
            await process.end(signal.SIGKILL)
            receiver.last, before = always(200), len(receiver.seen)
            await process.start()
            await until(
                lambda: [json.loads(e.body)["type"] for e in receiver.seen[before:]].count("approval.decided") >= 3
            )
    decided = [json.loads(each.body)["data"] for each in receiver.seen[before:] if b'"approval.decided"' in each.body]
    assert {each["approval"]["request_id"] for each in decided} == {request_id for _, request_id in asked}


async def test_who_may_decide_is_reminded(tmp_path: Path, demo: DemoServices) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{name: asks, then: ask, remind_after_seconds: [1]}]")
    receiver = Downstream(always(200))
    async with serving(receiver) as url:
        settings = settings_for(tmp_path / "data", demo, policy_file=policy, **hooks(url))
        async with served(settings) as server:
            await paused(server.client)
            await until(lambda: "approval.reminded" in told(receiver))
    assert told(receiver) == ["approval.requested", "approval.reminded"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"WEBHOOK_URLS": "http://a/x"}, "WEBHOOK_SECRET"),
        ({"WEBHOOK_URLS": "http://a/x", "WEBHOOK_ALLOWED_HOSTS": "b"}, "a is not among WEBHOOK_ALLOWED_HOSTS"),
        ({"WEBHOOK_URLS": "http://a/x", "WEBHOOK_SECRET": "whsec_%"}, "not base64"),
    ],
)
async def test_receivers_that_cannot_be_told_safely_stop_the_start(
    tmp_path: Path, settings: dict[str, str], says: str
) -> None:
    assert says in await refused(DATA_DIR=str(tmp_path), **settings)
