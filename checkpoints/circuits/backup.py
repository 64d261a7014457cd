"""A copy of every breaker among the documents, so that a flushed Redis or a restart does not forget an open one."""

import asyncio
from collections.abc import Iterable

import structlog
from pymongo.errors import DuplicateKeyError, PyMongoError

from checkpoints.circuits.fields import document_of, from_document
from checkpoints.collections import Collection, Document
from domain.breakers import Record
from domain.errors import StoreError

PATIENCE_SECONDS = 1.0
PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Backup:
    """Copies that are written behind the caller's back: a breaker waits for no document.

    Args:
        collection: One document for each breaker, by name.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._waiting: dict[str, Record] = {}
        self._noted = asyncio.Event()

    def note(self, name: str, record: Record) -> None:
        """Have a record written soon."""
        self._waiting[name] = record
        self._noted.set()

    async def all(self, names: Iterable[str]) -> dict[str, Record | None]:
        """Return the copies of breakers; see `last`."""
        return {name: await self.last(name) for name in names}

    async def last(self, name: str) -> Record | None:
        """Return a breaker's copy, or None where there is none or the store does not answer."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                document = await self._collection.find_one({"_id": name})
        except (StoreError, PyMongoError, TimeoutError) as error:
            log.warning("circuit_breaker_backup_unread", breaker=name, error=type(error).__name__)
            return None
        return None if document is None else _read(document)

    async def keep(self) -> None:
        """Write what was noted, again and again, until cancelled."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            if not await self.flush():
                self._noted.set()
                await asyncio.sleep(PAUSE_SECONDS)

    async def flush(self) -> bool:
        """Write what waits, and return whether nothing is left of it."""
        for name, record in list(self._waiting.items()):
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._write(name, record)
            except (StoreError, PyMongoError, TimeoutError) as error:
                log.warning("circuit_breaker_backup_unwritten", breaker=name, error=type(error).__name__)
                return False
            if self._waiting.get(name) is record:
                del self._waiting[name]
        return True

    async def _write(self, name: str, record: Record) -> None:
        """Write a copy unless there is a later one."""
        earlier = {"_id": name, "generation": {"$lt": record.generation}}
        try:
            await self._collection.replace_one(earlier, document_of(name, record), upsert=True)
        except DuplicateKeyError:
            log.debug("circuit_breaker_backup_is_later", breaker=name)


def _read(document: Document) -> Record | None:
    try:
        return from_document(document)
    except (KeyError, TypeError) as error:
        log.warning("circuit_breaker_backup_unread", breaker=document["_id"], error=type(error).__name__)
        return None
