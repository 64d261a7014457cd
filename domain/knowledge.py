"""Documents, their pieces, and how two rankings of pieces become one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from domain.actions import Frozen
from domain.canonical import digest

type DocumentState = Literal["indexing", "ready", "failed"]
type JobKind = Literal["ingest", "reindex"]
type Finder = Literal["meaning", "words"]
type JobState = Literal["queued", "running", "done", "failed"]

SHARED = "shared"
"""The scope of documents that everybody sees; every other scope belongs to one owner."""

RANK_CONSTANT = 60
"""How slowly a lower rank counts less: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion" (SIGIR 2009)."""

WORDS_WEIGHT = 1.0
EXACT_WEIGHT = 3.0
COVERED = 0.6
"""How much a rank by words weighs against one by meaning: ordinarily, and where the question names an identifier.

Ordinarily only pieces with that share of the question's telling words count. All three were chosen on the development
half of `bench/knowledge`: with every rank counted alike, paraphrases came out worse than by meaning alone.
"""


class Fingerprint(Frozen):
    """What a vector was made by: vectors of two fingerprints are never compared.

    Args:
        dimension: Numbers in one vector.
        version: Of the weights, and of the way they are used.
    """

    model: str
    dimension: int
    version: str

    @property
    def key(self) -> str:
        """A short name that no other fingerprint has."""
        return digest(self.model_dump(mode="json"))[:12]


class Family(Frozen):
    """The collections that hold the vectors of one fingerprint, one for each scope.

    Args:
        generation: Grows with every re-index, so that a new family never meets an old one's data.
    """

    fingerprint: Fingerprint
    generation: int

    @property
    def name(self) -> str:
        """What its collections' names begin with."""
        return f"knowledge-{self.generation}-{self.fingerprint.key}"


class Document(Frozen):
    """A document's record; what it points at is searched, and nothing else.

    Args:
        source: Where it came from: an address, a file's name, or empty.
        digest: sha256 of the bytes that its current version was read from, or its first one is to be.
        version: The version that is searched; 0 before there is one.
        last_version: The newest version anybody has begun to write.
        chunks: Pieces of the current version.
        error: Why what was sent last could not be taken; the current version is searched all the same.
        families: Names of the families that hold the current version's vectors.
        written_by: Who put the current version there.
        job_id: The job that did; empty for a version of before this was noted.
    """

    document_id: str
    owner: str
    shared: bool = False
    title: str
    source: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    content_type: str = ""
    size_bytes: int = 0
    digest: str = ""
    version: int = 0
    last_version: int = 0
    chunks: int = 0
    families: tuple[str, ...] = ()
    state: DocumentState = "indexing"
    error: str = ""
    written_by: str
    job_id: str = ""
    created_at: datetime
    updated_at: datetime

    @property
    def scope(self) -> str:
        """Who may find it."""
        return SHARED if self.shared else scope_of(self.owner)


class Chunk(Frozen):
    """A piece of one version of a document.

    Args:
        start: Where it begins in the document's text, in characters; `end` is behind its last.
        heading: The headings above it, outermost first, joined by ` / `.
    """

    chunk_id: str
    document_id: str
    version: int
    index: int
    start: int
    end: int
    heading: str = ""
    text: str


class Given(Frozen):
    """What somebody wants in the knowledge base.

    Args:
        document_id: Its name; None derives one from the owner and the source, or from the owner and the content.
        content: The bytes; None where they are fetched from `url`.
        content_type: As told by the sender; the content has the last word.
    """

    owner: str
    document_id: str | None = None
    content: bytes | None = None
    url: str = ""
    content_type: str = ""
    title: str = ""
    source: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    shared: bool = False


class Job(Frozen):
    """Work on the knowledge base that goes on whoever waits for it.

    Args:
        job_id: Greater than that of every job given before it.
        step: What it is at, in a word or two.
        done: Pieces finished, of `total`.
        unchanged: Whether there was nothing to do.
        attempt: How often a process has set out to do it.
    """

    job_id: str
    kind: JobKind
    owner: str
    document_id: str = ""
    state: JobState = "queued"
    step: str = "waiting"
    done: int = 0
    total: int = 0
    unchanged: bool = False
    attempt: int = 0
    error: str = ""
    created_at: datetime
    updated_at: datetime


class Ranked(Frozen):
    """One piece in a joined ranking.

    Args:
        score: How relevant it is, 0 to 1: its likeness in meaning, or the share of the question's telling words it
            holds, whichever is greater.
        found_by: Which rankings it is in.
    """

    chunk_id: str
    score: float
    found_by: tuple[Finder, ...]


def scope_of(owner: str) -> str:
    """Return the scope of an owner's own documents, a name that can stand anywhere."""
    return f"own-{digest(owner)[:24]}"


def chunk_id_of(document_id: str, version: int, index: int) -> str:
    """Return the id of a piece: the same piece of the same version always has the same."""
    return f"{document_id}.{version}.{index}"


def document_id_of(given: Given, content_digest: str) -> str:
    """Return the name of a document: as given, or the same for the same owner and source (or content)."""
    if given.document_id:
        return given.document_id
    source = given.url or given.source or f"sha256:{content_digest}"
    return "doc_" + digest({"owner": given.owner, "source": source, "shared": given.shared})[:20]


def fused(
    meaning: Sequence[tuple[str, float]], words: Sequence[tuple[str, float]], *, exact: bool = False
) -> list[Ranked]:
    """Return both rankings as one, best first, by weighted reciprocal ranks.

    Args:
        meaning: Pieces with their likeness, best first; empty where nothing searches by meaning.
        words: Pieces with the share of the question's telling words that each holds, best first.
        exact: Whether the question names something by an identifier, which words find and meaning does not.
    """
    if meaning and not exact:
        words = [(chunk_id, share) for chunk_id, share in words if share >= COVERED]
    weight = EXACT_WEIGHT if exact else WORDS_WEIGHT
    points: dict[str, float] = {}
    for ranking, worth in ((meaning, 1.0), (words, weight)):
        for rank, (chunk_id, _) in enumerate(ranking, start=1):
            points[chunk_id] = points.get(chunk_id, 0.0) + worth / (RANK_CONSTANT + rank)
    rankings: Rankings = (("meaning", dict(meaning)), ("words", dict(words)))
    return [_ranked(chunk_id, rankings) for chunk_id in sorted(points, key=lambda each: (-points[each], each))]


type Rankings = tuple[tuple[Finder, Mapping[str, float]], ...]


def _ranked(chunk_id: str, rankings: Rankings) -> Ranked:
    score = max(ranking.get(chunk_id, 0.0) for _, ranking in rankings)
    found_by = tuple(name for name, ranking in rankings if chunk_id in ranking)
    return Ranked(chunk_id=chunk_id, score=round(min(max(score, 0.0), 1.0), 4), found_by=found_by)
