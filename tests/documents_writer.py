"""A process that writes to a document store and says what was acknowledged: `python -m tests.documents_writer`."""

import asyncio
import sys
from pathlib import Path

from checkpoints.documents import open_documents


async def write(path: Path, writer: str, count: int) -> None:
    async with open_documents(path, busy_seconds=20) as database:
        for number in range(count):
            await database["entries"].insert_one({"_id": f"{writer}-{number}", "writer": writer})
            await database["counters"].update_one({"_id": "entries"}, {"$inc": {"n": 1}}, upsert=True)
            sys.stdout.write(f"{writer}-{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
