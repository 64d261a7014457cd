"""Compose what the embedded planner says when it calls nothing: what it can do, what it lacks, what a document says."""

from collections.abc import Iterable, Mapping, Sequence

from domain.canonical import JSON
from domain.citations import sentences
from domain.conversation import Passage
from tools.words import english
from tools.words.english import parts, stem
from tools.words.indexing import Entry
from tools.words.parameters import Parameter

MOST_CHARS = 2_000
MOST_SHOWN = 8
PASSAGE_CHARS = 600
MOST_QUOTED = 2
AS_GOOD = 0.5
"""Another passage is quoted as well if it is worth that share of the first."""

CERTAIN = 0.28
"""What a passage has to score where it shares few words with the question, however low RAG_MIN_SCORE is."""

HONEST = (
    "I answer without a language model: I match plain requests with the operations of the connected services by their"
    " words."
)


def bounded(text: str, limit: int = MOST_CHARS) -> str:
    """Return a text cut to a number of characters, with a mark where it was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def capabilities(entries: Sequence[Entry], *, opening: str = HONEST) -> str:
    """Return what can be asked for, each with an example made from its schema."""
    if not entries:
        return f"{opening} No service is connected that I could call for you."
    lines = [f"- {title(entry)}: {example(entry)}" for entry in entries[:MOST_SHOWN]]
    more = [f"… and {len(entries) - MOST_SHOWN} more operations"] if len(entries) > MOST_SHOWN else []
    return bounded("\n".join([f"{opening} You can ask, for example:", *lines, *more]))


def title(entry: Entry) -> str:
    """Return what an operation does, in its document's words where they are short."""
    summary = " ".join(entry.operation.summary.split()).rstrip(".")
    return summary if 0 < len(summary) <= 70 else phrase(entry).capitalize()


def phrase(entry: Entry) -> str:
    """Return an operation's name as words: `getPetById` is `get pet`, `invoices_send` is `send invoices`."""
    words = parts(entry.operation.name)
    words = words[:-2] if words[-2:] == ("by", "id") else words
    last = words[-1] if len(words) > 1 else ""
    verbal = last in english.READ_VERBS or stem(last) in entry.verbs | entry.kin
    if verbal and words[0] not in english.READ_VERBS and stem(words[0]) not in entry.verbs | entry.kin:
        words = (last, *words[:-1])
    return " ".join(words) or entry.operation.name


def example(entry: Entry) -> str:
    """Return a request that the planner itself understands as this operation."""
    return request(entry, {one.name: _sample(one) for one in entry.required})


def request(entry: Entry, given: Mapping[str, str]) -> str:
    """Return the request that asks for an operation with these arguments, as texts: `refund order 7 with amount 20`."""
    said, rest = phrase(entry), []
    by_name = {one.name: one for one in entry.parameters}
    for name, value in sorted(given.items(), key=lambda pair: not by_name[pair[0]].identifies):
        if stem(said.split()[-1]) in by_name[name].nouns | (by_name[name].words if by_name[name].values else set()):
            head, _, noun = said.rpartition(" ")
            said = f"{head} {noun if by_name[name].values else english.singular(noun)} {value}".strip()
        else:
            rest.append(f"{' '.join(parts(name))} {value}")
    return f"{said} with {' and '.join(rest)}" if rest else said


def _sample(parameter: Parameter) -> str:
    if parameter.values:
        return str(next(iter(parameter.values.values())))
    if parameter.items is not None:
        return _sample(parameter.items)
    given = parameter.schema.get("examples") or [parameter.schema.get("example")]
    value: JSON = given[0] if isinstance(given, list) else None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return f'"{value}"' if parameter.kind == "string" and not parameter.identifies else str(value)
    samples = {
        "integer": "1", "number": "10.5", "boolean": "true", "date": "2030-01-31", "date-time": "2030-01-31T12:00:00Z"
    }  # fmt: skip
    return samples.get(parameter.kind, "A1" if parameter.identifies else '"…"')


def asking(entry: Entry, missing: Iterable[Parameter]) -> str:
    """Return the question for required arguments; `earlier.ASKED` reads it back in the next turn."""
    names = ", ".join(f"{one.name}{_hint(one)}" for one in missing)
    return f"To {_doing(entry)} I need: {names}. For example: {example(entry)}"


def _doing(entry: Entry) -> str:
    """Return what an operation does as one says it after `to`: its summary where that begins with a verb."""
    summary = " ".join(entry.operation.summary.split()).rstrip(".")
    first, _, rest = summary.partition(" ")
    verb = first.lower().removesuffix("s")
    if len(summary) <= 60 and rest and (verb in english.READ_VERBS or stem(verb) in entry.verbs | entry.kin):
        return f"{verb} {rest}"
    return phrase(entry)


def _hint(parameter: Parameter) -> str:
    chosen = parameter.items or parameter
    if chosen.values:
        return f" ({' | '.join(str(value) for value in list(chosen.values.values())[:8])})"
    hints = {"date": " (as 2030-01-31)", "date-time": " (as 2030-01-31T12:00:00Z)", "object": " (an object)"}
    return hints.get(parameter.kind, "")


def unplaced(words: Iterable[str], entry: Entry) -> str:
    """Return that some of a request was not understood, and what the operation takes."""
    told = ", ".join(f"“{word}”" for word in words)
    names = ", ".join(one.name for one in entry.parameters[:10]) or "nothing"
    return f"I did not understand {told} for {entry.operation.name}, so I called nothing. It takes: {names}."


def incomplete(entry: Entry) -> str:
    """Return that an operation wants more, or other, arguments than were given."""
    names = ", ".join(one.name for one in entry.parameters[:10])
    return f"That is not enough for {entry.operation.name}, so I called nothing. It takes: {names}."


def quoted(passages: Sequence[Passage], telling: frozenset[str]) -> str:
    """Return the best sentences of the best passages, word for word and with their pieces' ids; nothing when none fits.

    A passage fits that shares half of the question's telling words, or that search found to mean the same.
    """
    best = [one for one in passages if one.score >= CERTAIN or relevance(one, telling) >= 0.5]
    least = AS_GOOD * worth(best[0], telling) if best else 0.0
    said = [(one, words) for one in best if worth(one, telling) >= least and (words := _words_of(one, telling))]
    lines = [f"“{words}” — {one.title or one.document_id} [{one.chunk_id}]" for one, words in said[:MOST_QUOTED]]
    return "\n\n".join(["From the connected documents:", *lines]) if lines else ""


def _words_of(passage: Passage, telling: frozenset[str]) -> str:
    """Return the sentences around the one that fits best, as they stand there, as many as may be quoted.

    No quote begins or ends with a heading or with the line below a table's head: these are no answer.
    """
    places = [place for place in sentences(passage.text) if _says(passage.text[slice(*place)])]
    if not places:
        return ""
    shared = [len(telling & _stems(passage.text[slice(*place)])) for place in places]
    first = last = shared.index(max(shared))
    if places[-1][1] - places[0][0] <= PASSAGE_CHARS:
        first, last = 0, len(places) - 1
    while last + 1 < len(places) and places[last + 1][1] - places[first][0] <= PASSAGE_CHARS:
        last += 1
    while first > 0 and places[last][1] - places[first - 1][0] <= PASSAGE_CHARS:
        first -= 1
    words = passage.text[places[first][0] : places[last][1]]
    return words if len(words) <= PASSAGE_CHARS else words[:PASSAGE_CHARS].rpartition(" ")[0]


def _says(sentence: str) -> bool:
    return not sentence.startswith("#") and bool(sentence.strip("-*|: \n"))


def worth(passage: Passage, telling: frozenset[str]) -> float:
    """Return how well a passage answers, 0 to 1: by its words or, where search is sure, by its meaning."""
    return max(relevance(passage, telling), passage.score if passage.score >= CERTAIN else 0.0)


def relevance(passage: Passage, telling: frozenset[str]) -> float:
    """Return which share of a question's telling words a passage holds, 0 to 1."""
    if not telling:
        return 0.0
    return len(telling & _stems(f"{passage.title} {passage.text}"[:4_000])) / len(telling)


def _stems(text: str) -> set[str]:
    return {stem(word) for word in english.NAME_PART.findall(text.lower())}
