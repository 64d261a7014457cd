"""The forms of the document store, each opened for one test."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from checkpoints.collections import Database
from checkpoints.documents import open_documents

type Opener = Callable[[Path], AbstractAsyncContextManager[Database]]


def embedded(directory: Path) -> AbstractAsyncContextManager[Database]:
    return open_documents(directory / "documents.sqlite")


OPENERS = [pytest.param(embedded, id="embedded")]
