"""Hearing: what an answer that was given straight to the graph, as in LangGraph Studio, makes of its request."""

from datetime import datetime

from domain.actions import Action
from domain.amending import decided, schema_of
from domain.approvals import Approval, Verdict
from domain.canonical import JSON
from domain.deciding import Person
from domain.dialects import Word, heard, word_of
from domain.errors import Conflict, InvalidInput
from domain.policy import Policy
from domain.ports import Toolbox
from domain.principals import STUDIO
from domain.questions import NOTE_CHARS

EXAMPLE = 'A yes reads {"approved": true, "approver_id": 1}.'


def answered(
    record: Approval, given: object, *, shown: Action, toolbox: Toolbox, policy: Policy, now: datetime
) -> Approval:
    """Return the record with the answer's vote; whatever is not a clear answer is a no that says why.

    Raises what `domain.amending.decided` does where the answer is clear and does not count.

    Args:
        shown: The action that was asked about.
    """
    word, arguments = _understood(given, shown, toolbox)
    verdict = Verdict(
        approved=word.approved,
        approver_id=word.approver_id or 0,
        approval_notes=word.message,
        decided_by=STUDIO.name,
        decided_at=now,
    )
    who = Person(principal=STUDIO, approver_id=verdict.approver_id)
    return decided(record, verdict, arguments, who=who, seen=shown.digest, toolbox=toolbox, policy=policy)


def _understood(given: object, shown: Action, toolbox: Toolbox) -> tuple[Word, dict[str, JSON] | None]:
    try:
        word = _addressed(word_of(given))
        return word, heard(word, shown, schema=schema_of(shown, toolbox))
    except (InvalidInput, Conflict) as error:
        told = f"Taken for a no: {error.detail.rstrip('.')}. {EXAMPLE}"
        return Word(approved=False, message=told[:NOTE_CHARS]), None


def _addressed(word: Word) -> Word:
    if not word.is_addressed:
        raise InvalidInput("the answer does not say what is accepted")
    return word
