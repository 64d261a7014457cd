"""Split a message into clauses, and tell commands from questions, refusals and conditions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tools.words import english
from tools.words.indexing import Index
from tools.words.lexing import Token, tokens

type Mood = Literal["command", "question", "statement"]

MOST_CLAUSES = 5
NEAR = 20
REASONS = frozenset({"because", "reason", "due"})
SENTENCE_ENDS = frozenset(".?!;\n")
JOINTS = frozenset({",", "and", "then", "also", "plus", "but", "&"})
FILLERS = english.FILLERS
WISHES = (
    ("i", "want", "you", "to"),
    ("i", "want", "to"),
    ("i", "would", "like", "you", "to"),
    ("i", "would", "like", "to"),
    ("id", "like", "you", "to"),
    ("i", "like", "to"),
    ("i", "need", "you", "to"),
    ("i", "need", "to"),
    ("i", "have", "to"),
    ("we", "need", "to"),
    ("we", "want", "to"),
    ("can", "you"),
    ("could", "you"),
    ("would", "you"),
    ("will", "you", "please"),
    *((*negation, word, "to") for negation in (("dont",), ("do", "not"), ("never",)) for word in english.REMINDING),
    ("go", "ahead", "and"),
    ("help", "me", "to"),
    ("help", "me"),
    ("lets",),
    ("let", "us"),
)
WISH_OPENERS = frozenset(wish[0] for wish in WISHES)


@dataclass(frozen=True)
class Clause:
    """A part of a message that asks for one thing.

    Args:
        said: Its tokens, without a stated reason.
        reason: The words after `because` or `reason:`, as they were written.
        verb: Where in `said` the verb of a command stands; -1 when it is none.
        blocked: Why nothing may be changed on this clause's account: `not`, `if`, or nothing.
        previous: The clause before, whose verb this one may go on with.
    """

    said: tuple[Token, ...]
    reason: str = ""
    mood: Mood = "statement"
    verb: int = -1
    blocked: str = ""

    @property
    def words(self) -> list[Token]:
        """Its words."""
        return [token for token in self.said if token.kind == "word"]

    @property
    def command(self) -> str:
        """The stem of the verb it commands with, or nothing."""
        return self.said[self.verb].stems[0] if self.verb >= 0 else ""


def clauses(text: str, index: Index) -> tuple[Clause, ...]:
    """Return the clauses of a message in order; a bare refusal or a condition keeps all from changing anything."""
    pieces = _pieces(tokens(text), index)
    found = [_clause(piece, text, index) for piece in pieces]
    found = _continued(found)
    conditional = any(clause.blocked == "if" for clause in found)
    bare = any(clause.blocked == "not" and not _has_content(clause) for clause in found)
    if conditional or bare:
        found = [replace(clause, blocked="if" if conditional else "not") for clause in found]
    return tuple(clause for clause in found if clause.said)


def _pieces(said: tuple[Token, ...], index: Index) -> list[list[Token]]:
    """Cut at sentence ends and joints, and put back together what does not stand on its own."""
    pieces: list[list[Token]] = []
    current: list[Token] = []
    for token in said:
        ends = token.plain in SENTENCE_ENDS and not _numbering(current, token)
        if ends or (token.plain in JOINTS and not _between(current)):
            if ends and token.plain == "?":
                current.append(token)
            _close(pieces, current, index)
            current = [] if ends else [token]
        else:
            current.append(token)
    _close(pieces, current, index)
    return pieces


def _numbering(piece: list[Token], token: Token) -> bool:
    return token.plain == "." and bool(piece) and piece[-1].plain in {"no", "nr", "approx"}


def _between(piece: list[Token]) -> bool:
    return len(piece) > 1 and piece[-2].plain in {"between", "from"} and piece[-1].kind in {"number", "date"}


def _close(pieces: list[list[Token]], piece: list[Token], index: Index) -> None:
    if not piece:
        return
    if pieces and (noun := _listed(piece, pieces[-1], index)):
        piece = [noun, *piece[1:]]
    if pieces and not _stands(piece, pieces[-1], index) and not _asked(pieces[-1]):
        pieces[-1].extend(piece)
    else:
        pieces.append(list(piece))


def _listed(piece: list[Token], before: list[Token], index: Index) -> Token | None:
    """Return the noun of `orders 1 and 2` for a piece that is nothing but its second number."""
    if len(piece) != 2 or piece[1].kind not in {"number", "identifier"} or piece[1].unit or len(before) < 2:
        return None
    noun, value = before[-2], before[-1]
    named = value.kind == piece[1].kind and not value.unit and not index.things.isdisjoint(noun.stems)
    plural = noun.plain.endswith("s") or piece[0].plain in {"and", "&"}
    return noun if named and plural else None


def _asked(piece: list[Token]) -> bool:
    return piece[-1].plain == "?"


def _stands(piece: list[Token], before: list[Token], index: Index) -> bool:
    """Tell whether a piece is a clause of its own: it opens with a verb or question word, or names another thing.

    Of a long clause before it only the beginning and the end are looked at, so that the whole stays linear.
    """
    before = before if len(before) <= 2 * NEAR else [*before[:NEAR], *before[-NEAR:]]
    words = [token for token in piece if token.kind == "word" and token.plain not in FILLERS]
    if not words:
        return False
    head = words[0]
    if any(token.plain in REASONS for token in before):
        return head.plain in english.READ_VERBS and piece[0].plain in {"and", "then"}
    if _labels(words, index):
        return False
    if _commands(head, _after(piece, head), index) or _polite(words):
        return True
    if head.plain in english.QUESTION_WORDS or head.plain in english.ASKING_VERBS:
        return True
    named = {stem for token in words for stem in token.stems} & index.nouns
    opening = next((token for token in before if token.kind == "word" and token.plain not in FILLERS), None)
    if opening is None or not _writes(opening, _after(before, opening), index):
        return bool(named)
    return bool(named & {stem for token in before if token.kind == "word" for stem in token.stems})


def _labels(words: list[Token], index: Index) -> bool:
    """Tell whether words open with an argument's name, such as `check out` or `start date`, rather than with a verb."""
    return len(words) > 1 and (*words[0].stems, *words[1].stems)[:2] in index.labels


def _after(piece: Sequence[Token], token: Token) -> Token | None:
    place = next(place for place, one in enumerate(piece) if one is token)
    return piece[place + 1] if place + 1 < len(piece) else None


def _commands(word: Token, following: Token | None, index: Index) -> bool:
    return word.plain in english.READ_VERBS or _writes(word, following, index)


def _writes(word: Token, following: Token | None, index: Index) -> bool:
    """Tell whether a word is, in its base form, a verb that changes things; `order 5` and `book list` name things."""
    one = word.stems[0] if word.stems else ""
    if word.plain.endswith(("ed", "ing", "tion", "tions")) or len(word.stems) != 1:
        return False
    if one in index.things and not _takes_object(following, one, index):
        return False
    return one in index.verbs or one in english.verb_kin()


def _takes_object(following: Token | None, verb: str, index: Index) -> bool:
    if following is None or following.kind != "word":
        return False
    return following.plain in english.DETERMINERS or bool(index.nouns.intersection(following.stems) - {verb})


def _polite(words: list[Token]) -> bool:
    return _wish_length(words, 0) > 0


def _clause(piece: list[Token], text: str, index: Index) -> Clause:
    said, reason = _without_reason(piece, text)
    start = _opening(said)
    asked = bool(said) and said[-1].plain == "?"
    polite = _wish_length(said, _skip(said, 0)) > 0
    blocked = _blocked(said)
    if start >= len(said) or said[start].kind != "word":
        return Clause(tuple(said), reason, "question" if asked else "statement", -1, blocked)
    head = said[start]
    if (
        _commands(head, _after(said, head), index)
        and not _fact(said, start)
        and (polite or not asked or head.plain in english.READ_VERBS)
    ):
        return Clause(tuple(said), reason, "command", start, blocked)
    questions = head.plain in english.QUESTION_WORDS or head.plain in english.ASKING_VERBS
    return Clause(tuple(said), reason, "question" if asked or questions else "statement", -1, blocked)


def _fact(said: list[Token], place: int) -> bool:
    """Tell whether a verb is only half of a noun: the `refund` of `refund status of order 1`."""
    following = said[place + 1].plain if place + 1 < len(said) else ""
    half = following in english.FACTS and said[place].plain not in english.READ_VERBS
    return half and said[place].stems[0] not in english.verb_kin()["updat"] | english.verb_kin()["creat"]


def _skip(said: list[Token], place: int) -> int:
    while place < len(said) and (said[place].plain in FILLERS or said[place].plain in {",", "&", "!"}):
        place += 1
    return place


def _wish_length(said: list[Token], place: int) -> int:
    first = said[place].plain if place < len(said) else ""
    for wish in WISHES if first in WISH_OPENERS else ():
        if tuple(token.plain for token in said[place : place + len(wish)]) == wish:
            return len(wish)
    return 0


def _opening(said: list[Token]) -> int:
    """Return where the clause's first telling word stands, after greetings, pleas and wishes."""
    place = _skip(said, 0)
    return _skip(said, place + _wish_length(said, place))


def _without_reason(piece: list[Token], text: str) -> tuple[list[Token], str]:
    """Cut off `because …`, `due to …` and `reason: …`: what is in it is quoted, never obeyed."""
    for place, token in enumerate(piece):
        following = piece[place + 1].plain if place + 1 < len(piece) else ""
        colon = token.plain == "reason" and following in {":", "=", "is"}
        if token.plain == "because" or colon or (token.plain == "due" and following == "to"):
            first = place + (1 if token.plain == "because" else 2)
            rest = piece[first:]
            reason = text[rest[0].start : rest[-1].end].strip(" ,.?!") if rest else ""
            return piece[:place], reason.strip("\"'“”")
    return piece, ""


def _blocked(said: list[Token]) -> str:
    for place, token in enumerate(said):
        if token.kind != "word":
            continue
        if token.plain in english.NEGATIONS and not _counts(said, place) and not _reminds(said, place):
            return "not"
        dated = place + 1 < len(said) and said[place + 1].kind in {"date", "number"}
        waiting = token.plain in english.WAITING and place > 0 and not dated
        if waiting or token.plain in english.CONDITIONS or token.plain in english.TIMES:
            return "if"
    return ""


def _reminds(said: list[Token], place: int) -> bool:
    """Tell whether a negation only urges: `don't forget to`."""
    rest = [token.plain for token in said[place + 1 : place + 3]]
    return len(rest) == 2 and rest[0] in english.REMINDING and rest[1] == "to"


def _counts(said: list[Token], place: int) -> bool:
    """Tell whether a `no` or `not` belongs to a number: `no. 5`, `not more than 5`."""
    rest = said[place + 1 : place + 3]
    if said[place].plain not in {"no", "not"} or not rest:
        return False
    numbered = rest[1:] if rest[0].plain == "." else rest[:1]
    if rest[0].plain in {"more", "less"}:
        return True
    return said[place].plain == "no" and any(token.kind in {"number", "identifier"} for token in numbered)


def _has_content(clause: Clause) -> bool:
    return any(
        token.kind != "mark" and not english.silent().issuperset(token.stems or ("?",))
        for token in clause.said
        if token.plain not in english.NEGATIONS
    )


def _continued(found: list[Clause]) -> list[Clause]:
    """Let a clause go on with the verb, or the refusal, of the one before: `refund order 1 with $5 and order 2 …`."""
    result: list[Clause] = []
    for clause in found:
        before = result[-1] if result else None
        if before and before.blocked == "not" and before.verb < 0 and clause.said[:1] and clause.said[0].plain == "and":
            clause = replace(clause, blocked="not")
        if before and before.verb >= 0 and clause.mood == "statement" and _names_value(clause) and not clause.blocked:
            verb = before.said[before.verb]
            clause = replace(clause, said=(verb, *clause.said), verb=0, mood="command", blocked=before.blocked)
        result.append(clause)
    return result


def _names_value(clause: Clause) -> bool:
    return any(token.kind in {"number", "identifier", "quoted"} for token in clause.said)
