"""Variants really reach the model, the tools and the planner, and stay with a run for as long as it takes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.asking import ask, decide, paused, resume
from tests.experimenting import begun, converted, get, user_on, variant_of
from tests.knowing import add
from tests.ollama_server import MODEL, OllamaServer, call, ollama_server, say
from tests.running import Served, served, settings_for
from tests.services import DemoServices

FIRST, SECOND = "first:1b", "second:1b"
VARIANTS = [
    {
        "name": "control",
        "type": "control",
        "traffic_percentage": 50,
        "config": {"temperature": 0.7, "model": FIRST, "system_prompt": "You are Ada."},
    },
    {
        "name": "calm",
        "type": "treatment",
        "traffic_percentage": 50,
        "config": {"temperature": 0.2, "model": SECOND, "system_prompt": "You are Bob."},
    },
]


@pytest.fixture
async def model() -> AsyncIterator[OllamaServer]:
    async with ollama_server(lambda request: say("Hello."), models=(MODEL, FIRST, SECOND)) as server:
        yield server


@pytest.fixture
async def modelled(tmp_path: Path, demo: DemoServices, model: OllamaServer) -> AsyncIterator[Served]:
    async with served(settings_for(tmp_path / "data", demo, ollama_url=model.url)) as running:
        yield running


async def hello(server: Served, user_id: int) -> dict[str, Any]:
    body = {"user_id": user_id, "session_id": f"s{user_id}", "message": "hello there, how do you do?"}
    answer = await server.client.post("/orchestrate", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_model_is_called_with_what_the_users_variant_says(modelled: Served, model: OllamaServer) -> None:
    experiment_id = await begun(modelled.client, variants=VARIANTS)
    seen: dict[str, set[tuple[str, float, str]]] = {}
    for user_id in range(8):
        found = await variant_of(modelled.client, experiment_id, user_id)
        await hello(modelled, user_id)
        request = model.requests[-1]
        sent = (request["model"], request["options"]["temperature"], request["messages"][0]["content"][:12])
        seen.setdefault(found["variant_name"], set()).add(sent)
    assert seen == {"control": {(FIRST, 0.7, "You are Ada.")}, "calm": {(SECOND, 0.2, "You are Bob.")}}


async def test_without_experiments_the_servers_own_configuration_is_used(modelled: Served, model: OllamaServer) -> None:
    experiment_id = await begun(modelled.client, variants=VARIANTS)
    await modelled.client.post(f"/experiments/{experiment_id}/kill")
    await hello(modelled, 1)
    assert (model.requests[-1]["model"], model.requests[-1]["options"]["temperature"]) == (MODEL, 0.3)


async def test_the_switch_in_the_settings_keeps_every_variant_away(
    tmp_path: Path, demo: DemoServices, model: OllamaServer
) -> None:
    settings = settings_for(tmp_path / "off", demo, ollama_url=model.url, enable_ab_testing=False)
    async with served(settings) as server:
        experiment_id = await begun(server.client, variants=VARIANTS)
        await hello(server, 1)
        health = (await server.client.get("/experiments/health")).json()
        features = (await server.client.get("/feature-status")).json()
        placed = await variant_of(server.client, experiment_id, 1)
        tracked = await converted(server.client, experiment_id, 1)
        details = await get(server.client, f"/experiments/{experiment_id}")
    assert model.requests[-1]["model"] == MODEL
    assert (health["enabled"], features["available"]["ab_testing"]) == (False, False)
    assert (placed["assigned"], placed["reason"]) == (False, "switched_off")
    told = [tracked.json()[key] for key in ("tracked", "counted", "reason")]
    assert (tracked.status_code, told) == (200, [False, False, "switched_off"])
    assert (details["results"]["users"], details["results"]["exposures"]) == (0, 0)


async def test_a_paused_run_goes_on_with_its_variant_when_the_experiment_is_over(
    tmp_path: Path, demo: DemoServices
) -> None:
    refund = call("cloudapp__refundOrder", {"order_id": 1001, "amount": 5})

    def script(request: dict[str, Any]) -> Any:
        return say("Done.") if request["messages"][-1]["role"] == "tool" else refund

    async with ollama_server(script, models=(MODEL, FIRST, SECOND)) as model:
        settings = settings_for(tmp_path / "data", demo, ollama_url=model.url)
        async with served(settings) as server:
            experiment_id = await begun(server.client, variants=VARIANTS)
            expected = {"control": FIRST, "calm": SECOND}[
                (await variant_of(server.client, experiment_id, 1))["variant_name"]
            ]
            run_id, request_id = await paused(server.client)
            await server.client.post(f"/experiments/{experiment_id}/kill")
        async with served(settings) as server:
            await decide(server.client, request_id)
            body = (await resume(server.client, run_id)).json()
            other = await ask(server.client, "hello", session_id="s2")
    assert (body["status"], body["answered_by"]) == ("completed", f"ollama/{expected}")
    assert other.json()["answered_by"] == f"ollama/{MODEL}"


def limited(**config: Any) -> list[dict[str, Any]]:
    return [
        {"name": "control", "type": "control", "traffic_percentage": 50},
        {"name": "limited", "type": "treatment", "traffic_percentage": 50, "config": config},
    ]


async def test_a_variant_limits_the_tools_the_model_is_offered(modelled: Served, model: OllamaServer) -> None:
    experiment_id = await begun(modelled.client, variants=limited(tools=["petstore", "vehicles.searchVehicles"]))
    await hello(modelled, await user_on(modelled.client, experiment_id, "limited"))
    services = {each["function"]["name"].partition("__")[0] for each in model.requests[-1]["tools"]}
    await hello(modelled, await user_on(modelled.client, experiment_id, "control"))
    every = {each["function"]["name"].partition("__")[0] for each in model.requests[-1]["tools"]}
    results = (await get(modelled.client, f"/experiments/{experiment_id}"))["results"]
    checked = {each["name"]: each["metrics"]["config_mismatch_rate"] for each in results["variants"]}
    assert (checked["limited"]["events"], checked["limited"]["total"]) == (1, 0)
    assert services == {"petstore", "vehicles"}
    assert {"cloudapp", "ml"} < every


async def test_a_tool_that_is_not_offered_is_not_called_either(tmp_path: Path, demo: DemoServices) -> None:
    def script(request: dict[str, Any]) -> Any:
        done = request["messages"][-1]["role"] == "tool"
        return say("Done.") if done else call("petstore__findPetsByStatus", {"status": "available"})

    async with (
        ollama_server(script) as model,
        served(settings_for(tmp_path / "data", demo, ollama_url=model.url)) as server,
    ):
        experiment_id = await begun(server.client, variants=limited(tools=["vehicles"]))
        body = await hello(server, await user_on(server.client, experiment_id, "limited"))
    (action,) = body["actions"]
    assert action["status"] == "invalid"


async def test_a_variant_limits_the_steps(server: Served) -> None:
    """The planner needs a second round to tell what it found."""
    experiment_id = await begun(server.client, variants=limited(max_steps=1))
    replies = {}
    for name in ("control", "limited"):
        user_id = await user_on(server.client, experiment_id, name)
        body = {"user_id": user_id, "session_id": name, "message": "which pets are available?"}
        replies[name] = (await server.client.post("/orchestrate", json=body)).json()["reply"]
    assert "Whiskers" in replies["control"]
    assert "I stopped after 1 round of actions, which is the limit of this run's variant, without" in replies["limited"]


async def test_the_planner_honours_tools_and_says_what_it_cannot_have(server: Served) -> None:
    config = {"temperature": 0.2, "tools": ["vehicles"]}
    experiment_id = await begun(server.client, variants=limited(**config))
    user_id = await user_on(server.client, experiment_id, "limited")
    body = {"user_id": user_id, "session_id": "s1", "message": "which pets are available?"}
    answer = (await server.client.post("/orchestrate", json=body)).json()
    assert answer["actions"] == []
    assert [each["lost"] for each in answer["degraded"] if each["port"] == "experiments"] == [
        "This run's variant had no effect on its temperature."
    ]


async def test_targeting_asks_for_what_the_message_says_of_the_user(modelled: Served, model: OllamaServer) -> None:
    targeting = [{"attribute": "country", "operator": "in", "values": ["DE"]}]
    await begun(modelled.client, variants=VARIANTS, targeting=targeting)
    for country, own in (("FR", True), ("DE", False)):
        body = {"user_id": 1, "session_id": country, "message": "hello you", "attributes": {"country": country}}
        assert (await modelled.client.post("/orchestrate", json=body)).status_code == 200
        assert (model.requests[-1]["model"] == MODEL) is own


@pytest.mark.parametrize(
    ("values", "told"), [([True], True), (["01234"], "01234"), (["3"], "3"), ([3], 3), (["a.b"], "a.b")]
)
async def test_who_is_asked_for_has_the_variant_that_their_message_gets(
    modelled: Served, model: OllamaServer, values: list[Any], told: Any
) -> None:
    targeting = [{"attribute": "plan-type", "operator": "in", "values": values}]
    experiment_id = await begun(modelled.client, variants=VARIANTS, targeting=targeting)
    text = json.dumps(told).strip('"')
    placed = await variant_of(modelled.client, experiment_id, 1, attributes=f"country=DE,plan-type={text}")
    body = {"user_id": 2, "session_id": "s", "message": "hello you", "attributes": {"plan-type": told}}
    assert (await modelled.client.post("/orchestrate", json=body)).status_code == 200
    assert placed["assigned"] is True
    assert model.requests[-1]["model"] in (FIRST, SECOND)


async def test_a_variant_says_how_much_is_retrieved_and_misses_are_counted(
    modelled: Served, model: OllamaServer
) -> None:
    for number in range(4):
        await add(modelled.client, f"Hangar {number} of the zeppelin opens at {number + 5} and closes at nine.")
    variants = [{**each, "config": {"top_k": 1 + 2 * place}} for place, each in enumerate(limited())]
    experiment_id = await begun(modelled.client, variants=variants)
    found = {}
    for name in ("control", "limited"):
        user_id = await user_on(modelled.client, experiment_id, name)
        for message in ("when does the hangar of the zeppelin open?", "xyzzy plugh?"):
            body = {"user_id": user_id, "session_id": name, "message": message}
            assert (await modelled.client.post("/orchestrate", json=body)).status_code == 200
        told = [each["content"] for each in model.requests[-2]["messages"] if each["content"].startswith("<passages>")]
        found[name] = told[0].count('"text"')
    results = (await modelled.client.get(f"/experiments/{experiment_id}")).json()["results"]
    misses = {each["name"]: each["metrics"]["retrieval_miss_rate"]["value"] for each in results["variants"]}
    assert found == {"control": 1, "limited": 3}
    assert misses == {"control": 0.5, "limited": 0.5}
