"""Conditions: questions in CEL about an action's arguments."""

from typing import Any

import pytest

from domain.conditions import Undecided, compiled
from domain.errors import InvalidInput

ARGS: dict[str, Any] = {"amount": 500, "part": 1.5, "name": "Ada", "tags": ["new"], "deep": {"n": None}}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("args.amount > 100", True),
        ("args.amount > 100.5", True),
        ("args.part < 2", True),
        ("args.name.startsWith('A') && size(args.name) == 3", True),
        ("'new' in args.tags", True),
        ("args.tags.exists(tag, tag == 'old')", False),
        ("args.deep.n == null", True),
        ("has(args.missing) && args.missing > 1", False),
        ("origins.amount == 'retrieved'", True),
        ("requester.startsWith('ann/') && method == 'POST'", True),
        ("type(args.name) == string", True),
    ],
)
def test_a_condition_is_a_question_about_the_action(text: str, answer: bool) -> None:
    given = {"args": ARGS, "origins": {"amount": "retrieved"}, "requester": "ann/1", "method": "POST"}
    assert compiled(text).holds(given) is answer


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("args.missing > 1", "there is no missing"),
        ("args.name > 1", "another type"),
        ("args.amount", "neither true nor false"),
        ("args.tags[7] == 'x'", "failed"),
        ("args.amount / 0 > 1", "failed"),
        ("args.name.matches('(')", "failed"),
        ("args.amount * 9223372036854775807 > 0", "failed"),
    ],
)
def test_a_condition_without_an_answer_says_so(text: str, why: str) -> None:
    with pytest.raises(Undecided, match=why):
        compiled(text).holds({"args": ARGS})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("args.amount >", "line 1, column 14"),
        ("", "not CEL"),
        ("amount > 1", "names amount, but can only ask about args"),
        ("args.name.lower() == 'ada'", "calls lower"),
        ("(" * 5_000, "cannot be parsed|not CEL"),
    ],
)
def test_what_no_action_could_answer_is_refused_when_it_is_written(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        compiled(text)
