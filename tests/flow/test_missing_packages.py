"""A package that is not installed is a port that says so: tried in an environment that really lacks it."""

import sys
import sysconfig
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.asking import ask
from tests.ollama_server import ollama_server, say
from tests.redis_server import redis_server
from tests.running import server_process
from tests.services import DemoServices

SITE = Path(sysconfig.get_paths()["purelib"])


def environment_without(folder: Path, *packages: str) -> Path:
    """Make an environment with everything this one has but some packages, and return its interpreter."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    for each in SITE.iterdir():
        if not any(each.name == name or each.name.startswith(f"{name}-") for name in packages):
            (site / each.name).symlink_to(each)
    (folder / "bin").mkdir()
    home = Path(sys.base_prefix) / "bin"
    (folder / "pyvenv.cfg").write_text(f"home = {home}\nversion = {sys.version_info.major}.{sys.version_info.minor}\n")
    python = folder / "bin" / "python"
    python.symlink_to(home / version)
    return python


async def ports(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    async with httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        found = (await client.get("/feature-status")).json()["ports"]
        return {port["port"]: port for port in found}, (await ask(client, "which pets are available?")).json()


@pytest.mark.parametrize(
    ("package", "missing", "lost"),
    [("redis", "redis", {"checkpoints", "locks"}), ("langgraph.checkpoint.redis", "redisvl", {"checkpoints"})],
)
async def test_without_redis_packages_the_embedded_form_serves_and_says_why(
    tmp_path: Path, demo: DemoServices, package: str, missing: str, lost: set[str]
) -> None:
    python = environment_without(tmp_path / "environment", missing)
    async with redis_server(tmp_path / "redis") as redis:
        data = tmp_path / "data"
        wanted = {"CHECKPOINTER": "redis-json"} if missing == "redisvl" else {}
        async with server_process(data, demo, python=python, REDIS_URL=redis.url, **wanted) as process:
            seen, body = await ports(process.url)
    assert {name for name, port in seen.items() if port["mode"] == "degraded"} >= lost
    assert f"The Python package {missing}" in seen["checkpoints"]["reason"]
    assert body["status"] == "completed"
    assert lost <= {notice["port"] for notice in body["degraded"]}


async def test_without_langchain_ollama_the_planner_answers_and_says_why(tmp_path: Path, demo: DemoServices) -> None:
    python = environment_without(tmp_path / "environment", "langchain_ollama")
    async with ollama_server([say("never asked")]) as ollama:
        data, urls = tmp_path / "data", {**demo, "ollama": ollama.url}
        async with server_process(data, urls, python=python) as process:
            seen, body = await ports(process.url)
    assert (seen["model"]["mode"], seen["model"]["healthy"]) == ("degraded", False)
    assert "langchain_ollama" in seen["model"]["reason"]
    assert body["answered_by"] == "embedded planner"
    (notice,) = [each for each in body["degraded"] if each["port"] == "model"]
    assert "langchain_ollama" in notice["reason"]
