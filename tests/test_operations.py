"""docs/operations.md: its commands and settings are those of the product."""

import asyncio
import re
import shlex
import sys
from pathlib import Path

import yaml

from boot.settings import Settings
from checkpoints.documents import open_documents
from checkpoints.saver import open_sqlite_saver

ROOT = Path(__file__).parent.parent
PAPER = (ROOT / "docs" / "operations.md").read_text()
BLOCKS: list[str] = re.findall(r"```sh\n(.*?)```", PAPER, re.DOTALL)


def test_every_setting_named_is_one() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})(?:=[^`]*)?`", PAPER))
    assert {"REDIS_URL", "MONGODB_URL", "ALLOW_DEGRADED"} <= named
    assert {name for name in named if name.lower() not in Settings.model_fields} <= {"NAME"}


def test_every_command_names_a_service_of_the_compose_file() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    lines = "".join(BLOCKS).replace("\\\n", " ").splitlines()
    compose = [shlex.split(line, comments=True) for line in lines if line.startswith("docker compose")]
    asked = {word for words in compose for word in words[2:] if re.fullmatch(r"app|redis|mongo\w*", word)}
    assert asked == {"app", "redis", "mongo"}
    assert asked <= set(services)


async def run(block: str, folder: Path) -> None:
    script = block.replace(".venv/bin/python", shlex.quote(sys.executable))
    process = await asyncio.create_subprocess_exec("sh", "-euc", script, cwd=folder)
    assert await process.wait() == 0


async def test_the_embedded_stores_are_backed_up_while_they_are_written_and_come_back(tmp_path: Path) -> None:
    back_up = next(block for block in BLOCKS if "mkdir -p backup" in block)
    restore = next(block for block in BLOCKS if "cp backup/" in block)
    data = tmp_path / "data"
    data.mkdir()
    async with open_sqlite_saver(data / "checkpoints.sqlite"), open_documents(data / "documents.sqlite") as database:
        await database["runs"].insert_one({"_id": "before"})
        later = asyncio.gather(*(database["runs"].insert_one({"_id": number}) for number in range(100)))
        await run(back_up, tmp_path)
        await later
        await database["runs"].delete_many({})
    await run(restore, tmp_path)
    async with open_sqlite_saver(data / "checkpoints.sqlite"), open_documents(data / "documents.sqlite") as database:
        assert await database["runs"].find_one({"_id": "before"}) == {"_id": "before"}
