"""Embeddings from an Ollama server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import batched
from typing import Any

import httpx2

from domain.errors import ModelUnavailable
from domain.knowledge import Fingerprint
from tools.knowledge.embedding import BATCH, Vector
from tools.transport import tls

KNOWN_SECONDS = 15.0
PREFIXES: Mapping[str, tuple[str, str]] = {
    "nomic-embed-text": ("search_document: ", "search_query: "),
    "mxbai-embed-large": ("", "Represent this sentence for searching relevant passages: "),
    "snowflake-arctic-embed": ("", "Represent this sentence for searching relevant passages: "),
}
"""What some models want before a text to be found, and before a question; their model cards tell."""


class OllamaEmbedding:
    """One model of an Ollama server; made by `OllamaEmbeddings`."""

    floor = 0.45

    def __init__(self, client: httpx2.AsyncClient, fingerprint: Fingerprint) -> None:
        self._client = client
        self.fingerprint = fingerprint
        self._before = PREFIXES.get(fingerprint.model.partition(":")[0], ("", ""))

    async def of_documents(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of texts to be found; raises `ModelUnavailable`."""
        vectors: list[Vector] = []
        for batch in batched(texts, BATCH):
            vectors += await self._embedded([self._before[0] + text for text in batch])
        return vectors

    async def of_query(self, text: str) -> Vector:
        """Return the vector of a question; raises `ModelUnavailable`."""
        return (await self._embedded([self._before[1] + text]))[0]

    async def _embedded(self, texts: Sequence[str]) -> list[Vector]:
        vectors = await embedded(self._client, self.fingerprint.model, texts)
        if any(len(vector) != self.fingerprint.dimension for vector in vectors):
            raise ModelUnavailable(f"The embedding model {self.fingerprint.model} changed while it was used.")
        return vectors


class OllamaEmbeddings:
    """The embedding models of a server, as known for a quarter of a minute.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, client: httpx2.AsyncClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._asking = asyncio.Lock()
        self._known: dict[str, tuple[float, OllamaEmbedding | str]] = {}

    async def get(self, model: str) -> OllamaEmbedding:
        """Return a model; raises `ModelUnavailable` where the server does not answer or does not hold it."""
        async with self._asking:
            until, found = self._known.get(model, (0.0, ""))
            if self._clock() >= until:
                found = await self._found(model)
                self._known[model] = (self._clock() + KNOWN_SECONDS, found)
        if isinstance(found, str):
            raise ModelUnavailable(found)
        return found

    async def _found(self, model: str) -> OllamaEmbedding | str:
        """Return a model, or why it cannot be used."""
        try:
            listed = await _answered(self._client.get("/api/tags"))
            digests = {each["name"]: str(each.get("digest", "")) for each in listed["models"]}
            name = model if ":" in model else f"{model}:latest"
            if name not in digests:
                return f"The embedding model {model} is not there; run: ollama pull {model}"
            (vector,) = await embedded(self._client, model, ["dimension"])
        except ModelUnavailable as error:
            return error.detail
        except (LookupError, TypeError, AttributeError):
            return "The model server's list of models cannot be read."
        version = f"{digests[name][:12]}/1"
        return OllamaEmbedding(self._client, Fingerprint(model=model, dimension=len(vector), version=version))


@asynccontextmanager
async def open_ollama_embeddings(url: str) -> AsyncIterator[OllamaEmbeddings]:
    """Yield the embedding models at a server's address."""
    base = url if "://" in url else f"http://{url}"
    timeout = httpx2.Timeout(30, connect=1)
    async with httpx2.AsyncClient(base_url=base, timeout=timeout, trust_env=False, verify=tls(base)) as client:
        yield OllamaEmbeddings(client)


async def embedded(client: httpx2.AsyncClient, model: str, texts: Sequence[str]) -> list[Vector]:
    """Return the vectors a server makes of texts; raises `ModelUnavailable`."""
    answer = await _answered(client.post("/api/embed", json={"model": model, "input": list(texts), "truncate": True}))
    vectors = answer.get("embeddings") if isinstance(answer, dict) else None
    if not isinstance(vectors, list) or len(vectors) != len(texts) or not all(_is_vector(each) for each in vectors):
        raise ModelUnavailable("The model server's embeddings are incomplete.")
    return vectors


def _is_vector(given: object) -> bool:
    return isinstance(given, list) and bool(given) and all(isinstance(each, int | float) for each in given)


async def _answered(sending: Any) -> Any:
    try:
        response = await sending
        return response.raise_for_status().json()
    except (httpx2.HTTPError, ValueError) as error:
        raise ModelUnavailable("The model server gives no embeddings.") from error
