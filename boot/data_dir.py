"""The folder of the embedded stores, for one process at a time."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from domain.errors import ConfigurationError, FolderHeld


@asynccontextmanager
async def claimed(path: Path) -> AsyncIterator[Path]:
    """Make the folder and hold it; raises `ConfigurationError` if it cannot be written, `FolderHeld` if another has it.

    Two servers on one folder would each take the other's runs for runs that a crash left behind.
    """
    try:
        await asyncio.to_thread(path.mkdir, parents=True, exist_ok=True)
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(f"DATA_DIR {path} cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path
    except BlockingIOError as error:
        raise FolderHeld(f"Another server uses DATA_DIR {path}; give this one a folder of its own.") from error
    finally:
        os.close(handle)
