"""What a model is told and what it answers, and the bounded window of a conversation."""

from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import Field

from domain.actions import Action, Call, Frozen, Operation, Result

type OnToken = Callable[[str], Awaitable[None]]


class Message(Frozen):
    """One entry of the working window.

    Args:
        role: Who speaks; `action` entries tell what was called and what came back, as canonical JSON text.
    """

    role: Literal["user", "assistant", "action"]
    content: str


class Passage(Frozen):
    """A piece of retrieved text, untrusted.

    Args:
        score: How relevant it is, 0 to 1.
    """

    document_id: str
    chunk_id: str
    title: str
    text: str
    score: float


class Source(Frozen):
    """Words of a document that a reply rests on: `quote` is `[start:end]` of the piece's text, to the letter."""

    document_id: str
    chunk_id: str
    title: str
    start: int
    end: int
    score: float
    quote: str


class Notice(Frozen):
    """One thing that was degraded while a reply was made.

    Args:
        port: What was missing: `model`, `knowledge`, `checkpoints` …
        mode: `embedded` when it was never configured, `degraded` when it was and did not answer.
        reason: One sentence: why.
        lost: One sentence: what the user goes without.
    """

    port: str
    mode: Literal["embedded", "degraded"]
    reason: str
    lost: str


class Retrieved(Frozen):
    """What the knowledge base gave for a message.

    Args:
        searched: Whether there was anything to search.
    """

    passages: tuple[Passage, ...] = ()
    notices: tuple[Notice, ...] = ()
    searched: bool = False


class Done(Frozen):
    """One action of this run and what came of it, as the model is told.

    Args:
        edited: Whether a human changed the arguments that the model had proposed.
    """

    action: Action
    result: Result
    edited: bool = False


class Tuning(Frozen):
    """How a language model is to be asked this time; None stands for the server's own way."""

    model: str | None = None
    temperature: float | None = None
    system_prompt: str | None = None


class Called(Frozen):
    """What a language model was really called with, read off the request that was sent.

    Args:
        system_prompt: The whole first system message.
        tools: The names of the tools it was offered, as `domain.tool_names` makes them; None where nobody knows.
    """

    model: str
    temperature: float | None
    system_prompt: str
    tools: tuple[str, ...] | None = None


class Turn(Frozen):
    """Everything a model may know when it decides what to do next.

    Args:
        window: Earlier messages of the thread, oldest first, this turn's message not among them.
        summary: What fell out of the window, in short.
        done: This run's actions so far, in the order proposed.
        tuning: How this run's variants want a language model asked, where they want anything.
        observed: Whether it matters what a language model is really called with: the run has variants.
    """

    message: str
    window: tuple[Message, ...] = ()
    summary: str = ""
    passages: tuple[Passage, ...] = ()
    operations: tuple[Operation, ...] = ()
    done: tuple[Done, ...] = ()
    tuning: Tuning | None = None
    observed: bool = False


class Decision(Frozen):
    """What a model decided: calls to make, or a text to answer with.

    Args:
        answered_by: Which model decided, such as `ollama/qwen3:1.7b` or `embedded planner`.
        truncated: Whether the model saw less than it was given, or was cut off at its limit.
        tokens: Read and written, where the model tells.
        called: What the model was called with, where the turn was observed and a language model answered.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    answered_by: str
    notices: tuple[Notice, ...] = Field(default=())
    truncated: bool = False
    tokens: int | None = None
    called: Called | None = None
