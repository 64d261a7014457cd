"""A process whose disk is full for a while (its files may not grow): `python -m tests.documents_full_disk`."""

import asyncio
import resource
import signal
import sys
from pathlib import Path

from checkpoints.documents import open_documents
from domain.errors import StoreUnavailable


async def write(path: Path) -> None:
    async with open_documents(path) as database:
        things = database["things"]
        await things.insert_one({"_id": "first"})
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, resource.RLIM_INFINITY))
        # More than SQLite keeps in memory: it fails in the midst of the commands, not only at the commit.
        large = [things.insert_one({"_id": number, "text": "x" * 200_000}) for number in range(100)]
        results = await asyncio.gather(*large, return_exceptions=True)
        say("all failed" if all(isinstance(result, StoreUnavailable) for result in results[1:]) else str(results))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        kept = [document["_id"] for document in await things.find().to_list()]
        acknowledged = [number for number, result in enumerate(results) if not isinstance(result, StoreUnavailable)]
        say("none was kept" if kept == ["first", *acknowledged] else str(kept))
        await things.insert_one({"_id": "last", "text": "x" * 1_000_000})
        say("writes again")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    asyncio.run(write(Path(sys.argv[1])))
