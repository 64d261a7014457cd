"""Citations: which words of which passage a reply rests on, and none that are not there.

A reply cites a piece by its id in brackets, after the words it takes from it: `“Within 30 days.” [doc_1.2.0]`. What is
quoted has to be in that piece, word for word; a citation of a piece that was not given, or of words that it does not
have, is taken out of the reply.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from domain.conversation import Passage, Source

MARK = re.compile(r"\s?\[\s*([\w.:@-]+(?:\s*[,;]\s*[\w.:@-]+)*)\s*\]")
SIGNS: Mapping[str, str] = {"”": "“", "»": "«", '"': '"'}
"""The signs that end a quote, and the ones that begin it."""

SENTENCE = re.compile(r"#[^\n]*|\S(?:[^.!?\n]|[.!?](?!\s|$)|\n(?![ \t]*(?:\n|[-*|>#`]|\d+[.)]\s|$)))*[.!?]?")
"""A heading, or words up to a full stop, an empty line, or a line that begins something: an item, a row, a heading."""

WORD = re.compile(r"\w{3,}")
PIECE = re.compile(r"[\w:@-][\w.:@-]*\.\d+\.\d+")
"""What the id of a piece looks like: a document, a version, a place."""

MOST_SOURCES = 20
LEAST_QUOTED = 2
MOST_SIGNS = 20
"""Beginnings tried for one quote: what is quoted may have quotes in it."""

LEAST_SHARED = 2
"""Words a sentence has to share with the sentence that cites it without quoting."""


class Cited(NamedTuple):
    """A reply without false citations, and what the others rest on."""

    text: str
    sources: tuple[Source, ...]
    dropped: int


def cited(text: str, passages: Sequence[Passage]) -> Cited:
    """Return a reply with every citation checked."""
    known = {passage.chunk_id: passage for passage in passages}
    sources: dict[tuple[str, int, int], Source] = {}
    kept: list[str] = []
    place, before, dropped = 0, 0, 0
    for mark in MARK.finditer(text):
        ids = re.split(r"\s*[,;]\s*", mark[1])
        if not any(each in known or PIECE.fullmatch(each) for each in ids):
            continue  # brackets that cite nothing
        found = [source for each in ids if (source := _source(text[before : mark.start()], known.get(each)))]
        dropped += len(ids) - len(found)
        sources |= {(source.chunk_id, source.start, source.end): source for source in found}
        kept.append(text[place : mark.start()])
        kept.append(f" [{', '.join(source.chunk_id for source in found)}]" if found else "")
        place = before = mark.end()
    return Cited("".join([*kept, text[place:]]).strip(), tuple(sources.values())[:MOST_SOURCES], dropped)


def passage_quote(passage: Passage, start: int, end: int) -> Source:
    """Return these characters of a passage as a source."""
    return Source(
        document_id=passage.document_id,
        chunk_id=passage.chunk_id,
        title=passage.title,
        start=start,
        end=end,
        score=passage.score,
        quote=passage.text[start:end],
    )


def sentences(text: str) -> list[tuple[int, int]]:
    """Return where the sentences of a text are."""
    return [(found.start(), found.start() + len(found[0].rstrip())) for found in SENTENCE.finditer(text)]


def _source(before: str, passage: Passage | None) -> Source | None:
    """Return what a citation rests on: the words quoted before it, else the sentence that is most like it."""
    if passage is None:
        return None
    quotes = _quotes(before)
    if quotes:
        return next((source for quote in quotes if (source := _quoted(quote, passage))), None)
    return _nearest(before.rpartition("\n")[2] or before, passage)


def _quotes(text: str) -> list[str]:
    """Return what may be the quote that ends on a text's last line: from each sign that may begin it, longest first."""
    last_line = text.rfind("\n") + 1
    for end, sign in sorted(((text.rfind(sign, last_line), sign) for sign in SIGNS), reverse=True):
        begun = text[last_line if sign == '"' else 0 : max(end, 0)].split(SIGNS[sign])[1:][-MOST_SIGNS:]
        if begun:
            return [SIGNS[sign].join(begun[place:]) for place in range(len(begun))]
    return []


def _quoted(quote: str, passage: Passage) -> Source | None:
    """Return where a quote is in a passage; line breaks may differ, words and signs may not."""
    words = quote.removesuffix("…").removesuffix("...").split()
    if len("".join(words)) < LEAST_QUOTED:
        return None
    found = re.search(r"\s+".join(map(re.escape, words)), passage.text)
    return passage_quote(passage, found.start(), found.end()) if found else None


def _nearest(told: str, passage: Passage) -> Source | None:
    claim = _words([told[start:end] for start, end in sentences(told)][-1:] or [told])
    best = max(
        sentences(passage.text), key=lambda place: len(claim & _words([passage.text[slice(*place)]])), default=None
    )
    if best is None or len(claim & _words([passage.text[slice(*best)]])) < LEAST_SHARED:
        return None
    return passage_quote(passage, *best)


def _words(texts: Iterable[str]) -> set[str]:
    return {word.lower() for text in texts for word in WORD.findall(text)}
