"""The graph's state: bounded, and nothing but JSON.

What came from outside (arguments, answers, passages) is in it as text: no serializer can take it for anything else.
"""

from typing import Annotated, Any, NotRequired, Required, TypedDict

from domain.actions import Action, Result
from domain.canonical import JSON

type Entry = dict[str, Any]  # one JSON object; LangGraph's channels know no better


def merged(left: dict[str, Entry] | None, right: dict[str, Entry] | None) -> dict[str, Entry]:
    """Join what parallel nodes wrote, by action id; None empties it for the next run."""
    return {} if right is None else {**(left or {}), **right}


class Input(TypedDict):
    """What starts a run; who asks, and under which run id, travels in `configurable` (see `nodes/assign.py`)."""

    message: str


class Output(TypedDict, total=False):
    """What a run leaves for its caller, and for its record."""

    run_id: str
    variants: dict[str, JSON]
    reply: str
    answered_by: str
    actions: list[Entry]
    verdicts: dict[str, Entry]
    results: dict[str, Entry]
    sources: list[Entry]
    notices: list[Entry]


class State(TypedDict, total=False):
    """Everything the nodes share.

    The first group is given, `window` and `summary` are the thread's memory, the rest belongs to one run and is emptied
    by `assign`. Entries are dumps of the types in `domain`: `Message`, `Passage`, `Action`, `Result`, `Notice`.
    """

    message: Required[str]
    run_id: str
    thread_id: str
    requester: str

    window: list[Entry]
    summary: str

    variants: dict[str, JSON]
    passages: list[Entry]
    searched: bool
    step: int
    actions: list[Entry]
    answers: Annotated[dict[str, Entry], merged]
    verdicts: Annotated[dict[str, Entry], merged]
    results: Annotated[dict[str, Entry], merged]
    notices: list[Entry]
    text: str
    said: str
    answered_by: str
    reply: str
    sources: list[Entry]


class Update(TypedDict, total=False):
    """What a node gives back: the keys of `State` that it changes; None empties a joined one."""

    run_id: str
    thread_id: str
    requester: str
    window: list[Entry]
    summary: str
    variants: dict[str, JSON]
    passages: list[Entry]
    searched: bool
    step: int
    actions: list[Entry]
    answers: dict[str, Entry] | None
    verdicts: dict[str, Entry] | None
    results: dict[str, Entry] | None
    notices: list[Entry]
    text: str
    said: str
    answered_by: str
    reply: str
    sources: list[Entry]


class Gated(TypedDict):
    """What `gate` is sent: the action's id, what the human is shown, and the JSON Schema of an answer."""

    action_id: str
    question: Entry
    response_schema: NotRequired[Entry]


class Released(TypedDict):
    """What `act` is sent: one action that policy, or a human, let go."""

    run_id: str
    action: Entry
    approval_id: str | None
    requester: str


def open_actions(state: State) -> list[Action]:
    """Return the actions that have no result yet, in the order proposed."""
    results, verdicts = state.get("results", {}), state.get("verdicts", {})
    return [
        Action(**entry)
        for entry in state.get("actions", [])
        if entry["action_id"] not in results and verdicts.get(entry["action_id"], {}).get("outcome") not in REFUSALS
    ]


REFUSALS = {
    "denied": "denied",
    "rejected": "rejected",
    "expired": "rejected",
    "cancelled": "rejected",
    "superseded": "rejected",
    "execution_expired": "rejected",
}
"""Verdicts that end an action without sending it, and the outcome each one leaves."""


def result_of(state: State, action_id: str) -> Result | None:
    """Return what came of an action: its execution, or the refusal that kept it from being sent."""
    if entry := state.get("results", {}).get(action_id):
        return Result(**entry)
    verdict = state.get("verdicts", {}).get(action_id, {})
    if outcome := REFUSALS.get(verdict.get("outcome", "")):
        return Result(action_id=action_id, outcome=outcome, body=verdict.get("message", ""))
    return None
