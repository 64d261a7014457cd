"""Dialects: what humans say about an action in other tools' words; `domain.questions` asks in the same ones.

LangChain's decisions (one, or a batch), Agent Inbox's replies, and our own form are taken as they are, strictly;
whatever else is said is no answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from domain.actions import Action, Frozen
from domain.canonical import JSON, canonical, parsed
from domain.errors import Conflict, InvalidInput
from domain.questions import NOTE_CHARS, name_of
from domain.retyping import retyped

type Scalar = Literal["approve", "accept", "yes", "reject", "ignore", "no"]

YES = ("approve", "accept", "yes")
NO = ("reject", "ignore", "no")

type Note = Annotated[str, Field(max_length=NOTE_CHARS)]
type Arguments = dict[str, JSON]


class Strict(Frozen):
    """A form of an answer: nothing is read into it, and nothing left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Approve(Strict):
    """LangChain's yes."""

    type: Literal["approve"]


class EditedAction(Strict):
    """The action as it should be sent; the name has to be the one that was shown."""

    name: str
    args: dict[str, Any]


class Edit(Strict):
    """LangChain's yes to other arguments."""

    type: Literal["edit"]
    edited_action: EditedAction


class Reject(Strict):
    """LangChain's no."""

    type: Literal["reject"]
    message: Note = ""


class Respond(Strict):
    """LangChain's answer in the action's place: nothing is sent, and the model reads the message."""

    type: Literal["respond"]
    message: Note


type Decision = Annotated[Approve | Edit | Reject | Respond, Field(discriminator="type")]


class Decisions(Strict):
    """LangChain's batch: one decision for each action that waits, in the order shown."""

    decisions: Annotated[list[Decision], Field(min_length=1, max_length=100)]


class InboxAction(Strict):
    """An action as Agent Inbox sends it back: every value is text."""

    action: str
    args: dict[str, Any]


class Accept(Strict):
    """Agent Inbox's yes, with the action that was seen."""

    type: Literal["accept"]
    args: InboxAction | None


class InboxEdit(Strict):
    """Agent Inbox's yes to other arguments."""

    type: Literal["edit"]
    args: InboxAction


class Response(Strict):
    """Agent Inbox's answer in the action's place."""

    type: Literal["response"]
    args: Note


class Ignore(Strict):
    """Agent Inbox's no."""

    type: Literal["ignore"]
    args: None


type InboxAnswers = Annotated[list[InboxAnswer], Field(min_length=1, max_length=1)]
type InboxAnswer = Annotated[Accept | InboxEdit | Response | Ignore, Field(discriminator="type")]


def _whole(given: object) -> object:
    """Return 1 for 1.0, which is the same number in JSON, and everything else as it is."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


class Ours(Strict):
    """Our own form, as the route takes it that decides one request."""

    approved: bool
    approver_id: Annotated[int, Field(ge=0, le=2**53 - 1), BeforeValidator(_whole)] | None = None
    approval_notes: Note = ""


@dataclass(frozen=True)
class Word:
    """What one human said about one action, whatever the dialect.

    Args:
        arguments: What the action is to be sent with instead.
        name: The action the human meant, where the dialect says it.
        seen: The arguments the human saw, where the dialect says them.
        as_text: Whether `arguments` and `seen` hold every value as text.
        approver_id: Who it was, where the dialect says it.
        is_addressed: Whether more than a bare word was said; the same word again would be taken for the next question.
    """

    approved: bool
    message: str = ""
    arguments: Arguments | None = None
    name: str | None = None
    seen: Arguments | None = None
    as_text: bool = False
    approver_id: int | None = None
    is_addressed: bool = True


_DECISION: TypeAdapter[Any] = TypeAdapter(Decision)
_INBOX: TypeAdapter[Any] = TypeAdapter(InboxAnswers)


def word_of(given: object) -> Word:
    """Return what was said about one action; raises `InvalidInput` for what is not clearly an answer to it."""
    words = words_of(given)
    if len(words) > 1:
        raise InvalidInput(f"{len(words)} decisions came for one action")
    return words[0]


def words_of(given: object) -> tuple[Word, ...]:
    """Return what was said, an entry for each action in the order shown; raises `InvalidInput` for anything else."""
    try:
        if isinstance(given, list):
            return tuple(_from_inbox(each) for each in _INBOX.validate_python(given))
        if isinstance(given, dict) and "decisions" in given:
            return tuple(_from_langchain(each) for each in Decisions.model_validate(given).decisions)
        if isinstance(given, dict) and "type" in given:
            return (_from_langchain(_DECISION.validate_python(given)),)
        ours = Ours.model_validate(given)
    except ValidationError as error:
        raise InvalidInput("; ".join(_wrong(each["loc"], each["msg"]) for each in error.errors()[:3])) from error
    return (Word(ours.approved, message=ours.approval_notes, approver_id=ours.approver_id),)


def scalar(given: object) -> Word:
    """Return what a single word means; raises `InvalidInput` where it may mean anything."""
    if isinstance(given, bool):
        return Word(given, is_addressed=False)
    if given not in (*YES, *NO):
        raise InvalidInput(f"a single word is one of {', '.join(YES + NO)}")
    return Word(given in YES, is_addressed=False)


def _wrong(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place))}: {message}" if place else "the answer is not an object"


def _from_langchain(said: Approve | Edit | Reject | Respond) -> Word:
    match said:
        case Approve():
            return Word(approved=True)
        case Edit(edited_action=action):
            return Word(approved=True, arguments=action.args, name=action.name)
    return Word(approved=False, message=said.message)


def _from_inbox(said: Accept | InboxEdit | Response | Ignore) -> Word:
    match said:
        case Accept(args=None):
            return Word(approved=True, is_addressed=False)
        case Accept(args=InboxAction(action=name, args=seen)):
            return Word(approved=True, name=name, seen=seen, as_text=True)
        case InboxEdit(args=action):
            return Word(approved=True, arguments=action.args, name=action.action, as_text=True)
        case Response(args=message):
            return Word(approved=False, message=message)
    return Word(approved=False, message="Ignored.")


def heard(word: Word, action: Action, *, schema: Mapping[str, JSON] | None) -> Arguments | None:
    """Return the arguments a word puts in an action's place, or None where it leaves them.

    Raises `Conflict` where the word is about another action than this: the human saw something else.

    Args:
        schema: Of the operation's arguments, by which texts are read.
    """
    if word.name not in (None, name_of(action), action.operation):
        raise Conflict(f"The answer is about {str(word.name)[:120]}, and what waits is {name_of(action)}.")
    before = parsed(action.arguments)
    held = before if isinstance(before, dict) else {}
    if word.seen is not None and canonical(retyped(word.seen, held, schema)) != action.arguments:
        raise Conflict("The answer is about other arguments than those that wait.")
    if word.arguments is None:
        return None
    return retyped(word.arguments, held, schema) if word.as_text else word.arguments
