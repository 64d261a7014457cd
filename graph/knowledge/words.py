"""Search by words over the records: this process's index, kept as the records say."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checkpoints.knowledge import Documents
from domain.knowledge import Chunk, Document
from tools.knowledge.lexical import Lexicon

OVERLAP = timedelta(minutes=1)
"""How far back changes are looked for again: other servers' clocks, and writes that were under way, differ by less."""


@dataclass
class Words:
    """The index of words, and how far it has followed the records."""

    lexicon: Lexicon
    documents: Documents
    _followed: datetime | None = field(default=None, init=False)

    async def put(self, document: Document, chunks: list[Chunk]) -> None:
        """Let a document's current version be found."""
        await self.lexicon.put(
            document.document_id,
            document.version,
            document.scope,
            document.title,
            chunks,
            metadata=document.metadata,
        )

    async def catch_up(self, now: datetime) -> None:
        """Follow what was changed elsewhere; the first time compare everything."""
        whole = self._followed is None
        changed = await self.documents.changed(None if self._followed is None else self._followed - OVERLAP)
        if changed or whole:
            here = await self.lexicon.versions()
            for document in changed:
                if here.get(document.document_id) != (document.version, document.scope):
                    await self.put(document, await self.documents.chunks_of(document))
            if whole:
                for document_id in here.keys() - {document.document_id for document in changed}:
                    await self.lexicon.remove(document_id)
        self._followed = now
