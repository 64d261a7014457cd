"""The OpenAPI document tells every route, its examples work, and no problem is of a shape it does not tell."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from boot.settings import Settings
from server import create_app
from tests.asking import paused
from tests.experimenting import begun, variant_of
from tests.records import order, result
from tests.running import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT: dict[str, Any] = create_app(Settings(_env_file=None)).openapi()
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def example_of(operation: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a body's schema and its example."""
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
    return schema, schema["examples"][0]


NAMES = {operation["operationId"]: (method, path, operation) for method, path, operation in operations()}
BODIES = [name for name, (_, _, operation) in NAMES.items() if "requestBody" in operation]
STREAMS = [name for name, (_, path, _) in NAMES.items() if path.endswith("/stream")]


async def test_every_operation_has_a_readable_name_a_summary_a_description_and_a_tag() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert len(NAMES) == len(list(operations()))
    for name, (_, _, operation) in NAMES.items():
        assert name.replace("_", "").isalpha()
        assert operation["summary"]
        assert operation["description"].endswith(".")
        assert set(operation["tags"]) <= tags


async def test_every_problem_is_a_problem_document_and_nothing_else() -> None:
    for name, (_, _, operation) in NAMES.items():
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert (name, status, answer["content"]) == (name, status, PROBLEM)
    assert "HTTPValidationError" not in str(DOCUMENT)


async def test_every_reference_leads_somewhere() -> None:
    text = str(DOCUMENT)
    named = {part.partition("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(DOCUMENT["components"]["schemas"])
    assert "#/$defs" not in text


async def test_only_health_and_the_types_of_problems_need_no_key() -> None:
    assert [name for name, (_, _, each) in NAMES.items() if not each.get("security")] == [
        "get_health",
        "explain_problem",
    ]
    kinds = [(scheme["type"], scheme.get("name")) for scheme in DOCUMENT["components"]["securitySchemes"].values()]
    assert kinds == [("http", None), ("apiKey", "X-API-Key")]


async def test_every_number_asked_for_has_bounds_and_every_word_a_length() -> None:
    for _, _, operation in operations():
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                assert bounded(parameter["schema"]), parameter


def bounded(schema: dict[str, Any]) -> bool:
    if "anyOf" in schema:
        return all(bounded(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return bounded(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    bounded_by_nature = schema.get("type") in ("null", "boolean") or schema.get("format") == "date-time"
    return bounded_by_nature or bool({"maximum", "maxLength", "enum", "pattern"} & schema.keys())


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_told_as_one(name: str) -> None:
    assert list(NAMES[name][2]["responses"]["200"]["content"]) == ["text/event-stream"]


@pytest.mark.parametrize("name", BODIES)
async def test_the_example_of_a_body_is_valid_and_works(shared: Served, name: str) -> None:
    method, path, operation = NAMES[name]
    schema, example = example_of(operation)
    components = {"components": DOCUMENT["components"]}
    Draft202012Validator({**schema, **components}).validate(example)
    run_id, request_id = await paused(shared.client, session_id=f"example-{name}")
    experiment_id = await begun(shared.client)
    await variant_of(shared.client, experiment_id, 42)
    ids = {
        "orchestration_id": run_id,
        "request_id": request_id,
        "experiment_id": experiment_id,
        "action_id": await in_doubt(shared),
    }
    headers = {"If-Match": '"2"'} if method == "PATCH" else {}
    url = path.format(**ids, name="ml", user_id=42)
    answer = await shared.client.request(method, url, json=example, headers=headers)
    assert answer.status_code in (200, 201, 202), answer.text


async def in_doubt(server: Served) -> str:
    """Leave an action whose outcome nobody knows, and return its id."""
    ledger, at = server.container.ledger, server.container.clock()
    hold = await ledger.begin(order("act_doubt"), at=at)
    if hold.may_send:
        await ledger.finish(hold, result("act_doubt", outcome="unknown"), at=at)
    return "act_doubt"


@pytest.mark.parametrize("name", ["explain_problem", "read_petstore", "read_vehicles"])
async def test_the_example_of_a_path_works(shared: Served, name: str) -> None:
    method, path, operation = NAMES[name]
    (parameter,) = operation["parameters"]
    url = path.format(**{parameter["name"]: parameter["schema"]["examples"][0]})
    assert (await shared.client.request(method, url)).status_code == 200


REFUSED: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "not-found": ("GET", "/nowhere", {}, 404),
    "method-not-allowed": ("GET", "/orchestrate", {}, 405),
    "malformed-json": ("POST", "/orchestrate", {"content": b"{"}, 400),
    "content-too-large": ("POST", "/orchestrate", {"content": b" " * 2_000_000}, 413),
    "invalid-input": ("POST", "/orchestrate", {"json": {}}, 422),
    "invalid-arguments": ("GET", "/petstore/pet/three", {}, 422),
    "conflict": ("GET", "/orchestrations/a/stream", {"headers": {"Last-Event-ID": "b:1:1"}}, 409),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_problem_explains_its_type(shared: Served, name: str) -> None:
    method, path, given, status = REFUSED[name]
    refused = await shared.client.request(method, path, **given)
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert (problem["type"], problem["status"], refused.status_code) == (f"/problems/{name}", status, status)
    explained = (await shared.client.get(problem["type"])).json()
    assert explained["status"] == status
    assert explained["meaning"].endswith(".")


@pytest.mark.parametrize("path", ["/orchestrations", "/approvals/pending"])
async def test_a_misspelt_filter_is_refused(shared: Served, path: str) -> None:
    answer = await shared.client.get(path, params={"orchestration": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, ["query", "orchestration"])


@pytest.mark.parametrize(
    ("number", "status"), [("1.0", 200), ("1e0", 200), ("1.5", 422), ("1e300", 422), ("true", 422)]
)
async def test_a_whole_number_is_one_however_it_is_written(shared: Served, number: str, status: int) -> None:
    body = f'{{"user_id": {number}, "session_id": "whole", "message": "which pets are available?"}}'
    headers = {"Content-Type": "application/json"}
    answer = await shared.client.post("/orchestrate", content=body.encode(), headers=headers)
    assert answer.status_code == status


READS = {
    "/petstore/pet/3": 200,
    "/petstore/api/v3/pet/3": 200,
    "/petstore/pet/999999": 404,
    "/petstore/3": 404,
    "/petstore/": 404,
    "/petstore/v3/pet/3": 404,
    "/petstore/order/1": 404,
    "/vehicles/vehicles/1": 200,
    "/vehicles/1": 404,
}


@pytest.mark.parametrize("path", READS)
async def test_a_read_goes_through_where_the_service_has_something(shared: Served, path: str) -> None:
    assert (await shared.client.get(path)).status_code == READS[path]


async def test_the_longest_message_is_the_one_that_is_told(shared: Served) -> None:
    longest = DOCUMENT["components"]["schemas"]["MessageIn"]["properties"]["message"]["maxLength"]
    for length, status in ((longest, 200), (longest + 1, 422)):
        body = {"user_id": 1, "session_id": "longest", "message": "a" * length}
        assert (await shared.client.post("/orchestrate", json=body)).status_code == status
