"""The working window: the last messages of a thread within a budget, and a running summary of what fell out."""

from domain.conversation import Message

MESSAGE_CHARS = 4_000
"""What one message may take of the window; longer ones are cut with a mark."""


def remember(
    window: list[Message], summary: str, turn: list[Message], *, window_chars: int, summary_chars: int
) -> tuple[list[Message], str]:
    """Return window and summary after a turn; both stay within their budgets however long the thread grows.

    Args:
        window_chars: The budget of the window in characters; about four to a token.
        summary_chars: The budget of the summary in characters; the oldest lines are forgotten first.
    """
    messages = [*window, *(_cut(message) for message in turn)]
    kept = len(messages)
    room = window_chars
    while kept and (room := room - len(messages[kept - 1].content)) >= 0:
        kept -= 1
    return messages[kept:], _summary(summary, messages[:kept], summary_chars)


def _cut(message: Message) -> Message:
    if len(message.content) <= MESSAGE_CHARS:
        return message
    return message.model_copy(update={"content": message.content[: MESSAGE_CHARS - 2] + " …"})


def _summary(summary: str, fallen: list[Message], budget: int) -> str:
    lines = [line for line in summary.split("\n") if line]
    lines += [f"{message.role}: {' '.join(message.content.split())[:160]}" for message in fallen]
    while lines and sum(len(line) + 1 for line in lines) > budget:
        lines.pop(0)
    return "\n".join(lines)
