"""What the streamed pieces of a model's answer add up to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from domain.actions import Call, Operation
from domain.canonical import JSON
from domain.conversation import Decision, Notice
from domain.errors import ModelAnswerIncomplete

OPEN, CLOSE = "<think>", "</think>"
# No tokenizer in use writes more characters than this per token over ordinary text, on average.
CHARACTERS_PER_TOKEN = 6


@dataclass(frozen=True, slots=True)
class End:
    """What the last piece of a finished answer says.

    Args:
        reason: `stop`, or `length` where a limit cut the answer off.
        prompt_tokens: Read, where the server counted.
        answer_tokens: Written, where the server counted.
    """

    reason: str
    prompt_tokens: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of an answer; only the last one of a whole answer has an end."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, JSON]], ...] = ()
    end: End | None = None


class Visible:
    """Lets through what is meant for the user: everything outside `<think>` and `</think>`."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._started = False

    def take(self, text: str) -> str:
        """Return what of the text so far may be shown now; the start of a possible tag is held back."""
        self._held += text
        shown = ""
        while (cut := self._held.find(self._tag)) >= 0:
            shown += self._passed(self._held[:cut])
            self._held = self._held[cut + len(self._tag) :]
            self._thinking = not self._thinking
        keep = _overlap(self._held, self._tag)
        shown += self._passed(self._held[: len(self._held) - keep])
        self._held = self._held[len(self._held) - keep :]
        return self._trimmed(shown)

    def rest(self) -> str:
        """Return what was held back and turned out to be no tag."""
        held, self._held = self._held, ""
        return self._trimmed(self._passed(held))

    @property
    def _tag(self) -> str:
        return CLOSE if self._thinking else OPEN

    def _passed(self, text: str) -> str:
        return "" if self._thinking else text

    def _trimmed(self, text: str) -> str:
        """Drop the empty lines that thinking leaves at the start."""
        if not self._started:
            text = text.lstrip()
            self._started = bool(text)
        return text


@dataclass(slots=True)
class Answer:
    """The pieces received so far."""

    _visible: Visible = field(default_factory=Visible)
    _text: str = ""
    _calls: list[tuple[str, dict[str, JSON]]] = field(default_factory=list)
    _end: End | None = None

    def take(self, piece: Piece) -> str:
        """Add a piece and return what of it the user may see now."""
        self._calls += piece.calls
        self._end = piece.end or self._end
        shown = self._visible.take(piece.text)
        if piece.end:
            shown += self._visible.rest()
        self._text += shown
        return shown

    def decision(
        self, operations: Mapping[str, Operation], *, answered_by: str, prompt_length: int, num_ctx: int
    ) -> Decision:
        """Return what the whole answer decides; raises `ModelAnswerIncomplete` where it is none.

        Args:
            operations: The operation behind each tool's name; a name that is not among them becomes a call of no
                service, so that validation can tell the model.
            prompt_length: What the model was given to read, in characters.
            num_ctx: What it can hold, in tokens.
        """
        if self._end is None:
            raise ModelAnswerIncomplete("The model's answer ended before it was finished.")
        if not self._calls and not self._text.strip():
            raise ModelAnswerIncomplete("The model finished without saying anything.")
        notices = (*_prompt_cut(self._end, prompt_length, num_ctx), *_answer_cut(self._end))
        return Decision(
            text=self._text,
            calls=tuple(_call(name, arguments, operations) for name, arguments in self._calls),
            answered_by=answered_by,
            notices=notices,
            truncated=bool(notices),
            tokens=(self._end.prompt_tokens + self._end.answer_tokens) or None,
        )


def _prompt_cut(end: End, prompt_length: int, num_ctx: int) -> tuple[Notice, ...]:
    """Return a notice where the context cannot have held everything.

    The server cuts the oldest messages without a word; all it tells is how many tokens it read and wrote.
    """
    full = end.prompt_tokens >= num_ctx
    shifted = end.reason != "length" and end.prompt_tokens + end.answer_tokens > num_ctx
    if not full and not shifted and prompt_length <= num_ctx * CHARACTERS_PER_TOKEN:
        return ()
    reason = f"The conversation did not fit into the model's context of {num_ctx} tokens."
    return (_degraded(reason, "The model did not see the oldest part of it."),)


def _answer_cut(end: End) -> tuple[Notice, ...]:
    if end.reason != "length":
        return ()
    reason = "The model reached its limit in the middle of the answer."
    return (_degraded(reason, "The end of the answer is missing."),)


def _degraded(reason: str, lost: str) -> Notice:
    return Notice(port="model", mode="degraded", reason=reason, lost=lost)


def _call(name: str, arguments: dict[str, JSON], operations: Mapping[str, Operation]) -> Call:
    operation = operations.get(name)
    try:
        if operation is None:
            return Call(service="", operation=name, arguments=arguments)
        return Call(service=operation.service, operation=operation.name, arguments=_as_sent(arguments, operation))
    except ValidationError as error:  # nested too deeply to be checked
        raise ModelAnswerIncomplete("The model called a tool with arguments that cannot be read.") from error


def _as_sent(arguments: dict[str, JSON], operation: Operation) -> dict[str, JSON]:
    """Return the arguments with texts that contain JSON as texts again: langchain-ollama takes them for values."""
    properties = operation.arguments.get("properties")
    texts = properties if isinstance(properties, dict) else {}
    return {
        name: json.dumps(value) if isinstance(value, dict | list) and _is_text(texts.get(name)) else value
        for name, value in arguments.items()
    }


def _is_text(schema: JSON) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "string"


def _overlap(text: str, tag: str) -> int:
    """Return how many characters at the end of the text could be the start of the tag."""
    return next((size for size in range(min(len(text), len(tag) - 1), 0, -1) if text.endswith(tag[:size])), 0)
