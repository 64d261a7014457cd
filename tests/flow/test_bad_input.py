"""Bad input is a clear problem: never a defect, a hang, or a half-made thread."""

from typing import Any

import httpx2
import pytest

from tests.asking import ask, paused
from tests.running import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}

BODIES: dict[str, tuple[bytes, int]] = {
    "no body": (b"", 422),
    "not JSON": (b"{", 400),
    "an array": (b"[]", 422),
    "a number that is none": (b'{"user_id":NaN,"session_id":"s","message":"m"}', 400),
    "an infinite number": (b'{"user_id":1e999,"session_id":"s","message":"m"}', 422),
    "bad UTF-8": (b'{"user_id":1,"session_id":"s","message":"\xff"}', 400),
    "half a surrogate pair": (b'{"user_id":1,"session_id":"s","message":"\\ud800"}', 400),
    "a name twice": (b'{"user_id":1,"session_id":"s","message":"m","user_id":2}', 400),
    "a name twice in other letters": (b'{"user_id":1,"session_id":"s","message":"m","\\u0075ser_id":1}', 400),
    "a name twice, deep inside": (b'{"user_id":1,"session_id":"s","message":"m","attributes":{"a":1,"a":2}}', 400),
    "150 deep, a name twice": (b'{"a":' * 150 + b'{"b":1,"b":2}' + b"}" * 150, 400),
    "many names and one twice": (b"{" + b"".join(b'"%d":1,' % each for each in range(60_000)) + b'"59999":1}', 400),
    "a number of 10,000 digits": (b'{"user_id":' + b"9" * 10_000 + b',"session_id":"s","message":"m"}', 400),
    "100,000 deep": (b"[" * 100_000 + b"]" * 100_000, 400),
    "100,000 deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "10 MB": (b'{"user_id":1,"session_id":"s","message":"' + b"x" * 10_000_000 + b'"}', 413),
    "text as user": (b'{"user_id":"one","session_id":"s","message":"m"}', 422),
    "true as user": (b'{"user_id":true,"session_id":"s","message":"m"}', 422),
    "negative user": (b'{"user_id":-1,"session_id":"s","message":"m"}', 422),
    "enormous user": (b'{"user_id":99999999999999999999,"session_id":"s","message":"m"}', 422),
    "no message": (b'{"user_id":1,"session_id":"s"}', 422),
    "empty message": (b'{"user_id":1,"session_id":"s","message":""}', 422),
    "blank message": (b'{"user_id":1,"session_id":"s","message":" \\n\\t "}', 422),
    "message that is no text": (b'{"user_id":1,"session_id":"s","message":{"a":1}}', 422),
    "enormous message": (b'{"user_id":1,"session_id":"s","message":"' + b"x" * 20_000 + b'"}', 422),
    "path as session": (b'{"user_id":1,"session_id":"../../etc/passwd","message":"m"}', 422),
    "NUL in session": (b'{"user_id":1,"session_id":"a\\u0000b","message":"m"}', 422),
    "empty session": (b'{"user_id":1,"session_id":"","message":"m"}', 422),
    "unknown member": (b'{"user_id":1,"session_id":"s","message":"m","on_bussy":"reject"}', 422),
    "unknown choice": (b'{"user_id":1,"session_id":"s","message":"m","on_busy":"explode"}', 422),
}


async def test_json_that_is_sent_as_a_form_is_told_what_it_lacks(shared: Served) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = b'{"user_id":1,"session_id":"s","message":"m"}'
    answer = await shared.client.post("/orchestrate", content=body, headers=form)
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.mark.parametrize("route", ["/orchestrate", "/orchestrate/stream"])
@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_body_is_refused_and_leaves_nothing(shared: Served, route: str, name: str) -> None:
    body, status = BODIES[name]
    before = (await shared.client.get("/orchestrations")).json()
    answer = await shared.client.post(route, content=body, headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("/problems/")
    assert problem["detail"]
    assert (await shared.client.get("/orchestrations")).json() == before


@pytest.mark.parametrize("name", ["nope", "..%2f..%2fetc%2fpasswd", "%00", "x" * 5_000, "run_%ff"])
@pytest.mark.parametrize(
    "route", ["GET /orchestrations/{}", "POST /orchestrations/{}/resume", "POST /orchestrations/{}/cancel",
              "GET /orchestrations/{}/stream", "GET /approvals/{}"]
)  # fmt: skip
async def test_an_unknown_id_is_not_found(shared: Served, route: str, name: str) -> None:
    method, _, path = route.partition(" ")
    answer = await shared.client.request(method, path.format(name))
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


VERDICTS: list[Any] = [
    {},
    {"approved": "yes", "approver_id": 1},
    {"approved": 1, "approver_id": 1},
    {"approved": True},
    {"approved": True, "approver_id": "me"},
    {"approved": True, "approver_id": 1, "approval_notes": "x" * 5_000},
    {"approved": True, "approver_id": 1, "arguments": {"amount": 1}},
    "approve",
    None,
]


@pytest.mark.parametrize("number", range(len(VERDICTS)))
async def test_a_decision_that_is_none_decides_nothing(shared: Served, number: int) -> None:
    verdict = VERDICTS[number]
    _, request_id = await paused(shared.client, session_id=f"verdict-{number}")
    answer = await shared.client.post(f"/approvals/pending/{request_id}/decide", json=verdict)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert (await shared.client.get(f"/approvals/{request_id}")).json()["state"] == "pending"


async def test_a_yes_and_a_no_in_one_body_are_neither(shared: Served) -> None:
    _, request_id = await paused(shared.client, session_id="both")
    both = b'{"approved":true,"approver_id":1,"approved":false}'
    answer = await shared.client.post(f"/approvals/pending/{request_id}/decide", content=both, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-json")
    assert "'approved' twice" in answer.json()["detail"]
    assert (await shared.client.get(f"/approvals/{request_id}")).json()["state"] == "pending"


@pytest.mark.parametrize("query", ["limit=0", "limit=1000", "limit=x", "skip=-1", "risk_level=silly"])
async def test_a_page_that_is_none_is_refused(shared: Served, query: str) -> None:
    answer = await shared.client.get(f"/approvals/pending?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-input")


async def test_an_unknown_route_and_a_wrong_method_are_problems(shared: Served) -> None:
    nowhere = await shared.client.get("/nowhere")
    wrong = await shared.client.get("/orchestrate")
    assert (nowhere.status_code, nowhere.json()["type"]) == (404, "/problems/not-found")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "/problems/method-not-allowed")
    assert wrong.headers["allow"] == "POST"


async def test_every_problem_explains_its_type(shared: Served) -> None:
    refused = (await shared.client.get("/orchestrations/nope")).json()
    explained = await shared.client.get(refused["type"])
    assert (explained.status_code, explained.json()["status"]) == (200, 404)


async def test_a_request_id_is_kept_if_it_is_clean_and_made_if_not(shared: Served) -> None:
    kept = await shared.client.get("/health", headers={"X-Request-ID": "abc-123"})
    made = await shared.client.get("/health", headers={"X-Request-ID": "a b\tc"})
    assert kept.headers["x-request-id"] == "abc-123"
    assert made.headers["x-request-id"] not in ("", "a b\tc")


async def test_a_caller_who_leaves_loses_nothing(shared: Served) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        await shared.client.post(
            "/orchestrate",
            json={"user_id": 1, "session_id": "leaver", "message": "which pets are available?"},
            timeout=httpx2.Timeout(5, read=0.001),
        )
    assert (await ask(shared.client, "what did I ask before?", session_id="leaver")).status_code == 200
    runs = (await shared.client.get("/orchestrations?session_id=leaver")).json()["orchestrations"]
    assert [run["status"] for run in runs] == ["completed", "completed"]
