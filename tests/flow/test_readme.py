"""The README's tour, word for word: its commands run in a shell against the real server."""

import asyncio
import json
import os
import re
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.asking import refunds
from tests.knowing import add
from tests.launching import launched, lines
from tests.networked import store_servers
from tests.running import ROOT, Served, served, settings_for
from tests.services import DemoServices

CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="the tour uses curl")
README = (ROOT / "README.md").read_text()


def blocks(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


async def said(script: str, server: Served, demo: DemoServices, folder: Path) -> str:
    """Run a script of the README against the server on `folder/data`, and return what it prints."""
    script = (
        script.replace("localhost:8700", server.url.removeprefix("http://"))
        .replace("localhost:8099", demo["cloudapp"].removeprefix("http://"))
        .replace("/tmp/", f"{folder}/")  # noqa: S108  # the tour's own scratch file
    )
    environment = {**os.environ, "DATA_DIR": f"{folder}/data", "PORT": server.url.rpartition(":")[2]}
    shell = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script, cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, complained = (text.decode() for text in await shell.communicate())
    assert (shell.returncode, complained) == (0, "")
    return told


@CURL
@pytest.mark.timeout(300)  # it embeds every page of the documents
async def test_the_tour_of_the_readme_works_as_it_is_written(
    server: Served, demo: DemoServices, tmp_path: Path
) -> None:
    told = await said("\n".join(blocks(README)), server, demo, tmp_path)
    states = ("awaiting_approval", "approved", "rejected", "expired")
    documents = len(list((ROOT / "docs").rglob("*.md")))
    assert f"{documents} documents: {documents} ingested." in told
    for expected in (
        "Whiskers",
        "mongorestore",
        '"quote"',
        *(f'"{state}"' for state in states),
        "event: done",
        "which pets are available?",
    ):
        assert expected in told
    async with asyncio.timeout(10):
        while len(made := await refunds(demo["cloudapp"])) < 2:  # noqa: ASYNC110  # the run goes on by itself
            await asyncio.sleep(0.05)
    assert [refund["amount"] for refund in made] == [500, 40]


@CURL
async def test_fifty_of_the_readme_who_ask_at_once_after_a_restart_share_one_vector_store(
    demo: DemoServices, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(tmp_path / "data", demo)
    async with served(settings) as before:
        await add(before.client, "The embedded stores are SQLite files, because they need no server.")
    capsys.readouterr()
    (script,) = [block for block in blocks(README) if "xargs -P 50" in block]
    async with served(settings) as after:
        answers, told = (await said(script, after, demo, tmp_path)).split("\n", maxsplit=1)
    figures = json.loads(told)
    assert answers.split() == ["50", "200"]
    assert (figures["initialisations"], figures["queries"], figures["hit_rate"]) == (1, 50, 1.0)
    assert capsys.readouterr().out.count("rag_vectorstore_initialized") == 1


@CURL
async def test_a_reader_of_the_readme_makes_an_outcome_unknown_and_finds_it_out(
    demo: DemoServices, tmp_path: Path
) -> None:
    (script,) = re.findall(r"^```bash\n(.*?/reconcile.*?)^```", README, re.MULTILINE | re.DOTALL)
    async with launched(tmp_path / "demo", "--only", "petstore", seconds=100) as launcher:
        pet_store = (await lines(launcher, until="petstore"))[-1].split()[1]
        script = re.sub(r"pkill (-\w+) -f '[^']*'", rf"kill \1 {launcher.pid}", script)
        async with served(settings_for(tmp_path / "data", {"petstore": pet_store})) as server:
            told = await said(script.replace("localhost:8083", pet_store), server, demo, tmp_path)
            books = await server.client.get(f"http://{pet_store.removeprefix('http://')}/api/v3/pet/3")
    for expected in ('"unknown"', "a person must check", "Looked for pet 3.", '"evidence": "human"'):
        assert expected in told
    state = {404: "executed", 200: "failed"}[books.status_code]
    assert f'"state": "{state}"' in told.rpartition('"idempotency_key"')[2]


@CURL
@pytest.mark.parametrize("stores", ["embedded", "networked"])
async def test_the_experiment_of_the_readme_goes_on_after_a_restart(
    demo: DemoServices, tmp_path: Path, stores: str
) -> None:
    before, after = blocks(README.partition("## Experiments\n")[2].partition("\n## ")[0])
    async with AsyncExitStack() as stack:
        urls: dict[str, str] = {}
        if stores == "networked":
            urls = (await stack.enter_async_context(store_servers(tmp_path / "stores"))).settings()
        settings = settings_for(tmp_path / "data", demo, **urls)
        async with served(settings) as first:
            begun = await said(before, first, demo, tmp_path)
        async with served(settings) as second:
            ended = await said(after, second, demo, tmp_path)
    (name,) = set(re.findall(r'"variant_name": "(\w+)"', begun))
    assert f'"variant_name": "{name}"' in ended
    assert '"tracked": true' in begun
    for expected in ('"winner": "calm"', '"total": 1.0', '"stopped": 1', '"supported": false'):
        assert expected in ended
