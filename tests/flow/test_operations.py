"""What the server tells about itself."""

import asyncio
from pathlib import Path

import yaml
from pydantic import SecretStr

from tests.asking import ask
from tests.ollama_server import ollama_server, say
from tests.running import Served, refused, served, settings_for
from tests.services import DemoServices

SERVICES = Path("services.yaml").read_text(encoding="utf-8")


async def test_health_names_every_service(server: Served) -> None:
    health = (await server.client.get("/health")).json()
    assert health["status"] == "healthy"
    assert health["services"] == dict.fromkeys(("petstore", "vehicles", "cloudapp", "ml"), "healthy")
    assert health["timestamp"]


async def test_a_service_that_was_down_at_the_start_is_unhealthy_and_comes_back(
    tmp_path: Path, demo: DemoServices
) -> None:
    await demo.stop("vehicles")
    async with served(settings_for(tmp_path / "data", demo)) as server:
        health = (await server.client.get("/health")).json()
        assert (health["status"], health["services"]["vehicles"]) == ("degraded", "unhealthy")
        assert health["details"]["vehicles"]
        await demo.start("vehicles")
        async with asyncio.timeout(20):
            while (await server.client.get("/health")).json()["status"] != "healthy":  # noqa: ASYNC110  # another process ends it
                await asyncio.sleep(0.1)
        body = (await ask(server.client, "is there a red car?")).json()
    assert [action["status"] for action in body["actions"]] == ["executed"]


async def test_a_known_service_that_is_down_keeps_its_operations_over_a_restart(
    tmp_path: Path, demo: DemoServices
) -> None:
    settings = settings_for(tmp_path / "data", demo)
    async with served(settings) as server:
        count = len(server.container.services.operations())
    await demo.stop("petstore")
    async with served(settings) as server:
        assert len(server.container.services.operations()) == count
        body = (await ask(server.client, "which pets are available?")).json()
    assert [action["status"] for action in body["actions"]] == ["failed"]


async def test_health_tells_what_a_healthy_service_does_not_offer(tmp_path: Path, demo: DemoServices) -> None:
    pets = yaml.safe_load(SERVICES)["services"]["petstore"]
    file = tmp_path / "services.yaml"
    entry = {**pets, "operations": ["getPetById", "flyPet"]}
    file.write_text(yaml.safe_dump({"services": {"petstore": entry}}), encoding="utf-8")
    async with served(settings_for(tmp_path / "data", demo, services_file=file)) as server:
        health = (await server.client.get("/health")).json()
    assert (health["status"], health["services"]) == ("healthy", {"petstore": "healthy"})
    assert health["details"]["petstore"].startswith("It answers. Not offered: flyPet (")


async def test_feature_status_tells_the_form_of_every_port(server: Served) -> None:
    status = (await server.client.get("/feature-status")).json()
    assert status["available"] == dict.fromkeys(
        ("checkpointing", "hitl", "parallel", "streaming", "error_handling", "ab_testing"), True
    )
    assert status["fallbacks"]["checkpointing"] is None
    modes = {port["port"]: port["mode"] for port in status["ports"]}
    assert modes == dict.fromkeys(("model", "checkpoints", "documents", "locks", "breakers", "knowledge"), "embedded")


async def test_a_missing_model_is_said_with_its_remedy(tmp_path: Path, demo: DemoServices) -> None:
    async with (
        ollama_server([say("hello")], models=("other:1b",)) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        health = (await server.client.get("/health")).json()
        status = (await server.client.get("/feature-status")).json()
    assert health["status"] == "degraded"
    assert "ollama pull qwen3:1.7b" in health["details"]["model"]
    (model,) = [port for port in status["ports"] if port["port"] == "model"]
    assert (model["configured"], model["healthy"], model["mode"]) == (True, False, "degraded")


async def test_config_masks_secrets(tmp_path: Path, demo: DemoServices) -> None:
    changes = {"ollama_url": "http://user:hunter2@127.0.0.1:9", "api_keys": SecretStr("")}
    async with served(settings_for(tmp_path / "data", demo, **changes)) as server:
        text = (await server.client.get("/config")).text
    assert "hunter2" not in text
    assert '"PETSTORE_URL"' in text


async def test_connection_stats_use_the_names_operators_know(server: Served) -> None:
    await ask(server.client, "which pets are available?")
    stats = (await server.client.get("/connection-stats")).json()
    assert set(stats["http"]) == {"petstore", "vehicles", "cloudapp", "ml"}
    names = {"pool_max", "pool_size", "pool_available", "requests_queued", "requests_errors"}
    assert names <= set(stats["http"]["petstore"])


async def test_reads_pass_through_with_the_agents_checks(server: Served) -> None:
    pet = await server.client.get("/petstore/pet/3")
    cars = await server.client.get("/vehicles/vehicles?color=red")
    bad = await server.client.get("/petstore/pet/three")
    nowhere = await server.client.get("/petstore/user/1")
    assert (pet.status_code, pet.json()["id"]) == (200, 3)
    assert {car["color"] for car in cars.json()} == {"red"}
    assert (bad.status_code, bad.json()["type"]) == (422, "/problems/invalid-arguments")
    assert nowhere.status_code == 404


async def test_wrong_settings_are_named(tmp_path: Path) -> None:
    told = await refused(DATA_DIR=str(tmp_path), PORT="99999", MAX_STEPS="none")
    assert "PORT" in told
    assert "MAX_STEPS" in told


async def test_a_policy_that_is_wrong_does_not_start(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{name: x, then: maybe}]")
    told = await refused(DATA_DIR=str(tmp_path), POLICY_FILE=str(policy))
    assert "rules.0.then" in told


async def test_without_checkpoints_it_says_that_nothing_survives(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings_for(tmp_path / "data", demo, enable_checkpointing=False)) as server:
        status = (await server.client.get("/feature-status")).json()
    assert status["available"]["checkpointing"] is False
    assert "nothing survives" in status["fallbacks"]["checkpointing"]
