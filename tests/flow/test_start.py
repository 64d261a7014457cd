"""A start loads what it needs and nothing else: the slow libraries wait until somebody configures or asks for them."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.running import refused

ROOT = Path(__file__).parent.parent.parent
WAITING = {
    "chromadb", "langchain_ollama", "langgraph.checkpoint.redis", "numpy", "ollama", "openapi_schema_validator",
    "psycopg", "redis", "scipy",
}  # fmt: skip
START = """
import asyncio, sys
import server
from boot.container import open_container
from boot.settings import Settings

async def start():
    async with open_container(Settings(_env_file=None, services_file="none.yaml", policy_file=sys.argv[1])):
        print(*sys.modules, sep="\\n")

asyncio.run(start())
"""


def test_what_is_not_configured_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("services: {}\n")
    command = [sys.executable, "-c", START, str(ROOT / "policy.yaml")]
    environment = {"PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path / "data")}
    told = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)  # noqa: S603  # our own program
    loaded = set(told.stdout.splitlines())
    assert "langgraph.graph" in loaded
    assert loaded & WAITING == set()


async def test_a_port_that_is_taken_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = await refused(DATA_DIR=str(tmp_path / "data"), PORT=str(port))
    assert told == f"Not started: 127.0.0.1:{port} cannot be listened on: Address already in use.\n"
    assert not (tmp_path / "data").exists()
