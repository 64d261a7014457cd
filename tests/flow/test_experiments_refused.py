"""What the experiments' routes refuse: with the reason, and without changing anything."""

from typing import Any

import pytest

from tests.experimenting import begun, body, converted, created, get
from tests.running import Served

type Json = dict[str, Any]

REFUSED: dict[str, tuple[Json, int, str]] = {
    "a dictionary of variants": ({"variants": {"control": {}}}, 422, "`variants` is a list"),
    "weights": ({"variants": [body()["variants"][0], {**body()["variants"][1], "traffic_percentage": 60}]}, 422, "110"),
    "twice the same name": (
        {"variants": [body()["variants"][0], {**body()["variants"][1], "name": "control"}]},
        422,
        "c",
    ),
    "no control": ({"variants": [{**each, "type": "treatment"} for each in body()["variants"]]}, 422, "there are none"),
    "an unknown metric": ({"guardrails": ["speed"]}, 422, "speed is unknown"),
    "a negative share": ({"user_percentage": -1}, 422, "user_percentage"),
    "an absurd temperature": ({"variants": [{**body()["variants"][0], "config": {"temperature": 99}}]}, 422, "config"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_bad_design_is_refused_with_the_reason(server: Served, what: str) -> None:
    changes, status, told = REFUSED[what]
    answer = await server.client.post("/experiments", json=body(**changes))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert told in answer.json()["detail"]
    assert (await get(server.client, "/experiments"))["experiments"] == []


async def test_an_edit_tells_how_variants_are_written_too(server: Served) -> None:
    path = f"/experiments/{await created(server.client)}"
    for variants, told in (({"control": {}}, "`variants` is a list"), (body()["variants"][:1], "at least 2")):
        answer = await server.client.patch(path, json={"variants": variants}, headers={"If-Match": '"1"'})
        assert (answer.status_code, told in answer.json()["detail"]) == (422, True)


async def test_what_cannot_be_done_is_refused_and_changes_nothing(server: Served) -> None:
    client = server.client
    experiment_id = await begun(client)
    before = await get(client, f"/experiments/{experiment_id}")
    refused = {
        "start twice": await client.post(f"/experiments/{experiment_id}/start"),
        "delete": await client.delete(f"/experiments/{experiment_id}"),
        "resume": await client.post(f"/experiments/{experiment_id}/resume"),
        "edit": await client.patch(
            f"/experiments/{experiment_id}", json={"user_percentage": 5}, headers={"If-Match": '"2"'}
        ),
        "outdated": await client.patch(f"/experiments/{experiment_id}", json={}, headers={"If-Match": '"1"'}),
        "no version": await client.patch(f"/experiments/{experiment_id}", json={"name": "x"}),
        "winner": await client.post(f"/experiments/{experiment_id}/stop", json={"winner": "wild"}),
        "metric": await converted(client, experiment_id, 42, metric="spend"),
        "value": await converted(client, experiment_id, 42, value=-1),
        "unknown": await client.get("/experiments/exp_0/variant/1"),
        "weights": await client.post(
            f"/experiments/{experiment_id}/phases", json={"weights": {"control": 50, "x": 50}}
        ),
    }
    assert {name: answer.status_code for name, answer in refused.items()} == {
        "start twice": 409, "delete": 409, "resume": 409, "edit": 409, "outdated": 412, "no version": 428,
        "winner": 422, "metric": 422, "value": 422, "unknown": 404, "weights": 422,
    }  # fmt: skip
    assert await get(client, f"/experiments/{experiment_id}") == before


async def test_a_version_that_is_named_counts_wherever_it_is_named(server: Served) -> None:
    client, stale = server.client, {"If-Match": '"1"'}
    path, draft = f"/experiments/{await begun(client)}", f"/experiments/{await created(client)}"
    await client.patch(draft, json={"name": "other"}, headers=stale)
    before = [await get(client, path), await get(client, draft)]
    weights = {"weights": {"control": 20, "calm": 80}}
    answers = [
        await client.post(f"{path}/phases", json=weights, headers=stale),
        await client.post(f"{path}/kill", headers=stale),
        await client.put(f"{path}/forced/7", json={"variant_name": "calm"}, headers=stale),
        await client.delete(f"{path}/forced/7", headers=stale),
        await client.delete(draft, headers=stale),
    ]
    after = [await get(client, path), await get(client, draft)]
    fresh = [
        await client.post(f"{path}/phases", json=weights, headers={"If-Match": '"2"'}),
        await client.delete(draft, headers={"If-Match": '"2"'}),
    ]
    assert [each.status_code for each in answers] == [412] * 5
    assert after == before
    assert [each.status_code for each in fresh] == [200, 204]


async def test_a_tool_that_is_none_keeps_the_experiment_from_starting(server: Served) -> None:
    variants = [{**each, "config": {"tools": ["petstore.fly"]}} for each in body()["variants"]]
    experiment_id = await created(server.client, variants=variants)
    answer = await server.client.post(f"/experiments/{experiment_id}/start")
    assert (answer.status_code, "petstore.fly is no service or operation" in answer.json()["detail"]) == (422, True)
