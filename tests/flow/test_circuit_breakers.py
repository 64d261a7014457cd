"""Circuit breakers in the real server: they open, refuse at once, close by themselves, and obey operators."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from boot.settings import Settings
from tests.breaking import until
from tests.redis_server import redis_server
from tests.running import Served, served, settings_for
from tests.services import DemoServices

QUICK = {"breaker_minimum_calls": 4, "breaker_open_seconds": 1, "breaker_slow_seconds": 2}
SLUGGISH = {**QUICK, "breaker_open_seconds": 60}


async def breaker(client: httpx2.AsyncClient, name: str = "petstore") -> dict[str, Any]:
    answer = await client.get(f"/circuit-breakers/{name}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def opened(server: Served, demo: DemoServices) -> None:
    """Stop the pet store and read from it until its breaker opens."""
    await demo.stop("petstore")
    for _ in range(2):  # three attempts each
        await server.client.get("/petstore/pet/3")
    assert (await breaker(server.client))["state"] == "open"


def settings(tmp_path: Path, demo: DemoServices, changes: dict[str, Any], **more: Any) -> Settings:
    return settings_for(tmp_path / "data", demo, **changes, **more)


async def test_a_stopped_service_is_refused_at_once_and_asked_again_when_it_is_back(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with served(settings(tmp_path, demo, QUICK)) as server:
        await opened(server, demo)
        refused = await server.client.get("/petstore/pet/3")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/circuit-open")
        assert refused.json()["retry_after"] == int(refused.headers["Retry-After"])
        assert "refused by the circuit breaker" in refused.json()["detail"]
        assert (await server.client.get("/vehicles/vehicles?color=red")).status_code == 200
        await demo.start("petstore")

        async def works() -> bool:
            return (await server.client.get("/petstore/pet/3")).status_code == 200

        await until(works)
        await until(works)
        told = await breaker(server.client)
    assert (told["state"], told["history"][-1]["reason"]) == ("closed", "the probes succeeded")


async def test_everything_is_told(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings(tmp_path, demo, SLUGGISH)) as server:
        await opened(server, demo)
        await server.client.get("/petstore/pet/3")
        everyone = (await server.client.get("/circuit-breakers")).json()["circuit_breakers"]
        told = next(each for each in everyone if each["name"] == "petstore")
    assert [each["name"] for each in everyone] == list(demo)
    numbers = ("failure_rate", "buffered_calls", "failed_calls", "slow_calls", "consecutive_openings")
    assert [told[name] for name in numbers] == [1.0, 4, 4, 0, 1]
    assert told["refused_calls"] >= 2
    assert (told["failure_rate_threshold"], told["slow_call_rate_threshold"], told["minimum_calls"]) == (0.5, 0.8, 4)
    assert told["opened_at"] == told["changed_at"] < told["next_probe_at"]
    assert told["last_error"]["detail"].startswith("ServiceUnavailable: petstore cannot be reached")
    assert (told["forced_by"], told["forced_until"], told["shared"]) == (None, None, False)


async def test_what_a_service_refuses_and_health_probes_do_not_count(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings(tmp_path, demo, QUICK)) as server:
        for _ in range(5):
            assert (await server.client.get("/petstore/pet/999999")).status_code == 404
            assert (await server.client.get("/petstore/pet/three")).status_code == 422
            await server.client.get("/health")
        told = await breaker(server.client)
    assert (told["state"], told["buffered_calls"], told["failure_rate"]) == ("closed", 0, None)


@pytest.mark.parametrize("kind", ["embedded", "redis"])
async def test_an_open_breaker_is_open_after_a_restart(tmp_path: Path, demo: DemoServices, kind: str) -> None:
    async with redis_server(tmp_path / "redis") as redis:
        more = {"redis_url": redis.url} if kind == "redis" else {}
        async with served(settings(tmp_path, demo, SLUGGISH, **more)) as server:
            await opened(server, demo)
        await demo.start("petstore")
        async with served(settings(tmp_path, demo, SLUGGISH, **more)) as server:
            assert (await server.client.get("/petstore/pet/3")).json()["type"] == "/problems/circuit-open"
            assert (await breaker(server.client))["shared"] is (kind == "redis")
            assert (await server.client.post("/circuit-breakers/petstore/reset")).json()["state"] == "closed"
            assert (await server.client.get("/petstore/pet/3")).status_code == 200


async def test_operators_force_disable_and_reset(server: Served, demo: DemoServices) -> None:
    given = {"reason": "moving house", "expires_in_seconds": 3600}
    forced = (await server.client.post("/circuit-breakers/petstore/force-open", json=given)).json()
    assert (forced["state"], forced["forced_by"], forced["forced_reason"]) == (
        "forced_open",
        "anonymous",
        "moving house",
    )
    assert forced["forced_until"] == forced["next_probe_at"] > forced["changed_at"]
    assert (await server.client.get("/petstore/pet/3")).status_code == 503
    off = (await server.client.post("/circuit-breakers/petstore/disable")).json()
    assert (off["state"], off["forced_until"], off["next_probe_at"]) == ("disabled", None, None)
    assert (await server.client.get("/petstore/pet/3")).status_code == 200
    reset = (await server.client.post("/circuit-breakers/petstore/reset", json={"reason": "done"})).json()
    assert [each["after"] for each in reset["history"]] == ["forced_open", "disabled", "closed"]
    assert {each["by"] for each in reset["history"]} == {"anonymous"}


async def test_a_forced_state_ends_by_itself(server: Served) -> None:
    await server.client.post("/circuit-breakers/petstore/force-open", json={"expires_in_seconds": 0.05})

    async def works() -> bool:
        return (await server.client.get("/petstore/pet/3")).status_code == 200

    await until(works)
    assert (await breaker(server.client))["history"][-1]["reason"] == "the order's time is over"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nobody/reset", None, 404),
        ("petstore/force-open", {"expires_in_seconds": 0}, 422),
        ("petstore/force-open", {"expires_in_seconds": "soon"}, 422),
        ("petstore/reset", {"expires_in_seconds": 5}, 422),
        ("petstore/disable", {"reason": "x" * 501}, 422),
    ],
)
async def test_orders_that_make_no_sense_are_refused(
    server: Served, path: str, body: dict[str, Any] | None, status: int
) -> None:
    assert (await server.client.post(f"/circuit-breakers/{path}", json=body)).status_code == status
    assert (await server.client.get("/circuit-breakers/nobody")).status_code == 404


async def test_only_operators_give_orders(tmp_path: Path, demo: DemoServices) -> None:
    keys = SecretStr(
        ",".join(f"{name}:{name}:{hashlib.sha256(name.encode()).hexdigest()}" for name in ("user", "operator"))
    )
    async with served(settings(tmp_path, demo, QUICK, api_keys=keys)) as server:

        async def ordered(key: str) -> httpx2.Response:
            return await server.client.post("/circuit-breakers/petstore/force-open", headers={"X-API-Key": key})

        answers = await asyncio.gather(ordered("user"), ordered("nobody"))
        assert [each.status_code for each in answers] == [403, 401]
        assert (await ordered("operator")).json()["history"][-1]["by"] == "operator"
        seen = await server.client.get("/circuit-breakers/petstore", headers={"X-API-Key": "user"})
        assert (seen.status_code, seen.json()["forced_by"]) == (200, "operator")
