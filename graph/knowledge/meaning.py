"""Search by meaning over the records: embed what they hold, in the one family of vectors that counts."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import batched

import structlog

from checkpoints.ingests import Ingests
from checkpoints.knowledge import Documents
from domain.errors import ModelUnavailable, StoreUnavailable
from domain.knowledge import SHARED, Chunk, Document, Family, Fingerprint, scope_of
from tools.knowledge.choosing import Embeddings
from tools.knowledge.embedding import BATCH, Embedding
from tools.knowledge.once import Once
from tools.knowledge.vectors import Vectors

log = structlog.get_logger("knowledge")

type Told = Callable[[int], Awaitable[None]]
"""Gets how many pieces have been embedded since the last time."""


@dataclass
class Meaning:
    """The vectors, and the embedding that made them.

    Args:
        store: Opens the vector store.
    """

    store: Once[Vectors]
    embeddings: Embeddings
    documents: Documents
    ingests: Ingests
    _family: Family | None = field(default=None, init=False)
    _checked: bool = field(default=False, init=False)
    lacking: bool = field(default=True, init=False)
    """Whether documents may be without vectors that count."""

    missing: bool = field(default=False, init=False)
    """Whether documents are known to be without them."""

    trouble: StoreUnavailable | None = field(default=None, init=False)
    """Why the store could not be used when it was last needed; None since it could."""

    _unanswered: Sequence[str] = field(default=(), init=False)
    """The scopes of the last question if the store did not answer it: that it opens does not mean that it is well."""

    async def ready(self) -> tuple[Vectors, Family, Embedding]:
        """Return what searching takes, opened; raises `StoreUnavailable` and `ModelUnavailable`."""
        family = self._family or await self.refresh() or await self._first()
        embedding = await self.embeddings.matching(family.fingerprint)
        try:
            vectors = await self.store.get()
            if not self._checked:
                await self._check(vectors, family)
        except StoreUnavailable as error:
            self._note(error)
            raise
        if not self._unanswered:
            self.trouble = None
        return vectors, family, embedding

    def begin(self) -> None:
        """Begin to open the store, without waiting for it."""
        self.store.begin()

    def has_vectors(self) -> bool:
        """Return whether documents were ever embedded, as far as is known."""
        return self._family is not None

    async def refresh(self) -> Family | None:
        """Return the family that counts, as it is recorded now: another server may have exchanged it."""
        self._family = await self.ingests.active()
        return self._family

    async def nearest(
        self, question: str, scopes: Sequence[str], *, most: int, metadata: Mapping[str, str]
    ) -> tuple[list[tuple[str, float]], float]:
        """Return the pieces nearest to a question, and the likeness below which one has nothing to do with it."""
        vectors, family, embedding = await self.ready()
        asked = await embedding.of_query(question)
        try:
            near = await vectors.nearest(family, scopes, asked, most=most, metadata=metadata)
        except StoreUnavailable as error:
            self._note(error)
            self._unanswered = scopes
            raise
        if set(self._unanswered) <= set(scopes):
            self.trouble, self._unanswered = None, ()
        return near, embedding.floor

    async def look_again(self) -> None:
        """Ask a store that gave no answer once more, so that it is known to be well before somebody needs it."""
        if self._unanswered:
            with suppress(StoreUnavailable, ModelUnavailable):
                await self.nearest("?", self._unanswered, most=1, metadata={})

    async def put(self, document: Document, chunks: Sequence[Chunk], told: Told) -> tuple[str, ...]:
        """Embed pieces of a version to come; return the families that hold them, none where none can be filled now."""
        try:
            vectors, family, embedding = await self.ready()
            await self._fill(vectors, family, embedding, document, chunks, told)
        except (ModelUnavailable, StoreUnavailable) as error:
            log.warning("not_embedded", document_id=document.document_id, reason=error.detail)
            self.lacking = self.missing = True
            return ()
        return (family.name,)

    async def remove(self, document: Document, *, but_version: int | None = None) -> None:
        """Take a document's vectors out of the families that hold them."""
        active = self._family or await self.refresh()
        names = {*document.families, *([active.name] if active else [])}
        for name in names:
            vectors = await self.store.get()
            await vectors.remove(name, document.scope, document.document_id, but_version=but_version)

    async def embed_missing(self, told: Told) -> None:
        """Embed what the family that counts lacks: documents that came while nothing could embed them."""
        family = await self.refresh()
        if family and await self.documents.unembedded(family.name, limit=1):
            self.missing = True
            vectors, family, embedding = await self.ready()
            await self._complete(vectors, family, embedding, told)
        self.lacking = self.missing = False

    async def reindex(self, told: Told) -> Family:
        """Embed everything anew into a family of its own, let that one count, and drop the others.

        Until the exchange the old one answers; what is ingested meanwhile is caught up with after it.
        Raises `ModelUnavailable` and `StoreUnavailable`.
        """
        old = await self.refresh() or await self._first()
        embedding = await self.embeddings.wanted()
        vectors = await self.store.get()
        new = Family(fingerprint=embedding.fingerprint, generation=old.generation + 1)
        await self._complete(vectors, new, embedding, told)
        await self.ingests.exchange(old, new)
        await self.refresh()
        await self._complete(vectors, new, embedding, told)
        for name in {family_of(name) for name in await vectors.names()} - {new.name, ""}:
            await self.documents.forget(name)
            await vectors.drop(name)
        return new

    async def fingerprints(self) -> tuple[Fingerprint | None, Fingerprint | None]:
        """Return the fingerprint of the vectors there are, and that of the embedding that is wanted now."""
        family = self._family or await self.refresh()
        try:
            wanted = (await self.embeddings.wanted()).fingerprint
        except ModelUnavailable:
            wanted = None
        return (family.fingerprint if family else None), wanted

    def _note(self, trouble: StoreUnavailable) -> None:
        """Remember why the store could not be used; what it holds is looked at again, for it may come back empty."""
        self.trouble, self._checked = trouble, False

    async def _first(self) -> Family:
        wanted = await self.embeddings.wanted()
        self._family = await self.ingests.found(Family(fingerprint=wanted.fingerprint, generation=1))
        return self._family

    async def _check(self, vectors: Vectors, family: Family) -> None:
        """Forget vectors that are recorded and gone, for somebody cleared the store: they are made again."""
        if not any(name.startswith(f"{family.name}-") for name in await vectors.names()):
            await self.documents.forget(family.name)
            self.lacking = True
            self.missing = bool(await self.documents.unembedded(family.name, limit=1))
        self._checked = True

    async def _complete(self, vectors: Vectors, family: Family, embedding: Embedding, told: Told) -> None:
        while documents := await self.documents.unembedded(family.name):
            for document in documents:
                chunks = await self.documents.chunks_of(document)
                await self._fill(vectors, family, embedding, document, chunks, told)
                await vectors.remove(family.name, document.scope, document.document_id, but_version=document.version)
                await self.documents.embedded(document, family.name)

    async def _fill(
        self,
        vectors: Vectors,
        family: Family,
        embedding: Embedding,
        document: Document,
        chunks: Sequence[Chunk],
        told: Told,
    ) -> None:
        for batch in batched(chunks, BATCH):
            texts = [text_of(chunk, document.title) for chunk in batch]
            made = await embedding.of_documents(texts)
            await vectors.add(family, document.scope, batch, made, document.metadata)
            await told(len(batch))


def family_of(collection: str) -> str:
    """Return the name of the family a collection belongs to, or nothing if it is none of ours."""
    found = re.match(r"knowledge-\d+-[0-9a-f]{12}(?=-)", collection)
    return found[0] if found else ""


def text_of(chunk: Chunk, title: str) -> str:
    """Return what is embedded for a piece: it is about what stands above it, too."""
    above = dict.fromkeys(part for part in (title, chunk.heading) if part)
    return "\n".join([*above, chunk.text])


def scopes_of(owner: str) -> tuple[str, str]:
    """Return where an owner's questions are looked for."""
    return SHARED, scope_of(owner)
