"""The simulated service behaves as its URL says, and its truth is what really happened."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from tests.asking import decide, paused, resume
from tests.downstream_document import services_file
from tests.downstream_simulator import MODES, Downstream, downstream_simulator
from tests.running import served, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Downstream]:
    async with downstream_simulator(tmp_path_factory.mktemp("shop"), slow_seconds=0.5) as running:
        yield running


@pytest.fixture
def realm() -> str:
    return uuid4().hex


async def refund(url: str, *, key: str | None = "k1", amount: int = 5, patience: float = 10) -> int | str:
    """Ask for a refund and return the status, or the name of what went wrong."""
    async with httpx2.AsyncClient(trust_env=False, timeout=patience) as client:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            answer = await client.post(f"{url}/orders/7/refunds", json={"amount": amount}, headers=headers)
        except (httpx2.TransportError, httpx2.TimeoutException) as error:
            return type(error).__name__
        return answer.status_code


@pytest.mark.parametrize(("mode", "effects"), [("dedupes", 1), ("queryable", 2), ("neither", 2)])
async def test_only_one_mode_recognises_a_request_it_had_before(
    shop: Downstream, realm: str, mode: str, effects: int
) -> None:
    assert [await refund(shop.url(realm, mode)) for _ in range(2)] == [201, 201]
    assert len(shop.events(realm)) == effects
    assert len(shop.events(realm, "replayed")) == 2 - effects
    assert {(each.key, each.arguments) for each in shop.events(realm)} == {("k1", '{"amount":5,"order_id":7}')}


async def test_a_key_that_stands_for_another_request_is_refused(shop: Downstream, realm: str) -> None:
    url = shop.url(realm, "dedupes")
    assert [await refund(url), await refund(url, amount=6)] == [201, 422]


@pytest.mark.parametrize("mode", MODES)
async def test_two_modes_tell_what_was_made_under_a_key(shop: Downstream, realm: str, mode: str) -> None:
    url = shop.url(realm, mode)
    await refund(url)
    await refund(url, key="k2")
    async with httpx2.AsyncClient(trust_env=False) as client:
        found = await client.get(f"{url}/refunds", params={"idempotency_key": "k2"})
        paths = (await client.get(f"{url}/openapi.json")).json()["paths"]
    assert ("/refunds" in paths) == (mode != "neither") == (found.status_code == 200)
    assert mode == "neither" or [each["refund_id"] for each in found.json()] == [2]


@pytest.mark.parametrize(
    ("fault", "told", "effects"),
    [
        ("drop_before", "RemoteProtocolError", 0),
        ("drop_after", "RemoteProtocolError", 1),
        ("fail_before", 500, 0),
        ("fail_after", 500, 1),
        ("hold_before", "ReadTimeout", 0),
        ("hold_after", "ReadTimeout", 1),
        ("slow_after", "ReadTimeout", 1),
        ("none", 201, 1),
    ],
)
async def test_every_fault_befalls_a_write_before_or_after_it_is_carried_out(
    shop: Downstream, realm: str, fault: str, told: int | str, effects: int
) -> None:
    assert await refund(shop.url(realm, "neither", fault), patience=0.2) == told
    assert len(shop.events(realm, "arrived")) == 1
    assert len(shop.events(realm)) == effects


async def test_a_slow_service_carries_out_what_nobody_waits_for_any_more(shop: Downstream, realm: str) -> None:
    assert await refund(shop.url(realm, "neither", "slow_before"), patience=0.1) == "ReadTimeout"
    assert shop.events(realm) == []
    assert len(await shop.happened(realm)) == 1


async def test_a_fault_with_a_number_passes(shop: Downstream, realm: str) -> None:
    url = shop.url(realm, "dedupes", "fail_after-2")
    assert [await refund(url) for _ in range(3)] == [500, 500, 201]
    assert len(shop.events(realm)) == 1


async def test_what_was_acknowledged_is_known_after_sigkill(tmp_path: Path) -> None:
    async with downstream_simulator(tmp_path) as shop:
        url = shop.url("r", "dedupes")
        before = await asyncio.gather(*(refund(url, key=f"k{n}") for n in range(10)))
        await shop.kill()
        await shop.start()
        after = await asyncio.gather(*(refund(url, key=f"k{n}") for n in range(10)))
        assert {*before, *after} == {201}
        assert len(shop.events("r")) == 10


@pytest.mark.parametrize("mode", MODES)
async def test_the_product_orchestrates_it(shop: Downstream, realm: str, tmp_path: Path, mode: str) -> None:
    services = services_file(tmp_path, shop.url(realm, mode))
    async with served(settings_for(tmp_path / "data", {}, services_file=services)) as server:
        run_id, request_id = await paused(server.client, "refund order 7 with $5")
        await decide(server.client, request_id)
        body = (await resume(server.client, run_id)).json()
        approval = (await server.client.get(f"/approvals/{request_id}")).json()
    (effect,) = shop.events(realm)
    assert body["actions"][0]["status"] == "executed"
    assert effect.arguments == approval["action"]["arguments"]
    assert effect.key == f"{request_id}-{approval['action']['digest'][:32]}"
