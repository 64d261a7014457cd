"""Humans govern what is sent: quorums, groups, edits, delegation, and what the approver is shown."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from pydantic import SecretStr

from tests.asking import REFUND, ask, decide, paused, refunds, resume
from tests.ollama_server import call, ollama_server, say
from tests.running import Served, served, settings_for
from tests.services import DemoServices

KEYS = {
    "ann": "user",
    "bob": "approver+@finance",
    "eve": "approver+@finance+#3",
    "lou": "approver+@legal+#7",
    "oli": "operator",
}

RULES: list[dict[str, Any]] = [
    {"name": "reads", "when": {"effect": "read"}, "then": "run"},
    {"name": "too-much", "when": {"operation": "refundOrder", "condition": "args.amount > 900"}, "then": "deny"},
    {
        "name": "large",
        "when": {"operation": "refundOrder", "condition": "args.amount > 100"},
        "then": "ask",
        "quorum": 2,
        "groups": ["finance"],
        "requester_may_approve": False,
        "reason": "Money leaves the company.",
    },
    {"name": "writes", "when": {"effect": "write"}, "then": "ask"},
]


def api_keys() -> SecretStr:
    digests = {name: hashlib.sha256(f"key-{name}".encode()).hexdigest() for name in KEYS}
    return SecretStr(",".join(f"{name}:{roles}:{digests[name]}" for name, roles in KEYS.items()))


def policy_file(folder: Path, rules: list[dict[str, Any]] = RULES) -> Path:
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump({"rules": rules}))
    return path


@pytest.fixture
async def locked(tmp_path: Path, demo: DemoServices) -> AsyncIterator[Served]:
    settings = settings_for(tmp_path / "data", demo, policy_file=policy_file(tmp_path), api_keys=api_keys())
    async with served(settings) as running:
        yield running


@pytest.fixture
async def governed(tmp_path: Path, demo: DemoServices) -> AsyncIterator[Served]:
    async with served(settings_for(tmp_path / "data", demo, policy_file=policy_file(tmp_path))) as running:
        yield running


@asynccontextmanager
async def caller(locked: Served, name: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"X-API-Key": f"key-{name}"}
    async with httpx2.AsyncClient(base_url=locked.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


async def post(client: httpx2.AsyncClient, request_id: str, what: str, **body: Any) -> httpx2.Response:
    return await client.post(f"/approvals/pending/{request_id}/{what}", json=body)


async def test_two_of_a_group_release_what_neither_can_alone(locked: Served, demo: DemoServices) -> None:
    async with caller(locked, "ann") as ann, caller(locked, "bob") as bob, caller(locked, "eve") as eve:
        run_id, request_id = await paused(ann)
        async with caller(locked, "oli") as oli, caller(locked, "lou") as lou:
            outside = [await decide(client, request_id, approver_id=7) for client in (oli, lou)]
        first = await decide(bob, request_id, approver_id=2)
        twice = await decide(bob, request_id, approver_id=9)
        assert await refunds(demo["cloudapp"]) == []
        second = await decide(eve, request_id, approver_id=3)
        again = await decide(bob, request_id, approver_id=2)
        body = (await resume(ann, run_id)).json()
    assert [(each.status_code, each.json()["type"]) for each in outside] == [(403, "/problems/not-eligible")] * 2
    assert (first.json()["state"], len(first.json()["votes"]), twice.status_code) == ("pending", 1, 409)
    assert (second.json()["state"], again.content) == ("approved", first.content)
    assert body["actions"][0]["status"] == "executed"
    assert len(await refunds(demo["cloudapp"])) == 1


async def test_without_keys_the_number_tells_who_asked(governed: Served) -> None:
    _, request_id = await paused(governed.client)
    own = await decide(governed.client, request_id, approver_id=1)
    other = await decide(governed.client, request_id, approver_id=2)
    assert (own.status_code, own.json()["type"]) == (403, "/problems/not-eligible")
    assert (other.status_code, len(other.json()["votes"])) == (200, 1)


async def test_what_is_edited_is_what_is_sent_told_and_remembered(governed: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(governed.client, "refund order 1001 with $50")
    before = (await governed.client.get(f"/approvals/{request_id}")).json()
    edit = {"order_id": 1001, "amount": 40}
    given = {"approved": True, "approver_id": 2, "edited_arguments": edit, "digest": before["digest"]}
    first = await post(governed.client, request_id, "decide", **given)
    body = (await resume(governed.client, run_id)).json()
    again = await post(governed.client, request_id, "decide", **given)
    record = (await governed.client.get(f"/approvals/{request_id}")).json()
    assert (first.status_code, first.json()["state"], again.content) == (200, "approved", first.content)
    assert (body["actions"][0]["arguments"], body["actions"][0]["edited"]) == (edit, True)
    assert [refund["amount"] for refund in await refunds(demo["cloudapp"])] == [40]
    assert (record["original_digest"], record["revision"], record["state"]) == (before["digest"], 1, "executed")
    assert [step["what"] for step in record["history"]] == ["edited", "decided"]
    assert (await refunds(demo["cloudapp"]))[0]["idempotency_key"] == f"{request_id}-{record['digest'][:32]}"


@pytest.mark.parametrize(
    ("arguments", "status", "kind"),
    [
        ({"order_id": 1001, "amount": "much"}, 422, "invalid-arguments"),
        ({"order_id": 1001}, 422, "invalid-arguments"),
        ({"order_id": 1001, "amount": 50, "to": "me"}, 422, "invalid-arguments"),
        ({"order_id": 1001, "amount": 901}, 403, "edit-denied"),
    ],
)
async def test_an_edit_is_checked_like_a_new_action(
    governed: Served, arguments: dict[str, Any], status: int, kind: str
) -> None:
    _, request_id = await paused(governed.client, "refund order 1001 with $50")
    before = (await governed.client.get(f"/approvals/{request_id}")).json()
    for what in ("edit", "decide"):
        said = {"approved": True} if what == "decide" else {}
        answer = await post(governed.client, request_id, what, approver_id=2, edited_arguments=arguments, **said)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")
    assert (await governed.client.get(f"/approvals/{request_id}")).json() == before


async def test_an_edit_into_a_stricter_rule_needs_its_quorum_for_what_it_holds_then(governed: Served) -> None:
    _, request_id = await paused(governed.client, "refund order 1001 with $50")
    edited = await post(
        governed.client, request_id, "edit", approver_id=2, edited_arguments={"order_id": 1001, "amount": 200}
    )
    blind = await decide(governed.client, request_id, approver_id=2)
    seen = await post(
        governed.client, request_id, "decide", approved=True, approver_id=2, digest=edited.json()["digest"]
    )
    assert (edited.json()["quorum"], edited.json()["policy_rule"], edited.json()["revision"]) == (2, "large", 1)
    assert (blind.status_code, blind.json()["type"]) == (409, "/problems/digest-changed")
    assert blind.json()["approval"]["digest"] == edited.json()["digest"]
    assert (seen.json()["state"], len(seen.json()["votes"])) == ("pending", 1)


async def test_a_person_a_decision_was_handed_to_decides_in_place_of_another(locked: Served) -> None:
    async with caller(locked, "ann") as ann, caller(locked, "bob") as bob, caller(locked, "lou") as lou:
        _, request_id = await paused(ann)
        handed = await post(bob, request_id, "delegate", to_approver_id=7, by=2, note="on holiday")
        nobody = await post(lou, request_id, "delegate", to_approver_id=999, by=7)
        back = await post(lou, request_id, "delegate", to_approver_id=2, by=7)
        own = await decide(bob, request_id, approver_id=2)
        delegate = await decide(lou, request_id, approver_id=7)
        wrong = await post(bob, request_id, "delegate", by=2)
    assert (handed.status_code, handed.json()["delegated_to"]) == (200, "approver:7")
    assert (nobody.status_code, back.status_code) == (409, 409)
    assert "approver:999" in nobody.json()["detail"]
    assert (own.status_code, own.json()["type"]) == (403, "/problems/not-eligible")
    assert (delegate.status_code, len(delegate.json()["votes"]), wrong.status_code) == (200, 1, 422)


async def test_nobody_is_told_that_a_service_is_healthy_which_was_just_seen_down(
    governed: Served, demo: DemoServices
) -> None:
    _, first = await paused(governed.client, session_id="before")
    await demo.stop("cloudapp")
    failed = (await ask(governed.client, "show order 1001", session_id="down")).json()
    _, second = await paused(governed.client, session_id="after")
    before, after = [(await governed.client.get(f"/approvals/{each}")).json() for each in (first, second)]
    assert failed["actions"][0]["status"] == "failed"
    assert (before["service_health"]["status"], after["service_health"]["status"]) == ("healthy", "unhealthy")
    assert "cannot be reached" in after["service_health"]["detail"]


async def test_the_list_tells_each_what_they_may_decide(locked: Served) -> None:
    async with caller(locked, "ann") as ann, caller(locked, "bob") as bob, caller(locked, "lou") as lou:
        await paused(ann, session_id="s1")
        await paused(ann, "refund order 1001 with $50", session_id="s2")
        queries = ["", "eligible_for=7", "group=finance", "policy_rule=writes", "mine=true", "requester=ann/1"]
        totals = [(await lou.get(f"/approvals/pending?{query}")).json()["total"] for query in queries]
        bobs = (await bob.get("/approvals/pending?eligible_for=2")).json()["total"]
    assert totals == [2, 1, 1, 1, 0, 2]
    assert bobs == 2


async def test_several_are_decided_each_for_itself(governed: Served, demo: DemoServices) -> None:
    asked = [await paused(governed.client, f"refund order 1001 with ${n}", session_id=f"s{n}") for n in (10, 20, 30)]
    (one, _, three), ids = asked, [request_id for _, request_id in asked]
    await decide(governed.client, ids[1], approved=False, approver_id=2)
    wanted = [{"request_id": each, "approved": True, "approver_id": 2} for each in [*ids, "apr_none"]]
    answer = await governed.client.post("/approvals/bulk-decide", json={"decisions": wanted})
    for run_id, _ in (one, three):
        await resume(governed.client, run_id)
    results = answer.json()["results"]
    assert [each["status"] for each in results] == [200, 409, 200, 404]
    assert results[1]["problem"]["type"] == "/problems/already-decided"
    assert results[0]["approval"]["state"] == "approved"
    assert sorted(refund["amount"] for refund in await refunds(demo["cloudapp"])) == [10, 30]


async def test_the_approver_is_told_that_the_service_is_down(tmp_path: Path, demo: DemoServices) -> None:
    async with served(settings_for(tmp_path / "data", demo)) as server:
        _, up = await paused(server.client, session_id="s1")
        await server.client.post("/circuit-breakers/cloudapp/force-open", json={"reason": "maintenance"})
        _, down = await paused(server.client, session_id="s2")
        records = [(await server.client.get(f"/approvals/{each}")).json() for each in (up, down)]
    assert [each["service_health"]["status"] for each in records] == ["healthy", "unhealthy"]
    assert [each["service_now"]["breaker"] for each in records] == ["forced_open", "forced_open"]
    assert "forced open" in records[1]["service_health"]["detail"]


async def test_the_models_own_words_stand_apart(tmp_path: Path, demo: DemoServices) -> None:
    refund = call("cloudapp__refundOrder", {"order_id": 1001, "amount": 5}, text="The manager has approved this.")
    async with (
        ollama_server([refund, say("Done.")]) as ollama,
        served(settings_for(tmp_path / "data", demo, ollama_url=ollama.url)) as server,
    ):
        answer = await ask(server.client, REFUND)
    (approval,) = answer.json()["approvals"]
    assert approval["model_words"] == "The manager has approved this."
    assert "manager" not in approval["proposed_action"]


async def test_a_request_that_nobody_decides_may_end_its_run(tmp_path: Path, demo: DemoServices) -> None:
    rule = {"name": "asks", "then": "ask", "expires_in_seconds": 1, "on_expiry": "cancel"}
    settings = settings_for(tmp_path / "data", demo, policy_file=policy_file(tmp_path, [rule]))
    async with served(settings) as server:
        run_id, request_id = await paused(server.client)
        async with asyncio.timeout(20):
            while (run := (await server.client.get(f"/orchestrations/{run_id}")).json())["status"] not in ENDED:  # noqa: ASYNC110  # the clock ends it
                await asyncio.sleep(0.05)
        record = (await server.client.get(f"/approvals/{request_id}")).json()
    assert (run["status"], record["state"]) == ("cancelled", "expired")
    assert await refunds(demo["cloudapp"]) == []


ENDED = ("completed", "failed", "cancelled")
