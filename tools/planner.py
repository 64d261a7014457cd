"""The deterministic stand-in for a language model: it matches words with operations, and says so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.actions import Operation
from domain.conversation import Decision, Done, Notice, OnToken, Tuning, Turn
from tools.words import earlier, english, wording
from tools.words.clauses import MOST_CLAUSES, Clause, clauses
from tools.words.indexing import Entry, Index
from tools.words.reporting import Asked, report
from tools.words.showing import read
from tools.words.steps import Context, Step, signature, step

MOST_READ_CHARS = 2_000
PIECE_WORDS = 6
KNOWN_CATALOGUES = 4
UNCONFIGURED = Notice(
    port="model",
    mode="embedded",
    reason="No language model is configured (OLLAMA_URL is not set).",
    lost="Free-form understanding; requests are matched with operations by their words.",
)
THANKS = frozenset({"thanks", "thank", "thx", "cheers", "bye", "goodbye"})


@dataclass(frozen=True)
class Plan:
    """What a message comes to.

    Args:
        steps: Its clauses in order; a repeated call is in it once.
        text: The answer where nothing is to be called.
    """

    steps: tuple[Step, ...] = ()
    text: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user is told besides results."""
        return tuple(dict.fromkeys(note for one in self.steps for note in one.says))


class EmbeddedPlanner:
    """Decides without a language model, from the words of a message alone.

    Args:
        notices: What every decision says is degraded.
    """

    name = "embedded planner"

    def __init__(self, *, notices: tuple[Notice, ...] = (UNCONFIGURED,)) -> None:
        self._notices = notices
        self._indexes: list[tuple[tuple[Operation, ...], Index]] = []

    async def decide(self, turn: Turn, *, on_token: OnToken) -> Decision:
        """Return calls to make, or a text; with actions done, always the text that reports them."""
        index = self._index(turn.operations)
        text, cut = readable(turn.message)
        plan = planned(turn, text, index)
        calls = () if turn.done else tuple(one.call for one in plan.steps if one.call)
        said = "" if calls else reply(turn, plan, index)
        for piece in pieces(said):
            await on_token(piece)
        notes = "\n".join(plan.notes) if calls else said
        notices = (*self._notices, *untuned(turn.tuning))
        return Decision(text=notes, calls=calls, answered_by=self.name, notices=notices, truncated=cut)

    def _index(self, operations: tuple[Operation, ...]) -> Index:
        """Return the index of these operations, made when they are first seen; comparing the same objects is cheap."""
        for known, index in self._indexes:
            if known == operations:
                return index
        index = Index(operations)
        self._indexes = [(operations, index), *self._indexes[: KNOWN_CATALOGUES - 1]]
        return index


def untuned(tuning: Tuning | None) -> tuple[Notice, ...]:
    """Return what a variant wants of a language model and cannot have here."""
    if tuning is None:
        return ()
    wanted = ", ".join(tuning.model_dump(exclude_none=True))
    return (
        Notice(
            port="experiments",
            mode="embedded",
            reason="The embedded planner answered; it has no model, temperature or system prompt to set.",
            lost=f"This run's variant had no effect on its {wanted}.",
        ),
    )


def readable(message: str) -> tuple[str, bool]:
    """Return the part of a message that is read, in characters JSON can carry, and whether there was more."""
    text = message[:MOST_READ_CHARS]
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\0", " "), len(message) > MOST_READ_CHARS


def planned(turn: Turn, text: str, index: Index) -> Plan:
    """Return what a message comes to; pure, so that the reply finds again what was asked with each action."""
    if told := earlier.about_conversation(turn, text):
        return Plan(text=told)
    found = clauses(text, index)
    if kind := _small_talk(found):
        return Plan(text=_chat(kind, index))
    steps = _steps(found, turn, index)
    refused = any(clause.blocked == "not" for clause in found)
    if not refused and not any(one.call for one in steps) and (joined := earlier.completed(turn, text)) != text:
        again = _steps(clauses(joined, index), turn, index)
        steps = again if any(one.entry for one in again) else steps
    if told := _documented(steps, turn):
        return Plan(text=told)
    return Plan(_once(steps)) if any(one.call or one.says for one in steps) else Plan(text=_unfit(steps, index))


def _steps(found: Sequence[Clause], turn: Turn, index: Index) -> list[Step]:
    context = Context(index, lambda: earlier.calls(turn.window))
    steps: list[Step] = []
    requests = [one for one in found if not _small_talk([one])]
    for clause in requests[:MOST_CLAUSES]:
        one = step(clause, context)
        if one.call:
            past = earlier.Past(one.call.service, one.call.operation, one.call.arguments, where="in this message")
            context.here.append(past)
        steps.append(one)
    if len(requests) > MOST_CLAUSES:
        steps.append(Step(requests[MOST_CLAUSES], says=(f"I read only the first {MOST_CLAUSES} requests.",)))
    return steps


def _once(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps, each call once: a second same call becomes none, which is said of a change."""
    if sum(1 for one in steps if one.call) < 2:
        return tuple(steps)
    seen: set[tuple[str, str, str]] = set()
    kept = []
    for one in steps:
        mark = signature(one.call) if one.call else None
        kept.append(replace(one, call=None, says=_repeated(one)) if mark in seen else one)
        seen.update({mark} if mark else ())
    return tuple(kept)


def _repeated(one: Step) -> tuple[str, ...]:
    """Return what is said of a call that is left out because the message asks for the same one before."""
    if one.entry is None or one.entry.reads:
        return ()
    return (f"{wording.title(one.entry)}: asked for more than once with the same values, taken as once.",)


def _small_talk(found: Sequence[Clause]) -> str:
    """Return `thanks`, `help` or `greeting` when a message is nothing else, or nothing."""
    words = {token.plain for clause in found for token in clause.said if token.kind != "mark"}
    if not words or any(token.kind not in {"word", "mark"} for clause in found for token in clause.said):
        return ""
    quiet = english.STOP_WORDS | english.GREETINGS | english.HELP
    if words <= quiet | {"very", "much", "welcome"}:
        telling = words - english.STOP_WORDS
        greeted = telling or words & {"hi", "hey", "hello", "thanks", "thank"}
        able = "what" in words and "you" in words and bool(words & {"can", "do", "are"})
        who = "who" in words and "you" in words
        if not greeted and not able and not who:
            return ""
        return "thanks" if words & THANKS and not words & english.HELP else "help"
    return ""


def _chat(kind: str, index: Index) -> str:
    if kind == "thanks":
        return "You are welcome."
    reads_first = sorted(index.entries, key=lambda entry: not entry.reads)
    return wording.capabilities(_spread(reads_first))


def _spread(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries with every service's first one ahead of any service's second."""
    seen: dict[str, int] = {}
    ranked = []
    for entry in entries:
        service = entry.operation.service
        seen[service] = seen.get(service, 0) + 1
        ranked.append((seen[service], entry))
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]


def _documented(steps: Sequence[Step], turn: Turn) -> str:
    """Return a document's words where it answers better than any operation: nothing asked to change, no value given."""
    if not turn.passages or any(_would_change(one) for one in steps):
        return ""
    quiet = english.STOP_WORDS | english.READ_VERBS | english.VAGUE
    words = [token for one in steps for token in one.clause.words if token.plain not in quiet]
    telling = frozenset(stem for token in words for stem in token.stems)
    called = [one for one in steps if one.call]
    covered = min((one.coverage for one in called), default=0.0)
    if any(one.call and one.call.arguments for one in called) or covered >= 1:
        return ""
    best = max(wording.worth(one, telling) for one in turn.passages)
    return wording.quoted(turn.passages, telling) if best > covered else ""


def _would_change(one: Step) -> bool:
    """Return whether a clause is about a change: told to make one, or asking with enough said to make it."""
    changes = one.entry is not None and not one.entry.reads
    return changes and (one.call is not None or one.clause.mood != "question")


def _unfit(steps: Sequence[Step], index: Index) -> str:
    """Return what is said when no operation fits: those that would fit best."""
    near = [match.entry for one in steps for match in one.matches]
    rest = [entry for entry in _spread(index.entries) if entry not in near]
    return wording.capabilities([*near[:4], *rest], opening=f"I found no operation for that. {wording.HONEST}")


def reply(turn: Turn, plan: Plan, index: Index) -> str:
    """Return what the user is told: the plan's own words, or the report of what was done.

    Where another model proposed some of the actions, the plan is not what was done, and its notes are left out.
    """
    if not turn.done:
        return wording.bounded(plan.text or "\n".join(plan.notes))
    mine = {(one.call.service, one.call.operation) for one in plan.steps if one.call}
    own = all((one.action.service, one.action.operation) in mine for one in turn.done)
    return report(turn.done, [_asked(one, plan, index) for one in turn.done], plan.notes if own else ())


def _asked(done: Done, plan: Plan, index: Index) -> Asked:
    """Return the clause that proposed an action; the message's only one where a human edited its arguments."""
    action = done.action
    arguments = read(action.arguments)
    wanted = (action.service, action.operation)
    same = [one for one in plan.steps if one.call and (one.call.service, one.call.operation) == wanted]
    exact = [one for one in same if one.call and one.call.arguments == arguments]
    entry = index.by_name.get((action.service, action.operation))
    return Asked(next((one.clause for one in [*exact, *same]), None), entry, index)


def pieces(text: str) -> list[str]:
    """Return a text in pieces of a few words that join to it again."""
    words = text.split(" ")
    cut = [" ".join(words[start : start + PIECE_WORDS]) for start in range(0, len(words), PIECE_WORDS)]
    return [piece + (" " if place < len(cut) - 1 else "") for place, piece in enumerate(cut)] if text else []
