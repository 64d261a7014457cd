"""The JSON of answers: LangChain's, Agent Inbox's, and our own."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, RootModel, StrictBool, StringConstraints

from api.shapes import Given
from domain.dialects import Decision, Decisions, InboxAnswers, Ours, Scalar
from graph.answers import REQUEST_ID

type Named = Annotated[str, StringConstraints(pattern=REQUEST_ID)]
type Addressed = Annotated[
    dict[Named, Scalar | StrictBool | Decisions | Decision | Ours | InboxAnswers],
    Field(min_length=1, max_length=100, json_schema_extra={"additionalProperties": False}),
]

EXAMPLE: dict[str, Any] = {"decisions": [{"type": "approve"}]}


class ResumeIn(Given):
    """What was seen by whoever answers."""

    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="The digest of the action that was seen; needed once a run has asked more than once"
    )


class AnswerIn(RootModel[Scalar | StrictBool | Decisions | Decision | Ours | InboxAnswers | Addressed | None]):
    """What a human says: LangChain's decisions (a batch in the order asked, or one), Agent Inbox's reply, or our form.

    An object of request ids, which are the ids of their interrupts, says which answer is meant for which request. A
    single word is taken while exactly one request waits. `respond` and `response` send nothing: the model reads the
    message. Without a body nothing is said.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})


NOTHING = AnswerIn(None)
