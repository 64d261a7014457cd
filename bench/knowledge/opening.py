"""A knowledge base in a folder of its own, for measuring."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from boot.container import utc_now
from boot.data_dir import claimed
from boot.knowledge import Knowledge, open_knowledge
from boot.logs import set_up_logs
from boot.settings import Settings
from boot.stores import open_stores


@asynccontextmanager
async def knowledge_base(folder: Path) -> AsyncIterator[Knowledge]:
    """Open the records and what searches them, on embedded defaults."""
    settings = Settings(_env_file=None, data_dir=folder, redis_url=None, mongodb_url=None, chroma_url=None)
    set_up_logs(level="WARNING", form="console")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(claimed(folder))
        stores = await open_stores(stack, settings, folder, utc_now)
        knowledge = await open_knowledge(stack, settings, stores.database, stores.locks, folder, utc_now)
        await knowledge.begin(stack)
        yield knowledge
