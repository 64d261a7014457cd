"""What a question says in words: plain terms, never operators, and which of them name something exactly."""

import re
from dataclasses import dataclass

from tools.words.english import STOP_WORDS

MOST_TERMS = 24
MOST_CHARS = 2_000
"""How much of a question is searched for; more would be no question."""

WORD = re.compile(r"\w+(?:[-_./:]+\w+)*")
PARTS = re.compile(r"\w+")


@dataclass(frozen=True)
class Term:
    """One word of a question.

    Args:
        exact: Whether it is an identifier: `E-4102`, `eu-north-2`, `MAX_STEPS`, `7700`.
    """

    text: str
    exact: bool

    @property
    def match(self) -> str:
        """The term for FTS5: its parts as one phrase between quotes, inside which no operator means anything."""
        return '"' + " ".join(PARTS.findall(self.text)) + '"'


def terms(question: str) -> tuple[Term, ...]:
    """Return a question's telling terms in order, each once; all its words where there are no others."""
    words = list(dict.fromkeys(WORD.findall(question[:MOST_CHARS])))
    told = [word for word in words if word.lower() not in STOP_WORDS and (len(word) > 1 or not word.isascii())]
    return tuple(Term(word, is_exact(word)) for word in (told or words)[:MOST_TERMS])


def is_exact(word: str) -> bool:
    """Return whether a word looks like somebody's name for one thing rather than like language."""
    digits = sum(letter.isdigit() for letter in word)
    mixed = digits > 0 and digits < len(word)
    return mixed or digits >= 3 or "_" in word
