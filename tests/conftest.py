"""What the tests share: hypothesis without a clock, the demo services, and the real server on them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

from tests.running import Served, served, settings_for
from tests.services import DemoServices, demo_services

settings.register_profile("steady", deadline=None)  # a busy machine is no defect
settings.load_profile("steady")


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[DemoServices]:
    """The four demo services, over real HTTP, on data of their own."""
    async with demo_services(tmp_path / "demo") as services:
        yield services


@pytest.fixture
async def server(tmp_path: Path, demo: DemoServices) -> AsyncIterator[Served]:
    """The real server on embedded defaults and the demo services."""
    async with served(settings_for(tmp_path / "data", demo)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One server for a whole module, whose tests keep out of each other's sessions.

    Such a module says `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
    """
    folder = tmp_path_factory.mktemp("shared")
    async with demo_services(folder / "demo") as services, served(settings_for(folder / "data", services)) as running:
        yield running
