"""Experiments from the outside: the walk of an operator, what runs leave, and what is refused."""

import asyncio
import csv
import hashlib
import io
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from api.experiment_shapes import ExperimentPatchIn
from domain.assignment import Who
from domain.experiments import Design
from tests.asking import decide, paused, resume
from tests.experimenting import (
    begun,
    body,
    converted,
    created,
    get,
    observed,
    of_variant,
    spoke,
    user_on,
    variant,
    variant_of,
)
from tests.networked import store_servers
from tests.ollama_server import ollama_server, say
from tests.running import Served, served, settings_for
from tests.services import DemoServices

type Json = dict[str, Any]


async def test_everything_of_a_draft_can_be_changed(server: Served) -> None:
    experiment_id = await created(server.client)
    variants = [{**each, "traffic_percentage": share} for each, share in zip(body()["variants"], (20, 80), strict=True)]
    changes: dict[str, Any] = {
        "name": "other", "description": "d", "hypothesis": "h", "metric": "spend", "guardrails": ["tokens"],
        "metrics": [{"name": "spend", "kind": "mean", "better": "lower"}], "minimum_sample": 50, "minimum_effect": 0.5,
        "conversion_window_days": 2, "user_percentage": 5, "holdout_percentage": 3, "seed": "s",
        "namespace": {"name": "chat", "start": 0, "end": 0.5},
        "targeting": [{"attribute": "country", "operator": "in", "values": ["DE"]}], "variants": variants,
    }  # fmt: skip
    path, first = f"/experiments/{experiment_id}", {"If-Match": '"1"'}
    edited = await server.client.patch(path, json=changes, headers=first)
    shown = edited.json()
    del shown["variants"][0]["config"], shown["variants"][1]["config"]
    assert changes.keys() == Design.model_fields.keys() == ExperimentPatchIn.model_fields.keys()
    assert edited.status_code == 200
    for each in variants:
        del each["config"]
    assert {name: shown[name] for name in changes} == changes


@pytest.fixture(params=["embedded", "networked"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    if request.param == "embedded":
        yield {}
    else:
        async with store_servers(tmp_path / "stores") as servers:
            yield servers.settings()


async def test_the_walk_of_an_operator_over_a_restart(
    tmp_path: Path, demo: DemoServices, stores: dict[str, str]
) -> None:
    def server() -> AbstractAsyncContextManager[Served]:
        return served(settings_for(tmp_path / "data", demo, **stores))

    async with server() as first:
        experiment_id = await begun(first.client)
        assignment = await variant_of(first.client, experiment_id, 42)
        tracked = (await converted(first.client, experiment_id, 42, value=1)).json()
    async with server() as second:
        assert await variant_of(second.client, experiment_id, 42) == assignment
        details = await get(second.client, f"/experiments/{experiment_id}")
        stop = await second.client.post(f"/experiments/{experiment_id}/stop", json={"winner": "calm"})
        summary = await get(second.client, "/experiments/stats/summary")
        health = await get(second.client, "/experiments/health")
    name = assignment["variant_name"]
    assert {"experiment_id", "variant_name", "variant_config", "assigned"} <= set(assignment)
    assert (assignment["assigned"], tracked["variant_name"]) == (True, name)
    assert of_variant(details, name)["metrics"]["conversion"]["value"] == 1
    assert (stop.json()["status"], stop.json()["winner"]) == ("stopped", "calm")
    assert stop.json()["conclusion"]["supported"] is False
    assert (summary["by_status"]["stopped"], summary["winners"]) == (1, 1)
    assert health["storage"].startswith("MongoDB" if stores else "SQLite")


async def test_runs_are_measured_without_any_work(tmp_path: Path, demo: DemoServices) -> None:
    async with (
        ollama_server(lambda request: say("Hello.", prompt_tokens=30, answer_tokens=12)) as model,
        served(settings_for(tmp_path / "data", demo, ollama_url=model.url)) as server,
    ):
        experiment_id = await begun(server.client)
        name = (await variant_of(server.client, experiment_id, 1, expose="false"))["variant_name"]
        for _ in range(2):
            await spoke(server.client, 1)
        found = of_variant(await get(server.client, f"/experiments/{experiment_id}"), name)
    metrics = {key: (each["value"], each["events"], each["users"]) for key, each in found["metrics"].items()}
    assert (found["users"], found["exposures"]) == (1, 2)
    assert metrics["tokens"] == (42, 2, 1)
    assert metrics["error_rate"] == metrics["config_mismatch_rate"] == metrics["actions_per_run"] == (0, 2, 1)
    assert metrics["latency_ms"][0] > 0


async def test_approvals_are_measured_and_waiting_for_humans_is_no_latency(server: Served) -> None:
    experiment_id = await begun(server.client)
    name = (await variant_of(server.client, experiment_id, 1, expose="false"))["variant_name"]
    run_id, request_id = await paused(server.client)
    before = of_variant(await get(server.client, f"/experiments/{experiment_id}"), name)
    await asyncio.sleep(0.5)
    await decide(server.client, request_id)
    await resume(server.client, run_id)
    found = of_variant(await get(server.client, f"/experiments/{experiment_id}"), name)
    metrics = {key: each["value"] for key, each in found["metrics"].items()}
    assert (before["users"], before["exposures"], found["exposures"]) == (1, 1, 1)
    assert [metrics[f"approval_{each}_rate"] for each in ("asked", "approved", "rejected", "expired")] == [1, 1, 0, 0]
    assert metrics["decide_seconds"] >= 0.5
    assert metrics["actions_per_run"] == 1


async def test_what_ends_after_the_stop_is_not_counted(server: Served) -> None:
    experiment_id = await begun(server.client)
    name = (await variant_of(server.client, experiment_id, 1, expose="false"))["variant_name"]
    run_id, request_id = await paused(server.client)
    await server.client.post(f"/experiments/{experiment_id}/stop")
    await decide(server.client, request_id)
    await resume(server.client, run_id)
    found = of_variant(await get(server.client, f"/experiments/{experiment_id}"), name)
    assert (found["exposures"], set(found["metrics"])) == (1, {"conversion"})


async def test_a_service_that_fails_shows_in_the_errors(server: Served, demo: DemoServices) -> None:
    experiment_id = await begun(server.client)
    name = (await variant_of(server.client, experiment_id, 1))["variant_name"]
    await demo.stop("petstore")
    await spoke(server.client, 1, "which pets are available?")
    found = of_variant(await get(server.client, f"/experiments/{experiment_id}"), name)
    assert found["metrics"]["error_rate"]["value"] == 1


async def test_a_tester_is_not_counted(server: Served) -> None:
    experiment_id = await begun(server.client)
    answer = await server.client.put(f"/experiments/{experiment_id}/forced/7", json={"variant_name": "calm"})
    assert answer.json()["forced"] == {"7": "calm"}
    assert (await variant_of(server.client, experiment_id, 7))["reason"] == "forced"
    await spoke(server.client, 7)
    tracked = (await converted(server.client, experiment_id, 7)).json()
    assert [tracked[key] for key in ("variant_name", "tracked", "counted", "reason")] == [
        "calm",
        False,
        False,
        "forced",
    ]
    assert (await get(server.client, f"/experiments/{experiment_id}"))["results"]["users"] == 0
    await server.client.delete(f"/experiments/{experiment_id}/forced/7")
    assert (await variant_of(server.client, experiment_id, 7))["reason"] == "assigned"


async def test_who_becomes_a_tester_is_not_counted_from_then_on(server: Served) -> None:
    experiment_id = await begun(server.client)
    user_id = await user_on(server.client, experiment_id, "calm")
    await variant_of(server.client, experiment_id, user_id)
    await server.client.put(f"/experiments/{experiment_id}/forced/{user_id}", json={"variant_name": "control"})
    tracked = (await converted(server.client, experiment_id, user_id, event_id="e1")).json()
    await server.client.delete(f"/experiments/{experiment_id}/forced/{user_id}")
    again = (await converted(server.client, experiment_id, user_id, event_id="e2")).json()
    calm = of_variant(await get(server.client, f"/experiments/{experiment_id}"), "calm")
    assert (tracked["variant_name"], tracked["counted"]) == ("control", False)
    assert (again["variant_name"], again["counted"]) == ("calm", True)
    assert calm["metrics"]["conversion"]["total"] == 1


async def test_a_guardrail_that_is_clearly_worse_stops_the_experiment(server: Served) -> None:
    experiment_id = await begun(server.client)
    rates = {"conversion": {"control": 0.1, "calm": 0.1}, "error_rate": {"control": 0.02, "calm": 0.3}}
    await observed(server, experiment_id, users=1_000, **rates)
    await server.container.trials.evidence.tend()
    ended = await get(server.client, f"/experiments/{experiment_id}")
    assert (ended["status"], ended["conclusion"]["by"], ended["conclusion"]["winner"]) == ("stopped", "guardrail", None)
    assert ended["conclusion"]["reason"] == "The guardrail error_rate is clearly worse for calm."


def conversion_in(ended: dict[str, Any]) -> dict[str, Any]:
    """Return the one comparison of the conversions that an ended experiment rests on."""
    comparison: dict[str, Any]
    (comparison,) = [each for each in ended["conclusion"]["evidence"]["comparisons"] if each["metric"] == "conversion"]
    return comparison


async def test_a_total_difference_is_concluded(server: Served) -> None:
    experiment_id = await begun(server.client)
    await observed(server, experiment_id, users=250, conversion={"control": 0, "calm": 1})
    ended = (await server.client.post(f"/experiments/{experiment_id}/stop")).json()
    comparison = conversion_in(ended)
    assert (ended["winner"], ended["conclusion"]["supported"]) == ("calm", True)
    assert (comparison["judgement"], comparison["interval"][0] > 0) == ("better", True)


async def test_a_variant_in_which_every_run_fails_is_stopped(server: Served) -> None:
    experiment_id = await begun(server.client, minimum_sample=10)
    await observed(server, experiment_id, users=120, error_rate={"control": 0, "calm": 1})
    await server.container.trials.evidence.tend()
    ended = await get(server.client, f"/experiments/{experiment_id}")
    assert (ended["status"], ended["conclusion"]["by"]) == ("stopped", "guardrail")


async def test_a_real_difference_names_the_winner_with_its_evidence(server: Served) -> None:
    experiment_id = await begun(server.client)
    await observed(server, experiment_id, users=2_000, conversion={"control": 0.1, "calm": 0.3})
    ended = (await server.client.post(f"/experiments/{experiment_id}/stop")).json()
    comparison = conversion_in(ended)
    assert (ended["winner"], ended["conclusion"]["supported"]) == ("calm", True)
    assert ended["reason"].startswith("calm is better in conversion: +")
    assert comparison["interval"][0] > 0
    assert (comparison["judgement"], comparison["chance_to_win"] > 0.999) == ("better", True)


async def test_no_difference_names_nobody(server: Served) -> None:
    experiment_id = await begun(server.client)
    await observed(server, experiment_id, users=1_000, conversion={"control": 0.1, "calm": 0.1})
    ended = (await server.client.post(f"/experiments/{experiment_id}/stop")).json()
    assert (ended["winner"], ended["conclusion"]["supported"]) == (None, False)
    assert "No difference can be told from chance" in ended["reason"]


async def test_a_split_that_is_no_accident_blocks_the_verdict(server: Served) -> None:
    experiment_id = await begun(server.client)
    await observed(server, experiment_id, users=1_000, conversion={"control": 0.1, "calm": 0.5})
    for number in range(2_000, 2_300):
        who = Who("anonymous", number)
        assignments = server.container.trials.assignments
        await assignments.assign(experiment_id, who, variant="calm", phase=1, at=server.container.clock())
        await assignments.expose(experiment_id, who, at=server.container.clock())
    await server.container.trials.evidence.tend()
    verdict = (await get(server.client, f"/experiments/{experiment_id}"))["results"]["verdict"]
    ended = (await server.client.post(f"/experiments/{experiment_id}/stop", json={"winner": "calm"})).json()
    assert (verdict["status"], verdict["winner"]) == ("invalid", None)
    assert "planned shares" in verdict["text"]
    assert (ended["winner"], ended["conclusion"]["supported"]) == ("calm", False)
    assert ended["reason"].startswith(
        "anonymous decided for calm without giving a reason. The figures did not: The users"
    )


async def test_conversions_count_once_late_ones_not_and_early_ones_are_refused(server: Served) -> None:
    experiment_id = await begun(server.client)
    early = await converted(server.client, experiment_id, 1)
    name = (await variant_of(server.client, experiment_id, 1))["variant_name"]
    answers = [(await converted(server.client, experiment_id, 1, event_id="e1")).json() for _ in range(2)]
    past = await converted(server.client, experiment_id, 1, occurred_at="2020-01-01T00:00:00Z")
    future = await converted(server.client, experiment_id, 1, occurred_at="2999-01-01T00:00:00Z")
    await server.client.post(f"/experiments/{experiment_id}/stop")
    late = (await converted(server.client, experiment_id, 1)).json()
    found = of_variant(await get(server.client, f"/experiments/{experiment_id}"), name)
    assert (early.status_code, past.status_code, future.status_code) == (409, 409, 422)
    assert [(each["late"], each["repeated"]) for each in answers] == [(False, False), (False, True)]
    assert (late["late"], found["late_conversions"]) == (True, 1)
    assert found["metrics"]["conversion"]["total"] == 1


async def test_users_ask_for_their_own_and_operators_write(tmp_path: Path, demo: DemoServices) -> None:
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("oli", "uma")}
    keys = f"oli:operator:{digests['oli']},uma:user:{digests['uma']}"
    async with served(settings_for(tmp_path / "data", demo, api_keys=keys)) as server:
        server.client.headers["X-API-Key"] = "oli"
        experiment_id = await begun(server.client)
        server.client.headers["X-API-Key"] = "uma"
        own = await server.client.get(f"/experiments/{experiment_id}/variant/1")
        other = await server.client.get(f"/experiments/{experiment_id}/variant/1?owner=oli")
        write = await server.client.post("/experiments", json=body())
        track = await converted(server.client, experiment_id, 1)
        design = await server.client.get(f"/experiments/{experiment_id}")
        report = await server.client.get(f"/experiments/{experiment_id}/report")
        server.client.headers["X-API-Key"] = "oli"
        named = await converted(server.client, experiment_id, 1, owner="uma")
    assert [each.status_code for each in (own, other, write, track, design, report, named)] == [
        200,
        403,
        403,
        200,
        403,
        403,
        200,
    ]


async def test_a_browser_asks_for_the_key_and_gets_the_report_alone(tmp_path: Path, demo: DemoServices) -> None:
    keys = f"oli:operator:{hashlib.sha256(b'secret:1').hexdigest()}"
    async with served(settings_for(tmp_path / "data", demo, api_keys=keys)) as server:
        client = server.client
        created = await client.post("/experiments", json=body(), headers={"X-API-Key": "secret:1"})
        path = f"/experiments/{created.json()['experiment_id']}"
        asked = await client.get(f"{path}/report")
        typed = await client.get(f"{path}/report", auth=("whoever", "secret:1"))
        wrong = await client.get(f"{path}/report", auth=("whoever", "secret"))
        broken = await client.get(f"{path}/report", headers={"Authorization": "Basic ?"})
        header = await client.get(f"{path}/report", headers={"Authorization": "Bearer secret:1"})
        write = await client.post(f"{path}/start", auth=("whoever", "secret:1"))
    codes = [each.status_code for each in (asked, typed, wrong, broken, header, write)]
    assert codes == [401, 200, 401, 401, 200, 401]
    assert asked.headers["www-authenticate"].startswith("Basic realm=")
    assert write.headers["www-authenticate"] == "Bearer"


async def test_the_variants_of_a_user_do_not_change_by_being_asked_often(server: Served) -> None:
    experiment_id = await begun(server.client)
    user_id = await user_on(server.client, experiment_id, "calm")
    answers = await asyncio.gather(*(variant_of(server.client, experiment_id, user_id) for _ in range(50)))
    assert {each["variant_name"] for each in answers} == {"calm"}
    assert (await get(server.client, f"/experiments/{experiment_id}"))["results"]["exposures"] == 1


async def test_the_report_shows_itself_and_can_do_nothing_else(server: Served) -> None:
    experiment_id = await begun(server.client, name="<script>alert(1)</script>")
    empty = await server.client.get(f"/experiments/{experiment_id}/report")
    await observed(server, experiment_id, users=1_000, conversion={"control": 0.1, "calm": 0.3})
    report = await server.client.get(f"/experiments/{experiment_id}/report")
    policy = report.headers["content-security-policy"]
    assert "There is no interval yet." in empty.text
    assert "<script" not in report.text
    assert "&lt;script&gt;" in report.text
    assert "calm is better in conversion" in report.text
    assert report.text.count("<svg") == 3
    assert re.search(r"p = \S+\.\s+1,000 exposures", report.text)
    assert 'class="area c1"' in report.text
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy + report.text
    assert not re.search(r"(src|href)=|style=", report.text)


async def test_the_report_shows_every_metric_of_many_variants_apart(server: Served) -> None:
    names = [f"variant{number}" for number in range(9)]
    variants = [variant("control", 10, control=True), *(variant(name, 10, max_steps=2) for name in names)]
    experiment_id = await begun(server.client, variants=[each.model_dump(mode="json") for each in variants])
    await observed(server, experiment_id, users=500, conversion=dict.fromkeys(["control", *names], 0.2))
    await server.client.post(f"/experiments/{experiment_id}/stop", json={"winner": "control", "reason": "Cheaper."})
    report = (await server.client.get(f"/experiments/{experiment_id}/report")).text
    assert len(set(re.findall(r'class="curve (c\d)"', report))) == 9
    assert re.search(r"<b>control</b>\.\s+Cheaper\.", report)
    assert re.search(r'class="metric"[^>]*>conversion</text>', report)
    assert not [each for each in re.findall(r'<(?:rect|text)[^>]* x="([\d.]+)"', report) if float(each) > 620]


async def test_the_counters_can_be_taken_away(server: Served) -> None:
    experiment_id = await begun(server.client)
    await observed(server, experiment_id, users=250, conversion={"control": 0.1, "calm": 0.3})
    table = await server.client.get(f"/experiments/{experiment_id}/export?format=csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    data = await get(server.client, f"/experiments/{experiment_id}/export")
    assert table.headers["content-type"].startswith("text/csv")
    assert sum(int(float(row["users"])) for row in rows) == sum(row["users"] for row in data["rows"]) == 250
    assert {row["metric"] for row in rows} == {"conversion"}
    assert data["experiment"]["experiment_id"] == experiment_id
