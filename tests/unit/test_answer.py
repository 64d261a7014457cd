"""What the pieces of a model's answer add up to."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actions import Call, Operation
from domain.canonical import JSON
from domain.errors import ModelAnswerIncomplete
from tools.answer import Answer, End, Piece, Visible

SCHEMA: dict[str, JSON] = {"type": "object", "properties": {"note": {"type": "string"}, "tags": {"type": "array"}}}
LIST = Operation(service="shop", name="list", method="GET", path="/", arguments=SCHEMA, effect="read")


def shown(*pieces: str) -> str:
    visible = Visible()
    return "".join(visible.take(piece) for piece in pieces) + visible.rest()


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["Hello ", "world"], "Hello world"),
        (["<think>secret</think>\n\nHello"], "Hello"),
        (["<thi", "nk>sec", "ret</th", "ink>", "\n\n", "Hello"], "Hello"),
        (["1 <", " 2 and <th"], "1 < 2 and <th"),
        (["Hello <think>never closed"], "Hello "),
        (["a<think>x</think>b<think>y</think>c"], "abc"),
    ],
)
def test_only_what_is_outside_think_tags_is_shown(pieces: list[str], text: str) -> None:
    assert shown(*pieces) == text


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", "<", "think", ">", " "])), st.data())
def test_where_a_text_is_split_does_not_matter(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    assert shown(*(text[a:b] for a, b in pairwise(cuts))) == shown(text)


def answered(*pieces: Piece) -> Answer:
    answer = Answer()
    for piece in pieces:
        answer.take(piece)
    return answer


def test_calls_lead_back_to_operations_and_unknown_ones_to_no_service() -> None:
    answer = answered(Piece(calls=(("shop__list", {"a": 1}),)), Piece(calls=(("nonsense", {}),), end=End("stop")))
    decision = answer.decision({"shop__list": LIST}, answered_by="m", prompt_length=1, num_ctx=512)
    assert decision.calls == (
        Call(service="shop", operation="list", arguments={"a": 1}),
        Call(service="", operation="nonsense"),
    )


def test_a_text_argument_that_contains_json_stays_a_text() -> None:
    called: dict[str, JSON] = {"note": {"a": 1}, "tags": ["x"], "other": [2]}
    answer = answered(Piece(calls=(("shop__list", called),), end=End("stop")))
    decision = answer.decision({"shop__list": LIST}, answered_by="m", prompt_length=1, num_ctx=512)
    assert decision.calls[0].arguments == {"note": '{"a": 1}', "tags": ["x"], "other": [2]}


@pytest.mark.parametrize("name", ["shop__list", "nonsense"])
def test_arguments_nested_too_deeply_are_an_error(name: str) -> None:
    deep: JSON = 1
    for _ in range(300):
        deep = [deep]
    with pytest.raises(ModelAnswerIncomplete, match="cannot be read"):
        answered(Piece(calls=((name, {"tags": deep}),), end=End("stop"))).decision(
            {"shop__list": LIST}, answered_by="m", prompt_length=1, num_ctx=512
        )


@pytest.mark.parametrize(
    ("end", "length", "reasons"),
    [
        (End("stop", 100, 20), 600, []),
        (End("stop", 512, 20), 600, ["did not fit"]),
        (End("stop", 500, 20), 600, ["did not fit"]),
        (End("stop"), 512 * 6 + 1, ["did not fit"]),
        (End("length", 400, 112), 600, ["reached its limit"]),
        (End("length", 500, 13), 600, ["reached its limit"]),
        (End("length", 512, 0), 600, ["did not fit", "reached its limit"]),
    ],
)
def test_what_was_cut_is_noticed(end: End, length: int, reasons: list[str]) -> None:
    decision = answered(Piece("Hi", end=end)).decision({}, answered_by="m", prompt_length=length, num_ctx=512)
    assert decision.truncated is bool(reasons)
    assert [reason in notice.reason for reason, notice in zip(reasons, decision.notices, strict=True)] == [True] * len(
        reasons
    )


def test_what_was_held_back_is_part_of_the_answer() -> None:
    answer = answered(Piece("1 <"), Piece(end=End("stop")))
    assert answer.decision({}, answered_by="m", prompt_length=1, num_ctx=512).text == "1 <"


@pytest.mark.parametrize(
    ("pieces", "sentence"),
    [
        ([Piece("Half an ans")], "ended before it was finished"),
        ([Piece("", end=End("stop"))], "without saying anything"),
        ([Piece("<think>only", end=End("length"))], "without saying anything"),
    ],
)
def test_half_an_answer_and_no_answer_are_errors(pieces: list[Piece], sentence: str) -> None:
    with pytest.raises(ModelAnswerIncomplete, match=sentence):
        answered(*pieces).decision({}, answered_by="m", prompt_length=1, num_ctx=512)
