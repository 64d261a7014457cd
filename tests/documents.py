"""The forms of the document store, each opened for one test."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from checkpoints.collections import Database
from checkpoints.documents import open_documents
from checkpoints.mongo import open_mongo
from tests.shared_mongo import MONGO

type Opener = Callable[[Path], AbstractAsyncContextManager[Database]]


def embedded(directory: Path) -> AbstractAsyncContextManager[Database]:
    return open_documents(directory / "documents.sqlite")


@asynccontextmanager
async def networked(_: Path) -> AsyncIterator[Database]:
    name = f"test_{secrets.token_hex(8)}"
    async with open_mongo(
        await MONGO.url(), database=name, max_pool_size=50, open_seconds=20, answer_seconds=20
    ) as database:
        yield database


OPENERS = [pytest.param(embedded, id="embedded"), pytest.param(networked, id="networked")]
