"""How arguments are checked, read, and placed into URL and body."""

import pytest

from domain.actions import Operation, Place
from domain.canonical import JSON
from domain.errors import InvalidArguments
from tools.arguments import checker, nearest
from tools.schemas import Schema
from tools.wire import Wire, placed


def operation(
    properties: Schema, places: dict[str, Place] | None = None, *, required: tuple[str, ...] = ()
) -> Operation:
    """Return an operation with these arguments, in its body where no other place is given."""
    at: dict[str, Place] = {**dict.fromkeys(properties, "body"), **(places or {})}
    arguments: Schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    path = "/x" + "".join(f"/{{{name}}}" for name, place in at.items() if place == "path")
    return Operation(
        service="shop", name="op", method="POST", path=path, arguments=arguments, places=at, effect="write"
    )


def read(schema: Schema, value: JSON) -> JSON:
    return checker(operation({"x": schema}))({"x": value})["x"]


NULLABLE: Schema = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
NUMBERS: Schema = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "integer"}, 5.0, 5),
        ({"type": "integer"}, "5", 5),
        ({"type": ["integer", "null"]}, "-12", -12),
        (NULLABLE, "7", 7),
        (NULLABLE, None, None),
        ({"type": "number"}, "1.50", 1.5),
        ({"type": "number"}, 5.0, 5.0),
        (NUMBERS, [{"n": "3"}, {"n": 4.0}], [{"n": 3}, {"n": 4}]),
        ({"type": "string"}, "5", "5"),
        ({"type": ["string", "integer"]}, "5", "5"),
        ({}, "5", "5"),
    ],
)
def test_numbers_are_read_where_nothing_else_fits(schema: Schema, value: JSON, expected: JSON) -> None:
    found = read(schema, value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, "007"),
        ({"type": "integer"}, "5.0"),
        ({"type": "integer"}, 5.5),
        ({"type": "integer"}, " 5"),
        ({"type": "integer"}, "\u0665"),
        ({"type": "integer"}, True),
        ({"type": "integer"}, "9007199254740993"),
        ({"type": "integer"}, 9007199254740993),
        ({"type": "number"}, "0.12345678901234567"),
        ({"type": "number"}, "1e3"),
        ({"type": "number"}, float("nan")),
        ({"type": "boolean"}, "true"),
        ({"type": "string"}, 5),
        ({"type": "string"}, "\ud800"),
        ({"type": "string", "pattern": "^a"}, "a" * 2000),
    ],
)
def test_nothing_ambiguous_is_read_as_something_else(schema: Schema, value: JSON) -> None:
    with pytest.raises(InvalidArguments):
        read(schema, value)


def test_a_refusal_names_argument_rule_and_what_is_known() -> None:
    item: Schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    check = checker(operation({"id": {"type": "integer"}, "items": {"type": "array", "items": item}}, required=("id",)))
    with pytest.raises(InvalidArguments) as caught:
        check({"items": [{"n": 0}, {}], "ids": 1})
    assert caught.value.detail == (
        'shop.op: the arguments lack id; there is no argument "ids"; '
        'argument "items[0].n": 0 is less than the minimum of 1 (minimum). '
        "Its arguments: id: integer (required), items: array."
    )


def test_defaults_are_not_filled_in() -> None:
    assert checker(operation({"x": {"type": "integer", "default": 5}}))({}) == {}


def test_arguments_are_bounded() -> None:
    with pytest.raises(InvalidArguments, match="larger than 262144 characters"):
        read({}, "x" * 300_000)


def test_arguments_nested_too_deeply_are_refused() -> None:
    deep: JSON = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InvalidArguments):
        checker(operation({"x": {}}))({"x": deep})


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("findPet", "findPets, addPet"), ("zzz", "findPets, addPet"), ("adPet", "addPet, findPets")],
)
def test_near_names_are_offered(wanted: str, expected: str) -> None:
    assert nearest(wanted, ["findPets", "addPet"]) == expected


def test_every_argument_travels_in_its_place() -> None:
    places: dict[str, Place] = {"id": "path", "tags": "query", "dry": "query", "none": "query"}
    one = operation({name: {} for name in (*places, "name", "body_id")}, places)
    arguments: Schema = {"id": "a b-ü", "tags": ["x&y", "z"], "dry": True, "none": None, "name": "é", "body_id": 1.0}
    url = "http://h/v1/x/a%20b-%C3%BC?tags=x%26y&tags=z&dry=true"
    assert placed(one, "http://h/v1", arguments) == Wire(url, '{"id":1,"name":"é"}'.encode())


@pytest.mark.parametrize(
    ("one", "arguments", "content"),
    [
        (operation({"a": {}}), {}, b"{}"),
        (operation({"a": {}}, {"a": "query"}), {}, None),
        (operation({"body": {}}, {"body": "body-whole"}), {"body": [1, "x"]}, b'[1,"x"]'),
        (operation({"body": {}}, {"body": "body-whole"}), {}, None),
    ],
)
def test_the_body_is_canonical_json_or_none(one: Operation, arguments: Schema, content: bytes | None) -> None:
    assert placed(one, "http://h", arguments).content == content


@pytest.mark.parametrize(
    "value",
    ["", " ", ".", "..", "a/b", "a\\b", "%2e%2E", "%252e%252e", "a%2Fb", "a%25252Fb", "%5c", "x\x00", "x%0d%0a", "..;a",
     "/", "\uff05\uff12\uff46", "\u2024\u2024", "\u2025", "a\uff0fb", "%ff", "%" + "25" * 20 + "2f", None, [], {}],
)  # fmt: skip
def test_a_path_argument_cannot_leave_its_segment(value: JSON) -> None:
    with pytest.raises(InvalidArguments):
        placed(operation({"id": {}}, {"id": "path"}), "http://h", {"id": value})


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("50%", "50%25"),
        ("50%25", "50%2525"),
        ("a.b", "a.b"),
        ("...", "..."),
        ("a?b#c", "a%3Fb%23c"),
        (7, "7"),
        (True, "true"),
    ],
)
def test_ordinary_path_arguments_are_encoded(value: JSON, segment: str) -> None:
    assert placed(operation({"id": {}}, {"id": "path"}), "http://h", {"id": value}).url == f"http://h/x/{segment}"
