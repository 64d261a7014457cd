"""What the contract tests share."""

from collections.abc import Iterator

import pytest

from tests.shared_mongo import MONGO


@pytest.fixture(scope="session", autouse=True)
def _shared_servers() -> Iterator[None]:
    yield
    MONGO.end()
