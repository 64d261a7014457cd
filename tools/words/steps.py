"""Turn each clause of a message into a call, a question for what is missing, or nothing."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from domain.actions import Call
from domain.canonical import JSON
from tools.words import english, wording
from tools.words.clauses import Clause
from tools.words.earlier import Past, carried, points_back
from tools.words.indexing import Entry, Index
from tools.words.lexing import Token
from tools.words.literals import literals
from tools.words.matching import CONFIDENT, Match, commands_write, rank
from tools.words.parameters import Parameter
from tools.words.phrases import adjective, fill
from tools.words.restricting import misfits
from tools.words.values import Filling

OTHERWISE = 0.6
"""A complete read is taken instead of an incomplete one when its score is at least this share of it."""
POSSESSIVE = frozenset({"their", "its", "his", "her", "whose"})
SAME = frozenset({"same", "again", "too", "also", "ditto"})
OPENERS = frozenset(
    {"and", "what", "whats", "how", "about", "then", "also", "same", "for", "the", "is", "ditto", "with"}
)


@dataclass(frozen=True)
class Step:
    """What a clause comes to.

    Args:
        call: The call to make, if any.
        says: What the user is told about this clause, besides the result.
        matches: The operations that came into question, best first.
    """

    clause: Clause
    call: Call | None = None
    entry: Entry | None = None
    says: tuple[str, ...] = ()
    matches: tuple[Match, ...] = ()

    @property
    def coverage(self) -> float:
        """The share of the clause's telling words that speak for the call."""
        return max((one.coverage for one in self.matches if one.entry is self.entry), default=1.0)


@dataclass
class Context:
    """What clauses may refer to: the calls of this message so far, and those of earlier turns.

    Args:
        window: Reads the earlier calls, newest first; asked only when a clause refers to them.
    """

    index: Index
    window: Callable[[], Iterator[Past]]
    here: list[Past] = field(default_factory=list)

    def past(self) -> Iterator[Past]:
        """Yield the calls a clause may refer to, newest first."""
        return chain(reversed(self.here), self.window())


def step(clause: Clause, context: Context) -> Step:
    """Return what a clause comes to, given what was said and called before it."""
    if going_on := _same_again(clause, context):
        return going_on
    back = points_back(clause)
    if back and not commands_write(clause) and not _names_thing(clause, context.index):
        if found := _pointed_at(clause, context):
            return found
        if clause.mood == "question" and rank(clause, context.index):
            return Step(clause, says=("I do not know which one you mean: name it, with its number.",))
    matches = rank(clause, context.index)
    if back and (found := _completed(clause, matches, context)):
        return found
    return _chosen(clause, matches, context.index)


def _chosen(clause: Clause, matches: list[Match], index: Index) -> Step:
    """Return the call of the best match, or what stands in its way."""
    sure = [match for match in matches if match.coverage >= CONFIDENT or _described(match, index)]
    refused = _refused(clause, index)
    if not sure:
        return Step(clause, says=refused, matches=tuple(matches))
    best = min(sure, key=lambda match: (bool(match.left) and match.entry.reads, -match.score))
    if best.filling.missing and best.entry.reads:
        whole = [one for one in sure if not one.filling.missing and not one.left and one.score > OTHERWISE * best.score]
        best = whole[0] if whole else best
    if says := _obstacle(best, sure, index):
        return Step(clause, entry=best.entry, says=refused or (says,), matches=tuple(matches))
    return _calling(clause, best.filling, tuple(matches), refused)


def _described(match: Match, index: Index) -> bool:
    """Tell whether all that speaks against a read is an adjective it has no argument for."""
    said, filling = match.filling.clause.said, match.filling
    open_places = [
        place
        for place, token in enumerate(said)
        if token.kind == "word" and place not in filling.used and adjective(said, place, match.entry, index)
    ]
    return match.entry.reads and bool(open_places)


def _obstacle(best: Match, sure: list[Match], index: Index) -> str:
    """Return why the best match is not called as it is, or nothing."""
    filling = best.filling
    if best.left:
        return wording.unplaced((one.token.text for one in best.left), best.entry)
    if lost := misfits(filling):
        return wording.unplaced(lost, best.entry)
    if filling.missing:
        rivals = [one for one in sure[1:] if best.score - one.score < 0.01 and not one.entry.reads]
        if rivals and not best.entry.reads and not filling.used:
            return wording.capabilities([best.entry, *(one.entry for one in rivals)], opening="Several operations fit.")
        return wording.asking(best.entry, filling.missing)
    said = filling.clause.said
    unknown = [
        token.text
        for place, token in enumerate(said)
        if place not in filling.used and place != filling.clause.verb and adjective(said, place, best.entry, index)
    ]
    return wording.unplaced(unknown, best.entry) if unknown else ""


def _calling(clause: Clause, filling: Filling, matches: tuple[Match, ...] = (), refused: tuple[str, ...] = ()) -> Step:
    entry, arguments = filling.entry, filling.arguments
    if not entry.plain and not entry.accepts(arguments):
        return Step(clause, entry=entry, says=(wording.incomplete(entry),), matches=matches)
    call = Call(service=entry.operation.service, operation=entry.operation.name, arguments=arguments)
    return Step(clause, call, entry, (*refused, *filling.notes), matches)


def _refused(clause: Clause, index: Index) -> tuple[str, ...]:
    """Return that nothing was changed, where a clause names a change and a refusal or condition stands in its way."""
    named = {stem for token in clause.words if not _past_tense(token) for stem in token.stems} & index.verbs
    if named - index.nouns and clause.mood == "question" and not clause.blocked:
        return ("I changed nothing: your message asks rather than tells me to.",)
    if not clause.blocked or not (commands_write(clause) or named):
        return ()
    if clause.blocked == "if":
        return ("I changed nothing: your message sets a condition or a time, which I cannot keep.",)
    return ("I changed nothing: your message says not to.",)


def _past_tense(token: Token) -> bool:
    return token.plain.endswith(("ed", "ing", "tion"))


def _names_thing(clause: Clause, index: Index) -> bool:
    return any(
        not english.similar(one).isdisjoint(index.nouns) for token in clause.words for one in token.stems
    ) or bool(literals(clause))


def _completed(clause: Clause, matches: Sequence[Match], context: Context) -> Step | None:
    """Fill what `it` or `their` stands for from the newest earlier call that has it."""
    fitting = [match for match in matches if match.coverage >= CONFIDENT and not match.left]
    owned = any(token.plain in POSSESSIVE for token in clause.words)
    for past in context.past() if fitting else ():
        for match in fitting:
            wanted = match.filling.missing or (match.filling.open() if owned and match.entry.reads else ())
            identifiers = [one for one in wanted if one.identifies or one.required]
            if _carry(match.filling, identifiers, past, context.index):
                return _calling(clause, match.filling, tuple(matches))
    return None


def _carry(filling: Filling, wanted: Sequence[Parameter], past: Past, index: Index) -> bool:
    """Fill identifiers from an earlier call, all or none of them, and tell whether they were filled."""
    values = {one.name: carried(one, past, index) for one in wanted}
    if not values or any(value is None for value in values.values()):
        return False
    filling.arguments.update(values)
    told = " and ".join(f"{name} {value}" for name, value in values.items())
    filling.notes.append(f"{told} taken from earlier {past.where}.")
    return True


def _pointed_at(clause: Clause, context: Context) -> Step | None:
    """Return the read that shows what `it` or `that one` stands for: the same read again, or that of the thing."""
    for past in context.past():
        entry = context.index.by_name.get((past.service, past.operation))
        if entry is None:
            continue
        many = any(token.plain in {"they", "them", "again", "same", "those"} for token in clause.words)
        if entry.reads and (not entry.lists or many):
            return _repeated(clause, entry, past.arguments, past)
        for other in context.index.entries:
            near = other.reads and not other.lists and not other.nouns.isdisjoint(entry.nouns)
            filling = Filling(other, clause)
            if (
                near
                and other.operation.service == past.service
                and _carry(filling, filling.missing, past, context.index)
            ):
                return _calling(clause, filling)
    return None


def _repeated(clause: Clause, entry: Entry, arguments: dict[str, JSON], past: Past) -> Step | None:
    if not entry.accepts(arguments):
        return None
    told = " and ".join(f"{name} {value}" for name, value in arguments.items())
    note = f"{told or entry.operation.name} taken from earlier {past.where}."
    return _calling(clause, Filling(entry, clause, dict(arguments), notes=[note]))


def _same_again(clause: Clause, context: Context) -> Step | None:
    """Return the last read with this clause's values: `and customer 2?` after the orders of customer 1."""
    found = literals(clause)
    if not found or clause.verb >= 0 or not _elliptic(clause, context.index):
        return None
    past = next(context.past(), None)
    entry = context.index.by_name.get((past.service, past.operation)) if past else None
    if past is None or entry is None:
        return None
    filling = fill(entry, clause, context.index, found)
    if not filling.arguments.keys() <= past.arguments.keys() or any(one.place not in filling.used for one in found):
        return None
    arguments = {**past.arguments, **filling.arguments}
    if entry.reads and entry.accepts(arguments):
        rest = {name: value for name, value in past.arguments.items() if name not in filling.arguments}
        return _again(clause, entry, arguments, rest, past)
    if entry.reads or not any(token.plain in SAME for token in clause.words):
        return None
    wanted = wording.request(entry, {name: str(value) for name, value in arguments.items()})
    return Step(
        clause, entry=entry, says=(f"I change nothing without being told what to do. Say it in full: {wanted}",)
    )


def _again(clause: Clause, entry: Entry, arguments: dict[str, JSON], rest: dict[str, JSON], past: Past) -> Step:
    told = " and ".join(f"{name} {value}" for name, value in rest.items())
    note = f"{told or entry.operation.name} taken from earlier {past.where}."
    return _calling(clause, Filling(entry, clause, arguments, notes=[note]))


def _elliptic(clause: Clause, index: Index) -> bool:
    return all(
        token.plain in OPENERS or not index.nouns.isdisjoint(token.stems) or english.silent().issuperset(token.stems)
        for token in clause.words
    )


def signature(call: Call) -> tuple[str, str, str]:
    """Return what makes two calls the same."""
    return call.service, call.operation, json.dumps(call.arguments, sort_keys=True)
