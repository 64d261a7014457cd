"""Which embedding is used: the Ollama server's where it has the model, else the embedded one, else none."""

from dataclasses import dataclass

from domain.errors import ModelUnavailable
from domain.knowledge import Fingerprint
from tools.knowledge.embedding import Embedding
from tools.knowledge.minilm import MiniLM
from tools.knowledge.ollama import OllamaEmbeddings
from tools.knowledge.once import Once


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of this server.

    Args:
        model: The Ollama server's embedding model.
        server: Where it is; None where no server is configured.
        embedded: Loads the embedded one.
    """

    model: str
    server: OllamaEmbeddings | None
    embedded: Once[MiniLM]

    async def wanted(self) -> Embedding:
        """Return the best one that can be used now; raises `ModelUnavailable` where there is none."""
        if self.server is not None and self.model:
            try:
                return await self.server.get(self.model)
            except ModelUnavailable:
                pass
        return await self.embedded.get()

    async def matching(self, fingerprint: Fingerprint) -> Embedding:
        """Return the one that made a fingerprint's vectors; raises `ModelUnavailable` where it cannot be used now."""
        found = await self._named(fingerprint)
        if found.fingerprint != fingerprint:
            raise ModelUnavailable(f"The documents were embedded by another version of {fingerprint.model}.")
        return found

    async def _named(self, fingerprint: Fingerprint) -> Embedding:
        embedded = await self._embedded()
        if embedded is not None and embedded.fingerprint.model == fingerprint.model:
            return embedded
        if self.server is None:
            raise ModelUnavailable(f"The documents were embedded by {fingerprint.model}, which is not configured.")
        return await self.server.get(fingerprint.model)

    async def _embedded(self) -> MiniLM | None:
        try:
            return await self.embedded.get()
        except ModelUnavailable:
            return None
