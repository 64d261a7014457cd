"""Knowledge: documents in, passages out, and how it goes."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from api import knowledge_shapes as shapes
from api.access import Caller, Opened
from api.document import refusals
from api.problems import problem
from boot.container import Container
from boot.knowledge import Knowledge
from domain.errors import InvalidInput, NotFound
from domain.knowledge import Document, Given, Job
from graph.knowledge.retrieval import Hit

router = APIRouter(prefix="/rag", tags=["knowledge"])

SHARED = {"true": True, "false": False}
"""What a form says for yes and no; anything else is refused like in JSON."""

FIELDS = ("title", "source", "document_id", "metadata", "shared")
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/DocumentIn"}},
        },
    }
}
ACCEPTED: dict[int | str, dict[str, Any]] = {202: {"model": shapes.JobOut, "description": "Under way; see the job"}}


async def knowledge_of(container: Opened) -> Knowledge:
    """Return the knowledge base; raises `NotFound` where it is switched off."""
    if container.knowledge is None:
        raise NotFound("This server has no knowledge base (ENABLE_KNOWLEDGE is false).")
    return container.knowledge


type KnowledgeBase = Annotated[Knowledge, Depends(knowledge_of)]


async def document_given(request: Request) -> tuple[shapes.DocumentIn, Given]:
    """Return what was sent and its content, whichever way it came; raises `InvalidInput`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _uploaded(request)
    told = _checked(await request.body())
    content = told.text.encode("utf-8", "replace") if told.text is not None else None
    return told, _given(told, content, content_type="text/markdown" if content is not None else "")


@router.post("/documents", status_code=202, response_model=shapes.JobOut, responses=refusals(409), openapi_extra=BODY)
async def add_document(
    knowledge: KnowledgeBase,
    container: Opened,
    principal: Caller,
    sent: Annotated[tuple[shapes.DocumentIn, Given], Depends(document_given)],
) -> Response:
    """Take a document into the knowledge base: as text, as an address, or as a file; the job tells how far it is.

    A file comes as `multipart/form-data`: `file` is text, Markdown, HTML or PDF, the other members are fields beside
    it, `metadata` as a JSON object. The same content again changes nothing; another content under the same name becomes
    the next version, which is found from one moment to the next.
    """
    told, given = sent
    principal.require("operator" if told.shared else "user")
    _allow(told.metadata, container)
    if told.text is not None and not told.text.strip():
        raise InvalidInput("The text is blank.")
    most = container.settings.max_document_bytes
    if given.content is not None and len(given.content) > most:
        return problem(413, "content-too-large", f"A document may have {most} bytes.")
    job = await knowledge.jobs.submit(given.model_copy(update={"owner": principal.name}))
    return JSONResponse(_job(job), 202)


@router.get("/documents", response_model=shapes.DocumentsOut)
async def list_documents(
    given: Annotated[shapes.DocumentsIn, Query()], knowledge: KnowledgeBase, principal: Caller
) -> Response:
    """List the caller's documents and the shared ones, by id; an operator sees all."""
    found = await knowledge.documents.page(owner=principal.sees(), after=given.after or "", limit=given.limit)
    last = found[-1].document_id if len(found) == given.limit else None
    return JSONResponse({"documents": [_document(each) for each in found], "next": last})


@router.get("/documents/{document_id}", response_model=shapes.DocumentOut, responses=refusals(404))
async def get_document(document_id: shapes.DocumentId, knowledge: KnowledgeBase, principal: Caller) -> Response:
    """Return a document's record."""
    return JSONResponse(_document(await knowledge.documents.get(document_id, owner=principal.sees())))


@router.get("/documents/{document_id}/chunks", response_model=shapes.ChunksOut, responses=refusals(404))
async def list_chunks(
    document_id: shapes.DocumentId,
    given: Annotated[shapes.ChunksIn, Query()],
    knowledge: KnowledgeBase,
    principal: Caller,
) -> Response:
    """List the pieces of a document's current version, in order: what citations quote."""
    document = await knowledge.documents.get(document_id, owner=principal.sees())
    found = await knowledge.documents.chunks_of(document, after=given.after, limit=given.limit)
    shown = [each.model_dump(exclude={"document_id", "version"}) for each in found]
    last = found[-1].index if len(found) == given.limit else None
    return JSONResponse({"document_id": document_id, "version": document.version, "chunks": shown, "next": last})


@router.delete("/documents/{document_id}", response_model=shapes.DocumentOut, responses=refusals(404))
async def delete_document(document_id: shapes.DocumentId, knowledge: KnowledgeBase, principal: Caller) -> Response:
    """Delete a document: it is found no more from now on. Takes its owner, or an operator."""
    document = await knowledge.documents.get(document_id, owner=principal.sees())
    if document.owner != principal.name:
        principal.require("operator")
    await knowledge.jobs.delete(document)
    return JSONResponse(_document(document))


@router.get("/jobs/{job_id}", response_model=shapes.JobOut, responses=refusals(404))
async def get_job(job_id: shapes.JobId, knowledge: KnowledgeBase, principal: Caller) -> Response:
    """Return how far a job is."""
    return JSONResponse(_job(await knowledge.ingests.get(job_id, owner=principal.sees())))


@router.post("/search", response_model=shapes.HitsOut)
async def search_documents(
    given: shapes.SearchIn, knowledge: KnowledgeBase, container: Opened, principal: Caller
) -> Response:
    """Search the caller's documents and the shared ones, as the agent does for every message."""
    principal.require("user", "approver")
    _allow(given.metadata, container)
    if not given.query.strip():
        raise InvalidInput("The query is blank.")
    answer = await knowledge.retrieval.find(
        given.query,
        owner=principal.name,
        most=given.top_k,
        min_score=given.min_score,
        metadata=given.metadata,
        way=given.way,
    )
    notices = [notice.model_dump() for notice in answer.notices]
    return JSONResponse({"hits": [_hit(hit) for hit in answer.hits], "searched": answer.searched, "degraded": notices})


@router.post("/reindex", status_code=202, response_model=shapes.JobOut, responses=refusals())
async def reindex(knowledge: KnowledgeBase, principal: Caller) -> Response:
    """Embed every document anew, beside what is searched, and exchange the two at the end."""
    principal.require("operator")
    return JSONResponse(_job(await knowledge.jobs.reindex(principal.name)), 202)


@router.get("/stats", response_model=shapes.KnowledgeStatsOut)
async def get_knowledge_stats(knowledge: KnowledgeBase, principal: Caller) -> Response:
    """Tell how much there is, by what it is searched, and how that goes."""
    principal.require("user", "approver", "operator")
    return JSONResponse(await knowledge.stats())


async def _uploaded(request: Request) -> tuple[shapes.DocumentIn, Given]:
    async with request.form(max_files=1, max_fields=len(FIELDS)) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidInput("The form has no file.")
        unknown = set(form) - {"file", *FIELDS}
        if unknown:
            raise InvalidInput(f"The form has unknown fields: {', '.join(sorted(unknown))[:200]}.")
        fields: dict[str, Any] = {name: form[name] for name in FIELDS if form.get(name)}
        content, named = await file.read(), file.filename or ""
        kind = file.content_type or ""
    shared = str(fields.get("shared", "false")).lower()
    fields["shared"] = SHARED.get(shared, shared)
    fields["metadata"] = _object(fields.get("metadata", "{}"))
    fields.setdefault("source", named[:1_000])
    told = _checked(json.dumps({**fields, "text": "in the file"}).encode())
    return told, _given(told, content, content_type=kind)


def _checked(body: bytes) -> shapes.DocumentIn:
    try:
        return shapes.DocumentIn.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_context=False, include_url=False)) from error


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput("metadata is not a JSON object.") from error


def _given(told: shapes.DocumentIn, content: bytes | None, *, content_type: str) -> Given:
    fields = told.model_dump(exclude={"text", "url"})
    return Given(owner="", content=content, url=told.url or "", content_type=content_type, **fields)


def _allow(metadata: dict[str, str], container: Container) -> None:
    allowed = container.settings.metadata_keys
    if unknown := metadata.keys() - allowed:
        named = ", ".join(sorted(unknown))
        raise InvalidInput(f"metadata has {named}; RAG_METADATA_KEYS allows {', '.join(sorted(allowed))}.")


def _job(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", exclude={"owner"})


def _document(document: Document) -> dict[str, Any]:
    return document.model_dump(mode="json", exclude={"last_version", "families", "job_id"})


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "document_id": hit.document.document_id,
        "chunk_id": hit.chunk.chunk_id,
        "title": hit.document.title,
        "heading": hit.chunk.heading,
        "source": hit.document.source,
        "start": hit.chunk.start,
        "end": hit.chunk.end,
        "score": hit.ranked.score,
        "found_by": list(hit.ranked.found_by),
        "text": hit.chunk.text,
    }
