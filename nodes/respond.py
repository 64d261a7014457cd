"""Respond: write the reply, and remember the turn within the window's budget."""

from typing import Any

from domain.actions import Action, Result
from domain.canonical import canonical, parsed
from domain.conversation import Message
from domain.state import State, Update, result_of
from domain.window import remember

BODY_CHARS = 1_500
"""How much of a service's answer the thread remembers."""


async def respond(state: State, *, window_chars: int, summary_chars: int) -> Update:
    """Return the reply with its sources, and the thread's memory after this turn."""
    text = state["text"] or "I have nothing to say to that."
    turn = [
        Message(role="user", content=state["message"]),
        *(_remembered(Action(**entry), state) for entry in state["actions"]),
        Message(role="assistant", content=text),
    ]
    window, summary = remember(
        [Message(**entry) for entry in state.get("window", [])],
        state.get("summary", ""),
        turn,
        window_chars=window_chars,
        summary_chars=summary_chars,
    )
    return {
        "reply": text,
        "sources": [_source(passage) for passage in state["passages"]],
        "window": [message.model_dump() for message in window],
        "summary": summary,
    }


def _remembered(action: Action, state: State) -> Message:
    return remembered(
        action, result_of(state, action.action_id) or Result(action_id=action.action_id, outcome="unknown")
    )


def remembered(action: Action, result: Result) -> Message:
    """Return what a thread remembers of an action and of what came of it."""
    entry: dict[str, Any] = {
        "service": action.service,
        "operation": action.operation,
        "arguments": parsed(action.arguments),
        "outcome": result.outcome,
        "http_status": result.http_status,
        "body": result.body[:BODY_CHARS],
    }
    return Message(role="action", content=canonical(entry))


def _source(passage: dict[str, Any]) -> dict[str, Any]:
    return {key: passage[key] for key in ("document_id", "chunk_id", "title", "score")}
