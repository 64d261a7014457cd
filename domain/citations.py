"""Citations: which words of which passage a reply rests on, and none that are not there.

A reply cites a piece by its id in brackets, after the words it takes from it: `“Within 30 days.” [doc_1.2.0]`. What is
quoted has to be in that piece, word for word; a citation of a piece that was not given, or of words that it does not
have, is taken out of the reply, and so are words between signs of a quote that none of the pieces has.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from domain.conversation import Passage, Source

IDS = r"\s*([\w.:@-]+(?:\s*[,;]\s*[\w.:@-]+)*)\s*"
MARK = re.compile(rf"\s?(?:\[\[{IDS}\]\]|\[{IDS}\])")
SIGNS: Mapping[str, str] = {
    "”": "“„”",
    "“": "„",
    '"': '"',
    "’": "‘‚",
    "‘": "‚",
    "'": "'",
    "»": "«»",
    "«": "»",
    "›": "‹›",
    "‹": "›",
    "」": "「",
    "』": "『",
}
"""The signs that end a quote, and the ones that may begin it."""

SINGLE = frozenset("'‘’‚")
"""Signs that are apostrophes as well: they begin and end quotes only where words do."""

LEFT_OUT = "[…]"
"""What stands in the place of a quote that is in no piece."""

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
    """A reply without false citations, and what the others rest on; `refused` quotes are in no piece."""

    text: str
    sources: tuple[Source, ...]
    dropped: int
    refused: int = 0


class Quote(NamedTuple):
    """Where a quote is, without its signs; it may as well begin at one of the other places."""

    start: int
    end: int
    starts: tuple[int, ...]

    def readings(self, text: str) -> list[str]:
        """Return what may be quoted, longest first: in what is quoted there may be quotes."""
        return [text[start : self.end] for start in self.starts]


def cited(text: str, passages: Sequence[Passage]) -> Cited:
    """Return a reply with every citation checked."""
    known = {passage.chunk_id: passage for passage in passages}
    sources: dict[tuple[str, int, int], Source] = {}
    kept: list[str] = []
    place, dropped, refused = 0, 0, 0
    for mark in MARK.finditer(text):
        ids = re.split(r"\s*[,;]\s*", mark[1] or mark[2])
        if not any(each in known or PIECE.fullmatch(each) for each in ids):
            continue  # brackets that cite nothing
        before = text[place : mark.start()]
        quote = _quote(before)
        quotes = quote.readings(before) if quote else []
        found = [source for each in ids if (source := _source(before, quotes, known.get(each)))]
        dropped += len(ids) - len(found)
        sources |= {(source.chunk_id, source.start, source.end): source for source in found}
        if quote and not found and _is_nowhere(quotes, passages):
            before = before[: quote.start - 1] + LEFT_OUT + before[quote.end + 1 :]
            refused += 1
        kept.append(before)
        kept.append(f" [{', '.join(source.chunk_id for source in found)}]" if found else "")
        place = mark.end()
    return Cited("".join([*kept, text[place:]]).strip(), tuple(sources.values())[:MOST_SOURCES], dropped, refused)


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


def _source(before: str, quotes: Sequence[str], passage: Passage | None) -> Source | None:
    """Return what a citation rests on: the words quoted before it, else the sentence that is most like it."""
    if passage is None:
        return None
    if quotes:
        return next((source for quote in quotes if (source := _quoted(quote, passage))), None)
    return _nearest(before.rpartition("\n")[2] or before, passage)


def _is_nowhere(quotes: Sequence[str], passages: Sequence[Passage]) -> bool:
    long_enough = len("".join(quotes[-1].split())) >= LEAST_QUOTED
    return long_enough and not any(_quoted(quote, passage) for quote in quotes for passage in passages)


def _quote(text: str) -> Quote | None:
    """Return the quote that ends last on a text's last line."""
    last_line = text.rfind("\n") + 1
    for end, sign in sorted(((_last_end(text, sign, last_line), sign) for sign in SIGNS), reverse=True):
        begun = _begun(text, sign, last_line, end) if end >= 0 else []
        if begun:
            return Quote(_partner(text, sign, begun, end), end, tuple(begun[-MOST_SIGNS:]))
    return None


def _last_end(text: str, sign: str, start: int) -> int:
    end = text.rfind(sign, start)
    while end >= 0 and sign in SINGLE and text[end + 1 : end + 2].isalnum():
        end = text.rfind(sign, start, end)
    return end


def _begun(text: str, sign: str, last_line: int, end: int) -> list[int]:
    """Return the places behind the signs that may begin a quote; the one that ends it only where there is no other."""
    other = SIGNS[sign].replace(sign, "")
    places = _behind(text, other, last_line if sign in SINGLE else 0, end) if other else []
    if not places and sign in SIGNS[sign]:
        places = _behind(text, sign, last_line, end)
    if sign not in SINGLE:
        return places
    return [at for at in places if not text[max(at - 2, 0) : at - 1].isalnum() and not text[at : at + 1].isspace()]


def _behind(text: str, signs: str, start: int, end: int) -> list[int]:
    return [start + found.end() for found in re.finditer(f"[{signs}]", text[start:end])]


def _partner(text: str, sign: str, begun: Sequence[int], end: int) -> int:
    """Return where a quote begins if the quotes in it are whole; without that, the nearest place."""
    for place in begun[: -MOST_SIGNS - 1 : -1]:
        inside = text[place:end]
        if sum(inside.count(each) for each in SIGNS[sign] if each != sign) == inside.count(sign):
            return place
    return begun[-1]


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
