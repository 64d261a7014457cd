"""What is read from an OpenAPI document, and what is left out of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actions import Operation
from domain.canonical import JSON
from domain.errors import InvalidInput
from tools.lookups import assured
from tools.openapi import Offer, read_offer
from tools.schemas import Schema
from tools.wire import body_name, property_name

PET: Schema = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "tag": {"type": "string"}},
}


def document(node: Schema, *, path: str = "/pets", method: str = "post", root: Schema | None = None) -> Schema:
    operation = {"operationId": "op", **node}
    return {"openapi": "3.0.3", "paths": {path: {method: operation}}, **(root or {})}


def body(schema: Schema, *, required: bool = True, kind: str = "application/json") -> Schema:
    return {"requestBody": {"required": required, "content": {kind: {"schema": schema}}}}


def parameter(name: str, place: str, **more: JSON) -> Schema:
    return {"name": name, "in": place, "schema": {"type": "string"}, **more}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def components(**schemas: JSON) -> Schema:
    return {"components": {"schemas": schemas}}


def read(node: Schema, path: str = "/pets", method: str = "post", root: Schema | None = None) -> Operation:
    offer = offered(node, path=path, method=method, root=root)
    assert not offer.skipped
    return offer.operations[0]


def offered(node: Schema, path: str = "/pets", method: str = "post", root: Schema | None = None) -> Offer:
    return read_offer(document(node, path=path, method=method, root=root), service="shop")


def schema_of(schema: JSON, root: Schema | None = None) -> JSON:
    """Return what becomes of a schema, as that of the one argument `x`."""
    operation = read(body({"type": "object", "properties": {"x": schema}}), root=root)
    properties = operation.arguments["properties"]
    assert isinstance(properties, dict)
    return properties["x"]


def test_arguments_of_all_places_stand_side_by_side() -> None:
    node: Schema = {"parameters": [parameter("id", "path"), parameter("dry", "query", required=True)], **body(PET)}
    operation = read(node, path="/pets/{id}", method="put")
    assert operation.places == {"id": "path", "dry": "query", "name": "body", "tag": "body"}
    assert operation.arguments == {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("id", "dry", "name", "tag")},
        "required": ["id", "dry", "name"],
        "additionalProperties": False,
    }
    assert (operation.method, operation.path, operation.effect) == ("PUT", "/pets/{id}", "write")


def test_a_body_property_named_like_a_parameter_gets_a_prefix() -> None:
    operation = read({"parameters": [parameter("name", "query")], **body(PET)})
    assert operation.places == {"name": "query", "body_name": "body", "tag": "body"}
    assert operation.arguments["required"] == ["body_name"]


@given(st.sets(st.from_regex(r"(body_){0,3}[ab]", fullmatch=True)), st.sets(st.sampled_from(["a", "b", "body_a"])))
def test_prefixed_names_are_found_again(properties: set[str], parameters: set[str]) -> None:
    named = {name: body_name(name, parameters) for name in properties}
    assert {name: property_name(argument, parameters) for name, argument in named.items()} == {n: n for n in properties}
    assert len(set(named.values())) == len(properties)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"type": "string"},
        {"type": "object"},
        {"oneOf": [PET, {"type": "object", "properties": {"id": {"type": "integer"}}}]},
        {**PET, "minProperties": 1},
    ],
)
def test_a_body_that_properties_do_not_describe_is_one_argument(schema: Schema) -> None:
    operation = read(body(schema))
    assert (operation.places, operation.arguments["required"]) == ({"body": "body-whole"}, ["body"])


def test_an_all_of_body_is_flattened() -> None:
    more: Schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    operation = read(body({"allOf": [PET, more]}))
    assert (set(operation.places), operation.arguments["required"]) == ({"name", "tag", "age"}, ["name", "age"])


def test_an_optional_body_is_needed_whole_or_not_at_all() -> None:
    operation = read(body(PET, required=False))
    assert (operation.arguments["required"], operation.arguments["dependentRequired"]) == (
        [],
        {"name": ["name"], "tag": ["name"]},
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 0}),
        ({"type": "integer", "maximum": 9, "exclusiveMaximum": False}, {"type": "integer", "maximum": 9}),
        ({"allOf": [{"type": "string"}], "description": "A"}, {"type": "string", "description": "A"}),
        (
            {"allOf": [ref("S")], "nullable": True},
            {"type": ["string", "null"]},
        ),
        ({"enum": ["a"], "nullable": True}, {"anyOf": [{"enum": ["a"]}, {"type": "null"}]}),
        ({"$ref": "#/components/schemas/S", "description": "A"}, {"type": "string", "description": "A"}),
        ({"type": "string", "pattern": "^[a-z]+$"}, {"type": "string", "pattern": "^[a-z]+$"}),
        ({"type": "string", "pattern": "^(a+)+$"}, {"type": "string"}),
        ({"type": "string", "pattern": "("}, {"type": "string"}),
        ({"type": "file", "minLength": "x", "x-secret": 1, "example": "e", "$id": "http://else"}, {}),
        ({"type": "string", "description": "a\u202eb\x00\n  c"}, {"type": "string", "description": "a b c"}),
    ],
)
def test_schemas_become_2020_12(schema: Schema, expected: Schema) -> None:
    assert schema_of(schema, components(S={"type": "string"})) == expected


def test_a_recursive_schema_is_unrolled_once() -> None:
    tree: Schema = {"type": "object", "properties": {"name": {"type": "string"}, "child": ref("T")}}
    found = schema_of(ref("T"), components(T=tree))
    assert found == {"type": "object", "properties": {"name": {"type": "string"}, "child": {}}}


def test_read_only_properties_are_neither_known_nor_required() -> None:
    mine: Schema = {"id": {"type": "integer", "readOnly": True}, "name": {"type": "string"}}
    owned: Schema = {"type": "object", "required": ["id", "name"], "properties": mine}
    operation = read(body(owned))
    assert (set(operation.places), operation.arguments["required"]) == ({"name"}, ["name"])


def laughs(n: int) -> Schema:
    """Return eight references to the next of twelve such schemas: 8**12 schemas in a document of a few lines."""
    return {"type": "object", "properties": {name: ref(f"L{n + 1}") for name in "abcdefgh"} if n < 12 else {}}


@pytest.mark.parametrize(
    ("node", "root", "reason"),
    [
        (body({"$ref": "other.json#/X"}), {}, "it refers to another document (other.json#/X)"),
        (body(ref("None")), {}, "the reference #/components/schemas/None leads nowhere"),
        (
            body(ref("A")),
            components(A=ref("B"), B=ref("A")),
            "its references run in a circle at #/components/schemas/A",
        ),
        (
            body(ref("L0")),
            components(**{f"L{n}": laughs(n) for n in range(13)}),
            "its schema is too large or nested too deeply",
        ),
        (body({}, kind="multipart/form-data"), {}, "its body is not JSON but multipart/form-data"),
    ],
)
def test_an_unusable_body_is_a_reason_to_skip(node: Schema, root: Schema, reason: str) -> None:
    assert offered(node, root=root) == Offer(skipped={"op": reason})


@pytest.mark.parametrize(
    ("parameters", "path", "reason"),
    [
        ([parameter("id", "path", content={})], "/p/{id}", "its parameter id is an object"),
        ([], "/p/{id}", "its path names an argument that is not declared"),
        ([], "/a/../admin", "its path is malformed"),
        ([], "/a/..;x/admin", "its path is malformed"),
        ([], "/a?admin=1", "its path is malformed"),
        ([], "//evil{", "its path names an argument that is not declared"),
        ([parameter("a", "path"), parameter("a", "query")], "/{a}", "two of its arguments would be called a"),
    ],
)
def test_an_unusable_path_is_a_reason_to_skip(parameters: list[JSON], path: str, reason: str) -> None:
    assert offered({"parameters": parameters}, path=path) == Offer(skipped={"op": reason})


def test_only_allowed_operations_are_offered_in_the_order_allowed() -> None:
    twice: Schema = {"get": {"operationId": "twice"}, "post": {"operationId": "twice"}}
    root: Schema = {
        "openapi": "3.1.0",
        "paths": {"/a": {"get": {"operationId": "op"}, "post": body({}, kind="x/y")}, "/b": {"get": {}}, "/c": twice},
    }
    offer = read_offer(root, service="shop", allowed=["get_b", "op", "twice", "gone", "post_a"])
    assert [each.name for each in offer.operations] == ["get_b", "op"]
    assert offer.skipped == {
        "twice": "the document offers it more than once",
        "gone": "the document does not offer it",
        "post_a": "its body is not JSON but x/y",
    }


def test_credentials_are_no_arguments() -> None:
    schemes: Schema = {"k": {"type": "apiKey", "in": "query", "name": "api_key"}}
    hidden = [parameter("api_key", "query"), parameter("X-Token", "header", required=True), parameter("sid", "cookie")]
    operation = read(
        {"parameters": [*hidden, parameter("q", "query")]}, root={"components": {"securitySchemes": schemes}}
    )
    assert operation.places == {"q": "query"}


@pytest.mark.parametrize(
    ("node", "known", "expected"),
    [
        ({}, {}, False),
        ({}, {"op": True}, True),
        ({"x-idempotency-key": True}, {}, True),
        ({"x-idempotency-key": True}, {"op": False}, False),
        ({"x-idempotency-key": "yes"}, {}, False),
        ({"parameters": [parameter("idempotency-KEY", "header")]}, {}, True),
    ],
)
def test_idempotency_is_declared_by_document_or_operator(
    node: Schema, known: dict[str, bool], *, expected: bool
) -> None:
    offer = assured(read_offer(document(node), service="shop"), idempotent=known, lookups={})
    assert (offer.operations[0].idempotency_key, offer.operations[0].places) == (expected, {})


@pytest.mark.parametrize(
    ("method", "declared", "reads", "effect"),
    [
        ("get", None, (), "read"),
        ("get", "write", (), "write"),
        ("post", "read", (), "write"),
        ("post", None, ("op",), "read"),
        ("post", "write", ("op",), "write"),
        ("delete", "read", ("op",), "write"),
    ],
)
def test_a_document_alone_never_declares_a_write_harmless(
    method: str, declared: str | None, reads: tuple[str, ...], effect: str
) -> None:
    root = document({"x-effect": declared}, method=method)
    assert read_offer(root, service="shop", reads=reads).operations[0].effect == effect


@pytest.mark.parametrize(
    ("servers", "path"),
    [
        ([{"url": "/api/v3"}], "/api/v3/pets"),
        ([{"url": "https://evil.example/v2/"}], "/v2/pets"),
        ([{"url": "https://{h}/{v}", "variables": {"h": {"default": "x"}, "v": {"default": "v9"}}}], "/v9/pets"),
        ([], "/pets"),
    ],
)
def test_a_server_gives_a_path_prefix_and_no_host(servers: list[JSON], path: str) -> None:
    assert read({}, root={"servers": servers}).path == path


def test_texts_are_shortened_and_cleaned() -> None:
    operation = read({"summary": "s\u200b\n" * 300, "description": "d" * 900})
    assert (len(operation.summary), len(operation.description), "\u200b" in operation.summary) == (120, 600, False)


@pytest.mark.parametrize(
    "root", [None, [], {"openapi": "3.0.0"}, {"swagger": "2.0", "paths": {}}, {"openapi": 3, "paths": {}}]
)
def test_other_documents_are_refused(root: JSON) -> None:
    with pytest.raises(InvalidInput):
        read_offer(root, service="shop")
