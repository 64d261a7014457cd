"""Respond: write the reply with what it rests on, and remember the turn within the window's budget."""

import re
from typing import Any

from domain.actions import Action, Result
from domain.canonical import canonical, parsed
from domain.citations import cited
from domain.conversation import Message, Passage
from domain.state import State, Update, result_of
from domain.window import remember

NOTHING_FOUND = "I found no passage about this in the documents."
QUOTE_LEFT_OUT = "Words that were quoted are left out, for they are not in the documents."
QUESTION = re.compile(
    r"\s*(?:please\s+)?(?:what|which|who|whom|whose|how|when|where|why|is|are|was|were|do|does|did|can|could|may|must"
    r"|should|would|will|tell|explain|describe|summari[sz]e|define|compare|find|look\s+up|search|give\s+me|show\s+me"
    r"|i\s+(?:want|need|would\s+like|'d\s+like)\s+to\s+know)\b",
    re.IGNORECASE,
)
"""How messages begin that ask for something to be known, whatever sign they end with."""

BODY_CHARS = 1_500
"""How much of a service's answer the thread remembers."""


async def respond(state: State, *, window_chars: int, summary_chars: int) -> Update:
    """Return the reply with its sources, and the thread's memory after this turn."""
    text, sources, _, refused = cited(state["text"], [Passage(**entry) for entry in state["passages"]])
    text = text or "I have nothing to say to that."
    if refused:
        text = f"{text}\n\n{QUOTE_LEFT_OUT}"
    if found_nothing(state):
        text = f"{text}\n\n{NOTHING_FOUND}"
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
        "sources": [source.model_dump() for source in sources],
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


def found_nothing(state: State) -> bool:
    """Return whether a question was looked for in the documents, and neither they nor a service had an answer."""
    asks = QUESTION.match(state["message"]) is not None or "?" in state["message"]
    return bool(state.get("searched")) and asks and not state["passages"] and not state["actions"]
