"""The knowledge base's records: documents and their pieces. Whatever searches them is made from these."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database
from domain.errors import NotFound
from domain.knowledge import Chunk, Document, DocumentState

BATCH = 200

NONE_SECONDS = 1.0
"""How long an owner who had no documents is taken to have none: another process may have recorded the first one."""

MOST_OWNERS = 10_000


class Documents:
    """Documents: a record each, whose version says which pieces count, and the pieces of every version.

    Args:
        time: Seconds that only grow.
    """

    def __init__(self, database: Database, *, time: Callable[[], float] = monotonic) -> None:
        self._documents: Collection = database["knowledge_documents"]
        self._chunks: Collection = database["knowledge_chunks"]
        self._time = time
        self._without: dict[str, float] = {}

    async def open(self) -> None:
        """Create the indexes."""
        await self._documents.create_index([("owner", 1), ("_id", 1)])
        await self._documents.create_index("changed_at")
        await self._documents.create_index("deleted")
        await self._chunks.create_index([("document_id", 1), ("index", 1)])

    async def add(self, document: Document) -> Document:
        """Record a document unless it is there, and return the record; one that is being deleted is one anew."""
        fields = document.model_dump()
        entry = {"_id": fields.pop("document_id"), **fields, "changed_at": document.updated_at, "deleted": False}
        try:
            await self._documents.insert_one(entry)
        except DuplicateKeyError:
            await self._documents.update_one({"_id": document.document_id, "deleted": True}, _reborn(fields))
            return await self.get(document.document_id)
        finally:
            self._without.clear()
        return document

    async def get(self, document_id: str, *, owner: str | None = None) -> Document:
        """Return a document; raises `NotFound`, also where `owner` is given and may not see it."""
        entry = await self._documents.find_one({"_id": document_id, "deleted": False})
        if entry is None or not (owner is None or entry["shared"] or entry["owner"] == owner):
            raise NotFound("There is no such document.")
        return _document(entry)

    async def known(self, document_ids: Sequence[str]) -> dict[str, Document]:
        """Return those of the documents that exist, by their ids."""
        found = await self._documents.find({"_id": {"$in": list(document_ids)}, "deleted": False}).to_list()
        return {entry["_id"]: _document(entry) for entry in found}

    async def any_of(self, owner: str) -> bool:
        """Return whether there are documents of an owner's or shared ones; a no of another process's may be old."""
        if self._time() < self._without.get(owner, 0):
            return False
        if await self.page(owner=owner, limit=1):
            return True
        if len(self._without) >= MOST_OWNERS:
            self._without.clear()
        self._without[owner] = self._time() + NONE_SECONDS
        return False

    async def page(self, *, owner: str | None, after: str = "", limit: int = 20) -> list[Document]:
        """Return documents by id, behind one of them: the owner's and the shared ones, or all."""
        query: dict[str, Any] = {"deleted": False, "_id": {"$gt": after}}
        if owner is not None:
            query["$or"] = [{"owner": owner}, {"shared": True}]
        return [_document(entry) for entry in await self._documents.find(query).sort("_id", 1).limit(limit).to_list()]

    async def begin(self, document_id: str) -> int | None:
        """Return the number of a version that nobody has written yet, or None where the document is gone."""
        entry = await self._documents.find_one_and_update(
            {"_id": document_id, "deleted": False},
            {"$inc": {"last_version": 1}},
            return_document=ReturnDocument.AFTER,
        )
        return int(entry["last_version"]) if entry else None

    async def switch(self, document: Document, *, to: int, at: datetime, **fields: Any) -> Document | None:
        """Let another version be the one that is searched, or return None where somebody else changed it before."""
        entry = await self._documents.find_one_and_update(
            {"_id": document.document_id, "version": document.version, "deleted": False},
            {"$set": {"version": to, "state": "ready", "error": "", "updated_at": at, "changed_at": at, **fields}},
            return_document=ReturnDocument.AFTER,
        )
        return _document(entry) if entry else None

    async def describe(self, document_id: str, *, at: datetime, **fields: Any) -> None:
        """Change what is told about a document."""
        await self._documents.update_one(
            {"_id": document_id, "deleted": False}, {"$set": {**fields, "updated_at": at, "changed_at": at}}
        )

    async def set_state(self, document_id: str, state: DocumentState, *, error: str = "") -> None:
        """Say how a document stands; one that has a version to be searched stays `ready`, and has the error alone."""
        await self._documents.update_one(
            {"_id": document_id, "version": 0, "deleted": False}, {"$set": {"state": state, "error": error}}
        )
        if state != "indexing":
            await self._documents.update_one(
                {"_id": document_id, "version": {"$gt": 0}, "deleted": False}, {"$set": {"error": error}}
            )

    async def embedded(self, document: Document, family_name: str) -> None:
        """Note that a family holds the vectors of a document's version, if it still is the current one."""
        await self._documents.update_one(
            {"_id": document.document_id, "version": document.version}, {"$addToSet": {"families": family_name}}
        )

    async def forget(self, family_name: str) -> None:
        """Note that a family is gone."""
        await self._documents.update_many({"families": family_name}, {"$pull": {"families": family_name}})

    async def unembedded(self, family_name: str, *, limit: int = 50) -> list[Document]:
        """Return documents whose current version a family lacks."""
        query = {"deleted": False, "state": "ready", "families": {"$ne": family_name}}
        return [_document(entry) for entry in await self._documents.find(query).sort("_id", 1).limit(limit).to_list()]

    async def changed(self, since: datetime | None) -> list[Document]:
        """Return the documents that have a version and were changed since then."""
        query: dict[str, Any] = {"deleted": False, "version": {"$gt": 0}}
        if since is not None:
            query["changed_at"] = {"$gte": since}
        return [_document(entry) for entry in await self._documents.find(query).to_list()]

    async def delete(self, document_id: str, *, at: datetime) -> None:
        """Let a document be found no more; `deleted` returns it until its pieces are gone."""
        await self._documents.update_one(
            {"_id": document_id}, {"$set": {"deleted": True, "updated_at": at, "changed_at": at}}
        )

    async def deleted(self) -> list[Document]:
        """Return documents whose pieces have to be removed."""
        return [_document(entry) for entry in await self._documents.find({"deleted": True}).to_list()]

    async def erase(self, document_id: str) -> None:
        """Remove the record of a deleted document."""
        await self._documents.delete_one({"_id": document_id, "deleted": True})

    async def totals(self) -> Mapping[str, tuple[int, int]]:
        """Return documents and pieces by state."""
        stages: list[dict[str, Any]] = [
            {"$match": {"deleted": False}},
            {"$group": {"_id": "$state", "documents": {"$sum": 1}, "chunks": {"$sum": "$chunks"}}},
        ]
        found = await (await self._documents.aggregate(stages)).to_list()
        return {entry["_id"]: (entry["documents"], entry["chunks"]) for entry in found}

    async def put_chunks(self, chunks: Sequence[Chunk]) -> None:
        """Write the pieces of a version that is nobody's yet."""
        for start in range(0, len(chunks), BATCH):
            entries = [chunk.model_dump() for chunk in chunks[start : start + BATCH]]
            await self._chunks.insert_many([{"_id": entry.pop("chunk_id"), **entry} for entry in entries])

    async def chunks_of(self, document: Document, *, after: int = -1, limit: int = 0) -> list[Chunk]:
        """Return the pieces of a document's current version in order, behind one of them."""
        query = {"document_id": document.document_id, "version": document.version, "index": {"$gt": after}}
        return [_chunk(entry) for entry in await self._chunks.find(query).sort("index", 1).limit(limit).to_list()]

    async def chunks(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        """Return pieces by their ids."""
        found = await self._chunks.find({"_id": {"$in": list(chunk_ids)}}).to_list()
        return {entry["_id"]: _chunk(entry) for entry in found}

    async def sweep(self, document_id: str, *, but_version: int | None = None) -> None:
        """Remove a document's pieces, all or all but those of one version."""
        query: dict[str, Any] = {"document_id": document_id}
        if but_version is not None:
            query["version"] = {"$ne": but_version}
        await self._chunks.delete_many(query)


def _reborn(fields: dict[str, Any]) -> dict[str, Any]:
    kept = ("last_version",)  # a version's number is never used twice
    changes = {name: value for name, value in fields.items() if name not in kept}
    return {"$set": {**changes, "changed_at": fields["updated_at"], "deleted": False}}


def _document(entry: dict[str, Any]) -> Document:
    fields = {name: value for name, value in entry.items() if name in Document.model_fields}
    return Document(document_id=entry["_id"], **fields)


def _chunk(entry: dict[str, Any]) -> Chunk:
    return Chunk(chunk_id=entry["_id"], **{name: value for name, value in entry.items() if name != "_id"})
