"""The JSON of the knowledge base's routes."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from api.shapes import Given, Limit, Name, whole
from domain.knowledge import DocumentState, Fingerprint, JobKind, JobState

type DocumentId = Annotated[str, Path(description="The `document_id` of an answer", max_length=128)]
type JobId = Annotated[str, Path(description="The `job_id` of an answer", max_length=64)]
type Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
type Value = Annotated[str, StringConstraints(min_length=1, max_length=200)]
type Metadata = Annotated[dict[Key, Value], Field(max_length=20)]

LONGEST_QUERY = 4_000
ADDRESS = r"^https?://[A-Za-z0-9.\[\]:-]+([/?#].*)?$"


class DocumentIn(Given):
    """A document, as text or as an address it is fetched from; a file is sent as `multipart/form-data` instead.

    Without `document_id` the document is known by its `source` or `url`, or, without these, by its content: the same
    again is the same document. Another content is its next version; the same content from elsewhere is another one.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "# Returns\n\nGoods may be sent back within 30 days.", "title": "Returns"}],
            "oneOf": [
                {"properties": {"text": {"type": "string"}, "url": {"type": "null"}}, "required": ["text"]},
                {"properties": {"url": {"type": "string"}, "text": {"type": "null"}}, "required": ["url"]},
            ],
        }
    )

    text: str | None = Field(None, pattern=r"\S", description="Text or Markdown")
    url: str | None = Field(
        None, max_length=2_000, pattern=ADDRESS, description="Where it is fetched from; RAG_ALLOWED_HOSTS says whence"
    )
    title: str = Field("", max_length=300)
    source: str = Field("", max_length=1_000, description="Where it comes from, such as a file's path")
    document_id: Name | None = None
    metadata: Metadata = Field(default_factory=dict, description="What search may filter by; RAG_METADATA_KEYS")
    shared: bool = Field(False, strict=True, description="Whether everybody finds it; takes an operator")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.text is None) == (self.url is None):
            raise ValueError("Give either text or url.")
        return self


class DocumentsIn(Given):
    """Which documents to list."""

    after: Name | None = Field(None, description="The `next` of the page before")
    limit: Limit = 20


class ChunksIn(Given):
    """Which pieces to list."""

    after: int = Field(-1, ge=-1, le=1_000_000, description="The `next` of the page before")
    limit: Limit = 20


class SearchIn(Given):
    """A question to the documents. It is plain text: no word or sign in it is an operator."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "How long may I send things back?"}]})

    query: str = Field(min_length=1, max_length=LONGEST_QUERY, pattern=r"\S")
    top_k: Annotated[int, Field(strict=True, ge=1, le=50), BeforeValidator(whole)] = 5
    min_score: Annotated[float, Field(strict=True, ge=0, le=1)] | None = Field(
        None, description="Least relevance; absent: this server's"
    )
    metadata: Metadata = Field(default_factory=dict, description="What a document's metadata must say")
    way: Literal["hybrid", "meaning", "words"] = "hybrid"


class JobOut(BaseModel):
    """Work under way: `done` of `total` pieces. `unchanged` says that there was nothing to do."""

    job_id: str
    kind: JobKind
    document_id: str
    state: JobState
    step: str
    done: int
    total: int
    unchanged: bool
    attempt: int
    error: str
    created_at: datetime
    updated_at: datetime


class DocumentOut(BaseModel):
    """A document. `version` is what is searched now, 0 before there is any; `digest` is its content's sha256.

    `error` says why what was sent last could not be taken; a document that is `ready` is searched as it was before.
    """

    document_id: str
    owner: str
    shared: bool
    title: str
    source: str
    metadata: dict[str, str]
    content_type: str
    size_bytes: int
    digest: str
    version: int
    chunks: int
    state: DocumentState
    error: str
    written_by: str
    created_at: datetime
    updated_at: datetime


class DocumentsOut(BaseModel):
    """A page of documents by id; `next` is the `after` of the page that follows."""

    documents: list[DocumentOut]
    next: str | None


class ChunkOut(BaseModel):
    """A piece: `[start:end]` of the document's text, in characters."""

    chunk_id: str
    index: int
    start: int
    end: int
    heading: str
    text: str


class ChunksOut(BaseModel):
    """A page of a document's pieces, in order."""

    document_id: str
    version: int
    chunks: list[ChunkOut]
    next: int | None


class HitOut(BaseModel):
    """A piece that was found. `score` is its relevance, 0 to 1; the order is that of both rankings together."""

    document_id: str
    chunk_id: str
    title: str
    heading: str
    source: str
    start: int
    end: int
    score: float
    found_by: list[Literal["meaning", "words"]]
    text: str


class HitsOut(BaseModel):
    """What a question found, best first, and what was degraded while looking."""

    hits: list[HitOut]
    searched: bool
    degraded: list[dict[str, Any]]


class KnowledgeStatsOut(BaseModel):
    """The knowledge base. `state` tells `indexing` from `empty`; queries and latencies are those of this process."""

    state: Literal["off", "empty", "indexing", "ready"]
    documents: int
    documents_failed: int
    chunks: int
    jobs_unfinished: int
    mode: Literal["networked", "embedded", "degraded"]
    form: str
    reason: str
    search: Literal["hybrid", "words"]
    collection: str | None
    fingerprint: Fingerprint | None
    wanted_fingerprint: Fingerprint | None
    reindex_needed: bool
    initialisations: int
    queries: int
    hit_rate: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    last_ingest: datetime | None
