"""What turns texts into vectors, and which of the ways is used."""

from collections.abc import Sequence
from typing import Protocol

from domain.knowledge import Fingerprint

type Vector = list[float]

BATCH = 32
"""Texts embedded, and stored, at once: Chroma's binding stops the whole process for the length of a batch."""


class Embedding(Protocol):
    """One way to turn texts into vectors."""

    @property
    def floor(self) -> float:
        """The likeness, 0 to 1, below which a piece has nothing to do with a question."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What its vectors may be compared with."""

    async def of_documents(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of texts to be found; raises `ModelUnavailable`."""

    async def of_query(self, text: str) -> Vector:
        """Return the vector of a question; raises `ModelUnavailable`."""
