"""Score operations against a clause: rare words count, and so does whether the clause's values find their arguments."""

from dataclasses import dataclass

from tools.words import english
from tools.words.clauses import Clause
from tools.words.indexing import IN_PASSING, Entry, Index
from tools.words.lexing import Token
from tools.words.literals import Literal, literals
from tools.words.phrases import fill
from tools.words.values import Filling

MOST_CANDIDATES = 8
OWN_VERB, KIN_VERB = 4.0, 2.5
FILLED, MISSING, LEFT_OVER, UNSAID = 1.5, 2.0, 6.0, 0.12
FAINT, NEAR_BEST = 0.3, 0.25
QUIET = (
    english.READ_VERBS
    | english.NAMING
    | english.COMPARING
    | english.NEGATIONS
    | english.REMINDING
    | english.VAGUE
    | english.PRONOUNS
)
CONFIDENT = 0.5
"""Of the clause's telling words, weighted by rarity, this share must speak for an operation."""


@dataclass(frozen=True)
class Match:
    """An operation that might be meant.

    Args:
        coverage: The share of the clause's telling words that speak for it, 0 to 1.
        left: Values of the clause that found no argument.
    """

    filling: Filling
    score: float
    coverage: float
    left: tuple[Literal, ...]

    @property
    def entry(self) -> Entry:
        """The operation."""
        return self.filling.entry

    @property
    def sure(self) -> bool:
        """Whether it may be called: enough words speak for it, and a write leaves no value unused."""
        return self.coverage >= CONFIDENT and not (self.left and not self.entry.reads)


def rank(clause: Clause, index: Index) -> list[Match]:
    """Return the operations that fit a clause, best first; writes only where the clause commands them."""
    telling = _telling(clause, index)
    scores = _lexical(telling, index)
    allowed = {place: score for place, score in scores.items() if _allowed(index.entries[place], clause, index)}
    least = NEAR_BEST * max(allowed.values(), default=0.0)
    near = [place for place, score in allowed.items() if score >= least or not index.entries[place].reads]
    best = sorted(near, key=lambda place: (-allowed[place], place))[:MOST_CANDIDATES]
    found = literals(clause)
    matches = [_match(index.entries[place], allowed[place], clause, index, telling, found) for place in best]
    return sorted(matches, key=lambda match: -match.score)


def _telling(clause: Clause, index: Index) -> list[tuple[Token, frozenset[str]]]:
    """Return the words that say something about the operation, each with the stems it may stand for."""
    quiet, found = english.silent(), []
    for token in clause.said:
        if token.kind != "word" or quiet.issuperset(token.stems) or token.plain in english.STOP_WORDS:
            continue
        if token.plain in QUIET:
            continue
        found.append((token, _meant(token, index)))
    return found


def _meant(token: Token, index: Index) -> frozenset[str]:
    """Return the stems a word may stand for: its own where operations are about it, else its synonyms' as well."""
    known = frozenset(one for one in token.stems if one in index.postings)
    if known & index.nouns:
        return known
    alike = frozenset().union(*map(english.similar, token.stems))
    return known | (alike & index.nouns) or alike


def _lexical(telling: list[tuple[Token, frozenset[str]]], index: Index) -> dict[int, float]:
    scores: dict[int, float] = {}
    for word in {one for _, stems in telling for one in stems}:
        for place, weight in index.postings.get(word, ()):
            scores[place] = scores.get(place, 0.0) + weight
    for place, entry in enumerate(index.entries) if len(scores) < len(index.entries) else ():
        if entry.verbs and place not in scores and any(entry.kin & stems for _, stems in telling):
            scores[place] = 0.0
    return scores


def _allowed(entry: Entry, clause: Clause, index: Index) -> bool:
    if entry.reads:
        return not commands_write(clause) or bool(clause.blocked)
    return clause.verb >= 0 and not clause.blocked and _asks_for(entry, clause, index)


def commands_write(clause: Clause) -> bool:
    """Tell whether the clause's verb is one that changes things."""
    return clause.verb >= 0 and clause.said[clause.verb].plain not in english.READ_VERBS


def _asks_for(entry: Entry, clause: Clause, index: Index) -> bool:
    """Tell whether a command's verb and object are a write's own: `delete the photo of pet 5` is no `deletePet`."""
    if clause.command not in entry.verbs and clause.command not in entry.kin:
        return False
    named = entry.own | english.stems(english.MONEY_LIKE)
    foreign = {one for token in clause.words for one in token.stems if one in index.nouns} - entry.verbs - entry.kin
    if any(english.similar(one).isdisjoint(named) for one in foreign):
        return False
    target = _object(clause)
    if target:
        return any(not english.similar(one).isdisjoint(_objects(entry)) for one in target[-1].stems)
    return _mentions(entry, clause) or (clause.command in entry.verbs and _alone(entry, clause, index))


def _objects(entry: Entry) -> frozenset[str]:
    """Return what a write may be told to act on; an update also on the fields it sets."""
    changes = english.verb_kin()["updat"]
    if not (entry.verbs | entry.kin).isdisjoint(changes):
        return entry.own
    return entry.title | entry.nouns


def _object(clause: Clause) -> list[Token]:
    """Return the telling words between a command's verb and the next preposition."""
    found: list[Token] = []
    for token in clause.said[clause.verb + 1 :]:
        if token.kind == "mark" or token.plain in english.PREPOSITIONS:
            break
        proper = token.text[:1].isupper() and bool(found)
        if token.kind == "word" and token.plain not in english.STOP_WORDS and token.plain != "no" and not proper:
            found.append(token)
    return found


def _mentions(entry: Entry, clause: Clause) -> bool:
    said = {one for token in clause.words for word in token.stems for one in english.similar(word)}
    return bool(said & entry.nouns) or any(token.plain in english.PRONOUNS for token in clause.words)


def _alone(entry: Entry, clause: Clause, index: Index) -> bool:
    return sum(clause.command in one.verbs for one in index.entries) == 1


def _match(
    entry: Entry,
    lexical: float,
    clause: Clause,
    index: Index,
    telling: list[tuple[Token, frozenset[str]]],
    found: tuple[Literal, ...],
) -> Match:
    filling = fill(entry, clause, index, found)
    left = tuple(one for one in found if one.place not in filling.used)
    said = {one for _, stems in telling for one in stems}
    score = lexical + FILLED * len(filling.arguments) - MISSING * len(filling.missing) - LEFT_OVER * len(left)
    score -= UNSAID * sum(index.rarity.get(word, 0.0) * 2.5 for word in entry.title - said)
    if not entry.reads:
        score += OWN_VERB if clause.command in entry.verbs else KIN_VERB
    score += _number_agrees(entry, telling, found)
    return Match(filling, score, _coverage(entry, clause, index, telling, filling), left)


def _number_agrees(entry: Entry, telling: list[tuple[Token, frozenset[str]]], found: tuple[Literal, ...]) -> float:
    """Prefer listings for plurals without a value."""
    plural = any(token.plain.endswith("s") and not stems.isdisjoint(entry.nouns) for token, stems in telling)
    return 1.5 if entry.lists and plural and not found else 0.0


def _coverage(
    entry: Entry, clause: Clause, index: Index, telling: list[tuple[Token, frozenset[str]]], filling: Filling
) -> float:
    """Return the share of the telling words that speak for an operation; words that became values count as such."""
    known = entry.weights.keys() | entry.verbs | entry.kin
    used = {clause.said[place].start for place in filling.used}
    identified = entry.reads and any(one.identifies and one.name in filling.arguments for one in entry.parameters)
    total = matched = 0.0
    told = False  # by more than a word of the description
    for token, stems in telling:
        speaks = token.start in used or not stems.isdisjoint(known)
        weight = max(0.3, max((index.rarity.get(one, index.rarest) for one in stems), default=index.rarest))
        if not speaks and ((identified and _predicate(token, index)) or _faint(entry, token, index)):
            weight *= FAINT
        total += weight
        matched += weight if speaks else 0.0
        told = told or token.start in used or any(entry.weights.get(one, 1.0) > IN_PASSING for one in stems & known)
    return matched / total if total and told else 0.0


def _faint(entry: Entry, token: Token, index: Index) -> bool:
    """Tell whether a word not matched says little against a read: a fact about the thing, or what may be done to it."""
    return entry.reads and (token.plain in english.FACTS or any(one in index.verbs for one in token.stems))


def _predicate(token: Token, index: Index) -> bool:
    """Tell whether a word may be what is asked about one identified thing: `available` of `is pet 3 available`."""
    return index.nouns.isdisjoint(token.stems)
