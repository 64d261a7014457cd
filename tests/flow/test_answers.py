"""Answers over HTTP in any tool's words: each is a decision on the record, and none is taken for another question."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from tests.asking import ask, paused, refunds, resume
from tests.ollama_server import Reply, calls, ollama_server, say
from tests.running import Served, served, settings_for
from tests.services import DemoServices

NAME = "cloudapp.refundOrder"
SEEN = {"action": NAME, "args": {"order_id": "1001", "amount": "500"}}
SMALLER = {"action": NAME, "args": {"order_id": "1001", "amount": "20"}}


async def answer(client: httpx2.AsyncClient, run_id: str, said: object, **query: str) -> httpx2.Response:
    return await client.post(f"/orchestrations/{run_id}/resume", json=said, params=query)


@pytest.mark.parametrize(
    ("said", "amount"),
    [
        ("approve", 500),
        (True, 500),
        ({"type": "approve"}, 500),
        ({"decisions": [{"type": "approve"}]}, 500),
        ({"type": "edit", "edited_action": {"name": NAME, "args": {"order_id": 1001, "amount": 20}}}, 20),
        ([{"type": "accept", "args": SEEN}], 500),
        ([{"type": "accept", "args": None}], 500),
        ([{"type": "edit", "args": SMALLER}], 20),
        ({"approved": True, "approver_id": 3, "approval_notes": "ok"}, 500),
    ],
)
async def test_a_yes_in_any_words_is_a_decision_and_returns_the_reply(
    server: Served, demo: DemoServices, said: object, amount: int
) -> None:
    run_id, request_id = await paused(server.client)
    reply = await answer(server.client, run_id, said)
    assert (reply.status_code, reply.json()["status"]) == (200, "completed")
    assert [refund["amount"] for refund in await refunds(demo["cloudapp"])] == [amount]
    record = (await server.client.get(f"/approvals/{request_id}")).json()
    assert (record["state"], record["verdict"]["decided_by"]) == ("executed", "anonymous")
    assert record["arguments"] == {"order_id": 1001, "amount": amount}


@pytest.mark.parametrize(
    "said", [{"type": "reject", "message": "too much"}, {"decisions": [{"type": "respond", "message": "too much"}]},
             [{"type": "response", "args": "too much"}]]
)  # fmt: skip
async def test_a_no_in_any_words_sends_nothing_and_is_told(server: Served, demo: DemoServices, said: object) -> None:
    run_id, _ = await paused(server.client)
    reply = (await answer(server.client, run_id, said)).json()
    assert reply["actions"][0]["status"] == "rejected"
    assert "too much" in reply["reply"]
    assert await refunds(demo["cloudapp"]) == []


async def test_what_is_not_an_answer_to_what_waits_decides_nothing(server: Served, demo: DemoServices) -> None:
    run_id, request_id = await paused(server.client)
    other = {"name": "cloudapp.getOrder", "args": {"order_id": 1}}
    refused: dict[int, list[Any]] = {
        409: [
            {"decisions": [{"type": "approve"}] * 2},
            {"type": "edit", "edited_action": other},
            [{"type": "accept", "args": SMALLER}],
        ],
        422: [
            "maybe",
            {},
            [],
            {"type": "edit"},
            {"approved": "yes"},
            1,
            [{"type": "edit", "args": {**SMALLER, "args": {}}}],
        ],
        404: [{"apr_" + "0" * 32: "approve"}],
    }
    for status, every in refused.items():
        assert [(said, (await answer(server.client, run_id, said)).status_code) for said in every] == [
            (said, status) for said in every
        ]
    assert (await answer(server.client, run_id, "approve", digest="0" * 64)).status_code == 409
    assert (await answer(server.client, run_id, None)).status_code == 202
    assert (await resume(server.client, run_id)).status_code == 202
    assert (await server.client.get(f"/approvals/{request_id}")).json()["state"] == "pending"
    assert await refunds(demo["cloudapp"]) == []


def refund(amount: int) -> tuple[str, dict[str, Any]]:
    return "cloudapp__refundOrder", {"order_id": 1001, "amount": amount}


@asynccontextmanager
async def scripted(folder: Path, demo: DemoServices, *replies: Reply) -> AsyncIterator[Served]:
    async with ollama_server(replies) as ollama, served(settings_for(folder, demo, ollama_url=ollama.url)) as server:
        yield server


async def test_the_same_word_again_is_never_a_yes_to_the_next_question(tmp_path: Path, demo: DemoServices) -> None:
    script = calls(refund(5)), calls(refund(7)), say("Done.")
    async with scripted(tmp_path / "data", demo, *script) as server:
        run_id, _ = await paused(server.client)
        first = await answer(server.client, run_id, "approve")
        (asked,) = first.json()["approvals"]
        again = [
            await answer(server.client, run_id, said) for said in ("approve", {"decisions": [{"type": "approve"}]})
        ]
        sent = [each["amount"] for each in await refunds(demo["cloudapp"])]
        meant = await answer(server.client, run_id, "approve", digest=asked["action"]["digest"])
    assert first.status_code == 202
    assert [each.status_code for each in again] == [409, 409]
    assert sent == [5]
    assert meant.json()["status"] == "completed"
    assert [each["amount"] for each in await refunds(demo["cloudapp"])] == [5, 7]


@pytest.mark.parametrize("edits", [False, True])
async def test_an_answer_that_comes_twice_never_releases_the_same_action_asked_again(
    tmp_path: Path, demo: DemoServices, edits: bool
) -> None:
    script = calls(refund(5)), calls(refund(5)), say("Done.")
    async with scripted(tmp_path / "data", demo, *script) as server:
        run_id, request_id = await paused(server.client)
        seen = (await server.client.get(f"/approvals/{request_id}")).json()["action"]["digest"]
        shown = {"action": NAME, "args": {"order_id": "1001", "amount": "4" if edits else "5"}}
        said = [{"type": "edit" if edits else "accept", "args": shown}]
        first = await answer(server.client, run_id, said, digest=seen)
        (asked,) = first.json()["approvals"]
        again = [await answer(server.client, run_id, each, digest=seen) for each in (said, "approve")]
        if not edits:
            again.append(await answer(server.client, run_id, said))
        sent = len(await refunds(demo["cloudapp"]))
        meant = await answer(server.client, run_id, {asked["request_id"]: True})
    assert first.status_code == 202
    assert asked["action"]["digest"] == seen
    assert {each.status_code for each in again} == {409}
    assert sent == 1
    assert (meant.json()["status"], len(await refunds(demo["cloudapp"]))) == ("completed", 2)


async def test_several_questions_are_answered_in_order_or_by_name_and_never_by_one_word(
    tmp_path: Path, demo: DemoServices
) -> None:
    script = calls(refund(5), refund(7)), calls(refund(9), refund(11)), say("Done.")
    async with scripted(tmp_path / "data", demo, *script) as server:
        first = (await ask(server.client, "refund something")).json()
        run_id = first["orchestration_id"]
        word = await answer(server.client, run_id, "approve")
        batch = {
            "decisions": [
                {"type": "approve"} if each["arguments"]["amount"] == 5 else {"type": "reject"}
                for each in first["approvals"]
            ]
        }
        then = (await answer(server.client, run_id, batch)).json()
        named = {each["request_id"]: each["arguments"]["amount"] == 11 for each in then["approvals"]}
        both = [await answer(server.client, run_id, named) for _ in range(2)]
    assert word.status_code == 409
    assert [each.status_code for each in both] == [200, 200]
    assert sorted(each["amount"] for each in await refunds(demo["cloudapp"])) == [5, 11]


async def test_many_answers_at_once_make_one_decision(server: Served, demo: DemoServices) -> None:
    run_id, _ = await paused(server.client)
    said = [{"type": "approve"}, {"type": "reject"}] * 5
    answers = await asyncio.gather(*(answer(server.client, run_id, each) for each in said))
    assert {each.status_code for each in answers} <= {200, 202, 409}
    state = (await server.client.get("/approvals")).json()["approvals"][0]["verdict"]["approved"]
    assert len(await refunds(demo["cloudapp"])) == (1 if state else 0)


@asynccontextmanager
async def keyed(folder: Path, demo: DemoServices, *, ollama_url: str = "", **roles: str) -> AsyncIterator[Served]:
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in roles}
    keys = SecretStr(",".join(f"{name}:{role}:{digests[name]}" for name, role in roles.items()))
    more = {"ollama_url": ollama_url} if ollama_url else {}
    async with served(settings_for(folder, demo, api_keys=keys, **more)) as server:
        yield server


async def test_an_answer_takes_an_approver_whosever_run_it_is(tmp_path: Path, demo: DemoServices) -> None:
    found = []
    async with keyed(tmp_path / "data", demo, ann="user", bob="user+approver", eve="approver") as server:
        for asks, answers in (("ann", "ann"), ("ann", "eve"), ("bob", "eve"), ("bob", "bob")):
            server.client.headers["X-API-Key"] = asks
            run_id, _ = await paused(server.client, session_id=f"{asks}-{answers}")
            server.client.headers["X-API-Key"] = answers
            found.append((await answer(server.client, run_id, "approve")).status_code)
        server.client.headers["X-API-Key"] = "ann"
        assert (await answer(server.client, run_id, "approve")).status_code == 403
    assert found == [403, 200, 200, 200]


async def test_who_answers_for_somebody_else_is_told_of_the_action_and_not_of_the_conversation(
    tmp_path: Path, demo: DemoServices
) -> None:
    script = calls(("petstore__findPetsByStatus", {"status": "sold"})), calls(refund(5)), calls(refund(7)), say("Sent.")
    async with (
        ollama_server(script) as ollama,
        keyed(tmp_path / "data", demo, ollama_url=ollama.url, ann="user", bob="user+approver") as server,
    ):
        server.client.headers["X-API-Key"] = "ann"
        run_id, first = await paused(server.client, "a secret wish", session_id="hers")
        server.client.headers["X-API-Key"] = "bob"
        bare = await resume(server.client, run_id)
        then = await answer(server.client, run_id, {first: {"type": "approve"}})
        (waits,) = then.json()["approvals"]
        last = await answer(server.client, run_id, {"decisions": [{"type": "approve"}]}, digest=waits["digest"])
        server.client.headers["X-API-Key"] = "ann"
        own = await resume(server.client, run_id)
    assert (bare.status_code, then.status_code, last.status_code) == (404, 202, 200)
    assert [(each["arguments"]["amount"], each["status"]) for each in last.json()["actions"]] == [
        (5, "executed"),
        (7, "executed"),
    ]
    assert (last.json()["status"], last.json()["approvals"]) == ("completed", [])
    private = "secret", "hers", "findPets", "Sent.", '"reply"'
    assert not any(word in each.text for each in (then, last) for word in private)
    assert (own.json()["reply"], own.json()["message"]) == ("Sent.", "a secret wish")
