"""The newcomer's way: one command takes the repository's documents in, and questions about them get true quotes."""

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.asking import ask
from tests.knowing import assert_true_to_the_letter, search, stats
from tests.running import ROOT, Served, served, settings_for
from tests.services import DemoServices


async def ingested(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command and return its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "boot.ingest", *arguments, cwd=ROOT, env={"COLUMNS": "100", **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


@pytest.mark.timeout(300)  # it embeds every page of the documents
async def test_a_newcomer_asks_about_the_repositorys_documents_and_gets_quotes_that_are_there(
    server: Served, tmp_path: Path
) -> None:
    documents = len(list((ROOT / "docs").rglob("*.md")))
    port = server.url.rpartition(":")[2]
    code, told = await ingested("docs", DATA_DIR=str(tmp_path / "data"), PORT=port)
    assert (code, f"{documents} documents: {documents} ingested." in told) == (0, True), told
    for question in ("How can I restore a backup of MongoDB?", "Why does the project use httpx2?"):
        reply = (await ask(server.client, question, session_id=hashlib.sha256(question.encode()).hexdigest())).json()
        assert reply["sources"], reply
        await assert_true_to_the_letter(server.client, reply)
        for source in reply["sources"]:
            record = (await server.client.get(f"/rag/documents/{source['document_id']}")).json()
            assert source["quote"] in (ROOT / "docs" / record["source"]).read_text()
            assert f"“{source['quote']}” — {source['title']} [{source['chunk_id']}]" in reply["reply"]
        assert len(reply["sources"]) == reply["reply"].count("” — ")
    again = await ingested("docs", "--url", server.url)
    assert f"{documents} unchanged" in again[1]


async def test_without_a_server_the_command_opens_the_store_itself(tmp_path: Path, demo: DemoServices) -> None:
    folder = tmp_path / "papers"
    (folder / ".hidden").mkdir(parents=True)
    (folder / "returns.md").write_text("Goods may be sent back within 30 days.")
    (folder / "copy.txt").write_text("Goods may be sent back within 30 days.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (folder / ".hidden" / "secret.md").write_text("Nobody is to see this.")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    code, told = await ingested(str(folder), DATA_DIR=str(tmp_path / "data"))
    assert code == 1
    assert "broken.pdf: The PDF is broken" in told.replace("\n", " ")
    assert "1 failed" in told
    async with served(settings_for(tmp_path / "data", demo)) as server:
        assert len(await search(server.client, "send goods back", min_score=0)) == 2
        assert await search(server.client, "secret", way="words") == []


async def test_a_server_with_keys_wants_one_and_sharing_takes_an_operators(tmp_path: Path, demo: DemoServices) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "returns.md").write_text("Goods may be sent back within 30 days.")
    entries = [f"{name}:{role}:{hashlib.sha256(name.encode()).hexdigest()}" for name, role in ROLES.items()]
    settings = settings_for(tmp_path / "data", demo, api_keys=SecretStr(",".join(entries)))
    async with served(settings) as server:
        asked = [str(tmp_path / "papers"), "--url", server.url]
        nobody = await ingested(*asked)
        user = await ingested(*asked, ORCHESTRATOR_API_KEY="ann")
        private = await ingested(*asked, "--private", ORCHESTRATOR_API_KEY="ann")
        server.client.headers["X-API-Key"] = "ann"
        assert (await stats(server.client))["documents"] == 1
    assert [nobody[0], user[0], private[0]] == [1, 1, 0]
    assert "Send a valid key" in nobody[1]
    assert "This needs the role operator." in user[1]


ROLES = {"ann": "user", "op": "operator"}


async def test_help_tells_what_there_is() -> None:
    code, told = await ingested("--help")
    assert code == 0
    assert all(word in told for word in ("folder", "--url", "--private", "--owner", "ORCHESTRATOR_API_KEY"))
