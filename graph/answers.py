"""Answers: what a human says about a run's open questions, in any tool's words, as decisions on their records."""

import re
from dataclasses import dataclass

from checkpoints.approvals import Approvals
from domain.amending import schema_of
from domain.approvals import Approval
from domain.canonical import JSON
from domain.dialects import Word, heard, scalar, words_of
from domain.errors import Conflict, NotFound
from domain.ports import Toolbox
from domain.principals import Principal
from graph.decisions import Decisions, Said

REQUEST_ID = r"^apr_[0-9a-f]{32}$"

type Pair = tuple[Approval, Word]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Takes answers: none goes into the graph, each decides a record as the route for decisions does."""

    approvals: Approvals
    decisions: Decisions
    toolbox: Toolbox

    async def take(self, run_id: str, given: JSON, *, digest: str | None, by: Principal) -> None:
        """Decide what a run waits for; what is decided stays so where a later one of several fails.

        Raises `InvalidInput` for what is no answer, `NotFound`, `Conflict` where it is not clear what is answered, and
        what a decision raises.

        Args:
            digest: Of the action that was seen, where the dialect has no place for it.
        """
        records = await self.approvals.of_run(run_id)
        pairs = _addressed(records, given) if _names_requests(given) else _in_order(records, given, digest)
        edits = [heard(word, record.action, schema=schema_of(record.action, self.toolbox)) for record, word in pairs]
        for (record, word), arguments in zip(pairs, edits, strict=True):
            said = Said(
                approver_id=(by.approver_id or 0) if word.approver_id is None else word.approver_id,
                approved=word.approved,
                approval_notes=word.message,
                edited_arguments=arguments,
                digest=record.action.digest if word.seen is not None else digest,
            )
            await self.decisions.decide(record.request_id, said, by=by)


def _names_requests(given: JSON) -> bool:
    return isinstance(given, dict) and bool(given) and all(re.match(REQUEST_ID, name) for name in given)


def _words(given: JSON) -> tuple[Word, ...]:
    return (scalar(given),) if isinstance(given, bool | str) else words_of(given)


def _addressed(records: list[Approval], given: JSON) -> list[Pair]:
    known = {each.request_id: each for each in records}
    answers = given if isinstance(given, dict) else {}
    if strange := answers.keys() - known:
        raise NotFound(f"This run never asked {min(strange)}.")
    pairs = [(known[name], _words(answer)) for name, answer in answers.items()]
    if any(len(words) > 1 for _, words in pairs):
        raise Conflict("Several decisions came for one request.")
    return [(record, words[0]) for record, words in pairs]


def _in_order(records: list[Approval], given: JSON, digest: str | None) -> list[Pair]:
    """Return answers that name no request with what they can only mean; the same again must not mean the next one."""
    words = _words(given)
    waiting = [each for each in records if each.state == "pending" and digest in (None, each.action.digest)]
    if len(words) != len(waiting):
        asked = "of this digest wait" if digest else "wait"
        raise Conflict(f"{len(waiting)} of this run's requests {asked}, and {len(words)} answers came.")
    over = [each for each in records if each.state != "pending"]
    if digest is None and over and any(word.seen is None for word in words):
        raise Conflict("This run has asked before: name the request that is meant, or send its digest.")
    before = {known for each in over for known in each.digests}
    if any(each.action.digest in before for each in waiting):
        raise Conflict("This run has asked for the same action before: name the request that is meant.")
    return list(zip(waiting, words, strict=True))
