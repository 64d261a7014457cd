"""One document server for all tests of a process: who needs it first starts it, the end of the session stops it."""

import asyncio
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path

from tests.mongo_server import mongo_server


class SharedMongo:
    """A document server on a thread and an event loop of its own, because those of tests end with the test."""

    def __init__(self) -> None:
        self._url: Future[str] = Future()
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread | None = None

    async def url(self) -> str:
        """Return where it listens; starts it if nobody has."""
        if self._thread is None:
            self._thread = threading.Thread(target=asyncio.run, args=[self._serve()])
            self._thread.start()
        return await asyncio.wrap_future(self._url)

    def end(self) -> None:
        """End it, if it was started."""
        if self._thread is not None:
            self._url.exception()
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            with tempfile.TemporaryDirectory() as folder:
                async with mongo_server(Path(folder)) as server:
                    self._url.set_result(server.url)
                    await self._stop.wait()
        except BaseException as error:
            if not self._url.done():
                self._url.set_exception(error)
            raise


MONGO = SharedMongo()
