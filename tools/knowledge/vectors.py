"""Search by meaning: Chroma, in a folder of this process or on a server, opened once and never on the event loop.

Every scope has a collection of its own: nobody's search reaches another's pieces, and none is slowed down by a filter.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from langchain_core.embeddings import Embeddings

from domain.errors import StoreUnavailable
from domain.knowledge import Chunk, Family
from tools.knowledge.embedding import BATCH, Vector
from tools.knowledge.hnsw import damaged

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from langchain_chroma import Chroma

log = structlog.get_logger("knowledge")

OPEN_SECONDS = 30.0
CALL_SECONDS = 20.0

type Metadata = Mapping[str, str]


class Vectors:
    """The vector store; made by `open_vectors`."""

    def __init__(self, client: "Client", form: str) -> None:
        self._client = client
        self.form = form

    async def add(
        self, family: Family, scope: str, chunks: Sequence[Chunk], vectors: Sequence[Vector], metadata: Metadata
    ) -> None:
        """Put pieces there, with their vectors; raises `StoreUnavailable`. What is there already is replaced."""
        told = {f"m_{name}": value for name, value in metadata.items()}
        for batch in batched(zip(chunks, vectors, strict=True), BATCH):
            await self._call(partial(self._added, _name(family, scope), batch, told))

    async def nearest(
        self, family: Family, scopes: Sequence[str], vector: Vector, *, most: int, metadata: Metadata
    ) -> list[tuple[str, float]]:
        """Return the pieces whose vectors are most like one, with their likeness; raises `StoreUnavailable`."""
        found = await asyncio.gather(
            *(self._call(partial(self._nearest, _name(family, scope), vector, most, metadata)) for scope in scopes)
        )
        return sorted((hit for hits in found for hit in hits), key=lambda hit: (-hit[1], hit[0]))[:most]

    async def remove(self, family_name: str, scope: str, document_id: str, *, but_version: int | None = None) -> None:
        """Take a document's pieces out, all or all but those of one version; raises `StoreUnavailable`."""
        await self._call(lambda: self._removed(f"{family_name}-{scope}", document_id, but_version))

    async def names(self) -> set[str]:
        """Return the names of all collections; raises `StoreUnavailable`."""
        return {each.name for each in await self._call(lambda: list(self._client.list_collections()))}

    async def drop(self, family_name: str) -> None:
        """Remove a family with everything in it; raises `StoreUnavailable`."""
        for name in await self.names():
            if name.startswith(f"{family_name}-"):
                await self._call(partial(self._client.delete_collection, name))

    async def close(self) -> None:
        """Let go of files and connections; Chroma's client of a server leaves its own open."""
        session = getattr(getattr(self._client, "_server", None), "_session", None)
        await asyncio.to_thread(self._client.close)
        if session is not None:
            session.close()

    async def _call[T](self, work: Callable[[], T]) -> T:
        return await _guarded(work, "The vector store", CALL_SECONDS)

    def _added(self, name: str, batch: Sequence[tuple[Chunk, Vector]], told: Metadata) -> None:
        vectors = Ready([vector for _, vector in batch])
        self._collection(name, vectors).add_texts(
            [chunk.text for chunk, _ in batch],
            metadatas=[{"document_id": chunk.document_id, "version": chunk.version, **told} for chunk, _ in batch],
            ids=[chunk.chunk_id for chunk, _ in batch],
        )

    def _nearest(self, name: str, vector: Vector, most: int, metadata: Metadata) -> list[tuple[str, float]]:
        from chromadb.errors import NotFoundError

        try:
            collection = self._collection(name)
        except NotFoundError:
            return []
        found = collection.similarity_search_by_vector_with_relevance_scores(vector, k=most, filter=_filter(metadata))
        return [(document.id or "", 1.0 - distance) for document, distance in found]

    def _removed(self, name: str, document_id: str, but_version: int | None) -> None:
        from chromadb.errors import NotFoundError

        where: dict[str, Any] = {"document_id": document_id}
        if but_version is not None:
            where = {"$and": [where, {"version": {"$ne": but_version}}]}
        try:
            ids = self._collection(name).get(where=where, include=[])["ids"]
        except NotFoundError:
            return
        for batch in batched(ids, BATCH):
            self._collection(name).delete(list(batch))

    def _collection(self, name: str, vectors: "Ready | None" = None) -> "Chroma":
        """Return a collection, made if it is written to; no embedding function of Chroma's own ever downloads one."""
        from langchain_chroma import Chroma

        return Chroma(
            collection_name=name,
            client=self._client,
            embedding_function=vectors or Ready([]),
            collection_metadata={"hnsw:space": "cosine"},
            create_collection_if_not_exists=vectors is not None,
        )


class Ready(Embeddings):
    """Vectors that are there already, in LangChain's interface."""

    def __init__(self, vectors: list[Vector]) -> None:
        self._vectors = vectors

    def embed_documents(self, texts: list[str]) -> list[Vector]:
        """Return the vectors, in the order they were given."""
        return self._vectors

    def embed_query(self, text: str) -> Vector:
        """Never asked: questions come as vectors."""
        raise NotImplementedError


async def open_vectors(folder: Path, url: str | None) -> Vectors:
    """Open the store on a server, or in a folder; raises `StoreUnavailable`, and has changed nothing then."""
    form = f"Chroma at {_place(url)}" if url else f"Chroma in {folder}"
    opening = (lambda: _on_server(url)) if url else (lambda: _in_folder(folder))
    vectors = Vectors(await _guarded(opening, form, OPEN_SECONDS), form)
    log.info("rag_vectorstore_initialized", form=form)
    return vectors


def _in_folder(folder: Path) -> "Client":
    _check(folder)
    chromadb, settings = _chroma()
    client: Client = chromadb.PersistentClient(str(folder), settings=settings)
    return client


def _on_server(url: str) -> "Client":
    chromadb, settings = _chroma()
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 8000)
    client: Client = chromadb.HttpClient(parts.hostname or "", port, ssl=parts.scheme == "https", settings=settings)
    return client


def _chroma() -> tuple[Any, Any]:
    # Before numpy is imported, see tools.knowledge.minilm.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import chromadb
    from chromadb.config import Settings

    return chromadb, Settings(anonymized_telemetry=False)


def _check(folder: Path) -> None:
    """Raise `StoreUnavailable` for a folder that Chroma would take for an empty one and write over, or would die of."""
    file = folder / "chroma.sqlite3"
    if file.exists():
        with file.open("rb") as opened:
            if opened.read(16) != b"SQLite format 3\0":
                raise StoreUnavailable(f"{file} is empty or no database; move it away to begin anew.")
        if broken := damaged(folder):
            raise StoreUnavailable(f"{broken} is damaged; move {folder} away to begin anew.")
    elif folder.is_dir() and any(folder.iterdir()):
        raise StoreUnavailable(f"{folder} holds vectors without their chroma.sqlite3; move it away to begin anew.")
    folder.mkdir(parents=True, exist_ok=True)


async def _guarded[T](work: Callable[[], T], what: str, seconds: float) -> T:
    """Do blocking work in a thread; every error of Chroma becomes `StoreUnavailable`."""
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.to_thread(_told, work, what)
    except TimeoutError as error:
        raise StoreUnavailable(f"{what} does not answer.") from error


def _told[T](work: Callable[[], T], what: str) -> T:
    try:
        return work()
    except (StoreUnavailable, ImportError) as error:
        if isinstance(error, ImportError):
            raise StoreUnavailable(f"The Python package {error.name} is not installed.") from error
        raise
    except OSError as error:
        raise StoreUnavailable(f"{what} cannot be read or written.") from error
    except _troubles() as error:
        log.warning("vectorstore_failed", error=type(error).__name__)
        raise StoreUnavailable(f"{what} is damaged or does not answer.") from error


def _troubles() -> tuple[type[Exception], ...]:
    """Return what Chroma raises when it is ill: its own errors, and whatever its parts raise in its place."""
    import httpx
    from chromadb.errors import ChromaError

    return (ChromaError, httpx.HTTPError, ValueError, KeyError, AttributeError, TypeError, RuntimeError)


def _filter(metadata: Metadata) -> dict[str, Any] | None:
    wanted: list[dict[str, Any]] = [{f"m_{name}": {"$eq": value}} for name, value in metadata.items()]
    return {"$and": wanted} if len(wanted) > 1 else wanted[0] if wanted else None


def _name(family: Family, scope: str) -> str:
    return f"{family.name}-{scope}"


def _place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
