"""The audit log over HTTP, over SIGKILL, and without the server."""

import asyncio
import hashlib
import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from checkpoints.audit import Audit
from checkpoints.documents import open_documents
from domain.audit import Entry, verify
from tests.asking import ask, decide, paused, refunds, resume
from tests.facts import chain, fact, verifying
from tests.running import Served, served, server_process, settings_for
from tests.services import DemoServices


async def audited(client: httpx2.AsyncClient, **query: str | int) -> list[Entry]:
    """Return a page of the log."""
    answer = await client.get("/audit", params=query)
    assert answer.status_code == 200, answer.text
    return [Entry.model_validate_json(json.dumps(each)) for each in answer.json()["entries"]]


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A data folder with a log of eight entries."""
    async with open_documents(tmp_path / "documents.sqlite") as database:
        audit = Audit(database)
        await audit.open()
        for number in range(8):
            await audit.append(fact(number))
    return tmp_path


async def test_an_approved_action_is_logged_from_its_decision_to_its_outcome(server: Served) -> None:
    run_id, request_id = await paused(server.client)
    asked = (await server.client.get(f"/approvals/{request_id}")).json()
    await decide(server.client, request_id, approver_id=7, notes="fine")
    await resume(server.client, run_id)
    entries = await audited(server.client)
    assert verify(entries) is None
    assert [(each.event, each.outcome, each.actor) for each in entries] == [
        ("approval.decided", "approved", "anonymous"),
        ("action.sent", "sent", "anonymous/1"),
        ("action.finished", "executed", "anonymous/1"),
    ]
    assert {each.digest for each in entries} == {asked["action"]["digest"]}
    assert {(each.orchestration_id, each.request_id) for each in entries} == {(run_id, request_id)}
    assert '"approval_notes":"fine","approval_type":"financial","approver_id":7' in entries[0].details
    assert r'"arguments":"{\"amount\":500,\"order_id\":1001}"' in entries[1].details


async def test_a_rejected_action_is_logged_as_a_decision_alone(server: Served) -> None:
    run_id, request_id = await paused(server.client)
    await decide(server.client, request_id, approved=False)
    await resume(server.client, run_id)
    assert [(each.event, each.outcome) for each in await audited(server.client)] == [("approval.decided", "rejected")]


async def test_a_withdrawn_request_is_logged(server: Served) -> None:
    run_id, request_id = await paused(server.client)
    await server.client.post(f"/orchestrations/{run_id}/cancel")
    (entry,) = await audited(server.client)
    assert (entry.event, entry.request_id) == ("approval.cancelled", request_id)


async def test_only_an_operator_reads_the_log(tmp_path: Path, demo: DemoServices) -> None:
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("eve", "oli")}
    keys = SecretStr(f"eve:approver+user:{digests['eve']},oli:operator:{digests['oli']}")
    async with served(settings_for(tmp_path / "data", demo, api_keys=keys)) as server:
        answers = [await server.client.get("/audit", headers={"X-API-Key": name}) for name in ("eve", "oli", "ann")]
    assert [answer.status_code for answer in answers] == [403, 200, 401]


async def test_a_read_is_not_logged(server: Served) -> None:
    await ask(server.client, "which pets are available?")
    assert await audited(server.client) == []


async def test_the_log_is_read_page_by_page_and_narrowed_down(server: Served) -> None:
    runs = [await paused(server.client, f"refund order 1001 with ${n}", session_id=f"s{n}") for n in (1, 2)]
    for run_id, request_id in runs:
        await decide(server.client, request_id)
        await resume(server.client, run_id)
    first = (await server.client.get("/audit", params={"limit": 4})).json()
    rest = (await server.client.get("/audit", params={"after": first["next"], "limit": 4})).json()
    everything = [*first["entries"], *rest["entries"]]
    assert [each["seq"] for each in everything] == [1, 2, 3, 4, 5, 6]
    assert (rest["next"], rest["last"]) == (None, {"seq": 6, "hash": everything[-1]["hash"]})
    run_id, request_id = runs[1]
    assert [each.seq for each in await audited(server.client, orchestration_id=run_id)] == [4, 5, 6]
    (sent,) = await audited(server.client, request_id=request_id, event="action.sent")
    assert [each.seq for each in await audited(server.client, action_id=sent.action_id or "")] == [4, 5, 6]


async def test_after_sigkill_every_decision_and_every_refund_has_its_entry_once(
    tmp_path: Path, demo: DemoServices
) -> None:
    async with (
        server_process(tmp_path / "data", demo) as process,
        httpx2.AsyncClient(base_url=process.url, timeout=30, trust_env=False) as client,
    ):
        asked = [await paused(client, f"refund order 1001 with ${n}", session_id=f"s{n}") for n in range(1, 5)]
        await asyncio.gather(*(decide(client, request_id) for _, request_id in asked))
        await process.end(signal.SIGKILL)
        await process.start()
        for run_id, _ in asked:
            await resume(client, run_id)
        entries = await audited(client)
        code, told = await verifying("--data-dir", tmp_path / "data")
    events = [(each.event, each.request_id) for each in entries]
    wanted = ("approval.decided", "action.sent", "action.finished")
    assert sorted(events) == sorted((event, request_id) for event in wanted for _, request_id in asked)
    assert verify(entries) is None
    assert len(await refunds(demo["cloudapp"])) == 4
    assert (code, told) == (0, f"12 entries hold; last 12:{entries[-1].hash}\n")


async def test_a_log_that_grew_since_it_was_anchored_holds(folder: Path) -> None:
    code, told = await verifying("--data-dir", folder, "--expect-last", str(chain(5)[-1].anchor))
    assert (code, told) == (0, f"8 entries hold; last {chain(8)[-1].anchor}\n")


@pytest.mark.parametrize(
    ("change", "broken_at"),
    [
        ({"$set": {"outcome": "rejected"}}, "5: It was changed: its hash does not fit it."),
        ({"$set": {"more": 1}}, "5: What stands there is not an entry."),
        (None, "5: It is missing: entry 6 follows entry 4."),
    ],
)
async def test_what_was_done_to_the_stored_log_is_named(
    folder: Path, change: dict[str, Any] | None, broken_at: str
) -> None:
    async with open_documents(folder / "documents.sqlite") as database:
        if change:
            await database["audit"].update_one({"_id": 5}, change)
        else:
            await database["audit"].delete_one({"_id": 5})
    code, told = await verifying("--data-dir", folder)
    assert (code, told) == (1, f"4 entries hold; last {chain(4)[-1].anchor}\nBROKEN at entry {broken_at}\n")


async def test_a_cut_off_end_is_found_by_what_was_printed_before(folder: Path) -> None:
    _, told = await verifying("--data-dir", folder)
    anchor = told.split()[-1]
    async with open_documents(folder / "documents.sqlite") as database:
        await database["audit"].delete_many({"_id": {"$gt": 6}})
    assert (await verifying("--data-dir", folder))[0] == 0
    code, told = await verifying("--data-dir", folder, "--expect-last", anchor)
    assert code == 1
    assert "BROKEN at entry 7: It is missing: the log reached entry 8 before." in told


async def test_an_export_is_verified_like_the_log_it_was_made_of(folder: Path) -> None:
    export = folder / "audit.jsonl"
    assert (await verifying("--data-dir", folder, "--export", export))[0] == 0
    assert await verifying("--file", export) == (0, f"8 entries hold; last {chain(8)[-1].anchor}\n")
    lines = export.read_text().splitlines(keepends=True)
    export.write_text("".join([*lines[:2], *lines[3:]]))
    code, told = await verifying("--file", export)
    assert code == 1
    assert "BROKEN at entry 3: It is missing: entry 4 follows entry 2." in told


async def test_verifying_writes_nothing(folder: Path) -> None:
    def dump() -> list[str]:
        with sqlite3.connect(folder / "documents.sqlite") as connection:
            lines = list(connection.iterdump())
        connection.close()
        return lines

    before = await asyncio.to_thread(dump)
    await verifying("--data-dir", folder)
    assert await asyncio.to_thread(dump) == before


async def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    nothing, absent, half = await asyncio.gather(
        verifying("--data-dir", tmp_path),
        verifying("--file", tmp_path / "none.jsonl"),
        verifying("--mongodb-url", "mongodb://127.0.0.1:9"),
    )
    assert nothing == (2, f"Not verified: {tmp_path} holds no document store.\n")
    assert absent == (2, f"Not verified: {tmp_path / 'none.jsonl'}: No such file or directory.\n")
    assert (half[0], "go together" in half[1]) == (2, True)
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


async def test_without_a_source_it_looks_where_the_settings_say(folder: Path) -> None:
    embedded, networked = await asyncio.gather(
        verifying(DATA_DIR=str(folder)), verifying(DATA_DIR=str(folder), MONGODB_URL="mongodb://127.0.0.1:9")
    )
    assert embedded == (0, f"8 entries hold; last {chain(8)[-1].anchor}\n")
    assert networked == (2, "Not verified: MongoDB does not answer.\n")


async def test_help_tells_the_options() -> None:
    code, told = await verifying("--help")
    assert code == 0
    assert all(option in told for option in ("--data-dir", "--mongodb-url", "--file", "--expect-last", "--export"))
