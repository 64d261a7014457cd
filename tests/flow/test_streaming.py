"""Server-sent events: what happens in a run, resumable, and closed in time."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.asking import REFUND, decide, resume
from tests.ollama_server import call, ollama_server, say
from tests.running import Served, served, server_process, settings_for
from tests.services import DemoServices


@dataclass
class Seen:
    """One event as a client got it."""

    name: str
    id: str
    data: dict[str, Any]


def message(text: str, session_id: str = "s1") -> dict[str, Any]:
    return {"user_id": 1, "session_id": session_id, "message": text}


@asynccontextmanager
async def stream(client: httpx2.AsyncClient, method: str, url: str, **more: Any) -> AsyncIterator[AsyncIterator[Seen]]:
    async with client.stream(method, url, **more) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer)


async def events(answer: httpx2.Response) -> AsyncIterator[Seen]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "event" in fields:
            yield Seen(fields["event"], fields["id"], json.loads(fields["data"]))
            fields = {}


async def all_of(client: httpx2.AsyncClient, method: str, url: str, **more: Any) -> list[Seen]:
    async with stream(client, method, url, **more) as seen:
        return [event async for event in seen]


async def test_a_stream_tells_nodes_tokens_actions_and_the_reply(server: Served) -> None:
    seen = await all_of(server.client, "POST", "/orchestrate/stream", json=message("which pets are available?"))
    nodes = [(event.data["node"], event.data["phase"]) for event in seen if event.name == "node"]
    visited = ["assign", "retrieve", "plan", "review", "act", "plan", "respond"]
    assert nodes == [(node, phase) for node in visited for phase in ("start", "end")]
    (action,) = [event.data for event in seen if event.name == "action"]
    assert (action["outcome"], action["http_status"]) == ("executed", 200)
    reply = (await server.client.get(f"/orchestrations/{seen[-1].data['orchestration_id']}")).json()
    assert seen[-1].name == "done"
    assert seen[-1].data == reply
    assert "".join(event.data["text"] for event in seen if event.name == "token") == reply["reply"]


async def test_a_stream_tells_what_waits_and_a_reader_who_comes_back_gets_the_rest(
    server: Served, demo: DemoServices
) -> None:
    seen = await all_of(server.client, "POST", "/orchestrate/stream", json=message(REFUND))
    (approval,) = [event.data for event in seen if event.name == "approval"]
    assert (seen[-1].name, seen[-1].data["status"]) == ("done", "awaiting_approval")
    await decide(server.client, approval["request_id"])
    run_id = seen[-1].data["orchestration_id"]
    await resume(server.client, run_id)
    rest = await all_of(
        server.client, "GET", f"/orchestrations/{run_id}/stream", headers={"Last-Event-ID": seen[-1].id}
    )
    assert next(event.data["node"] for event in rest if event.name == "node") == "gate"
    assert (rest[-1].name, rest[-1].data["status"]) == ("done", "completed")
    assert not {event.id for event in rest} & {event.id for event in seen}


async def test_a_reader_misses_nothing_and_gets_nothing_twice(server: Served) -> None:
    whole = await all_of(server.client, "POST", "/orchestrate/stream", json=message("which pets are available?"))
    for place in (0, 3, len(whole) - 2):
        headers = {"Last-Event-ID": whole[place].id}
        rest = await all_of(server.client, "POST", "/orchestrate/stream", json=message("anything"), headers=headers)
        assert rest == whole[place + 1 :]
    assert len((await server.client.get("/orchestrations")).json()["orchestrations"]) == 1


async def test_after_a_restart_a_reader_learns_how_the_run_ended(tmp_path: Path, demo: DemoServices) -> None:
    settings = settings_for(tmp_path / "data", demo)
    async with served(settings) as server:
        whole = await all_of(server.client, "POST", "/orchestrate/stream", json=message("which pets are available?"))
    async with served(settings) as server:
        url = f"/orchestrations/{whole[-1].data['orchestration_id']}/stream"
        rest = await all_of(server.client, "GET", url, headers={"Last-Event-ID": whole[2].id})
        far = await all_of(server.client, "GET", url, headers={"Last-Event-ID": rest[-1].id})
    assert [(event.name, event.data) for event in rest] == [("done", whole[-1].data)]
    places = [tuple(map(int, event.id.split(":")[1:])) for event in (whole[2], rest[-1], far[-1])]
    assert places == sorted(set(places))


async def test_bad_event_ids_are_refused(server: Served) -> None:
    for bad in ("x", "run:1", "run:a:b", "run_1:1:99999999999999999999999999999999999"):
        refused = await server.client.post("/orchestrate/stream", json=message("m"), headers={"Last-Event-ID": bad})
        assert refused.status_code == 422
    unknown = await server.client.post("/orchestrate/stream", json=message("m"), headers={"Last-Event-ID": "run:1:1"})
    assert unknown.status_code == 404


async def test_tokens_of_a_language_model_arrive_as_it_speaks(tmp_path: Path, demo: DemoServices) -> None:
    script = [call("petstore__findPetsByStatus", {"status": "sold"}), say("Two ", "pets ", "are sold.")]
    async with ollama_server(script) as ollama:
        settings = settings_for(tmp_path / "data", demo, ollama_url=ollama.url)
        async with served(settings) as server:
            seen = await all_of(server.client, "POST", "/orchestrate/stream", json=message("how many are sold?"))
    assert [event.data["text"] for event in seen if event.name == "token"] == ["Two ", "pets ", "are sold."]
    assert seen[-1].data["reply"] == "Two pets are sold."
    assert seen[-1].data["answered_by"] == "ollama/qwen3:1.7b"
    assert [notice["port"] for notice in seen[-1].data["degraded"]] == ["knowledge"]


async def test_a_stream_is_closed_within_a_second_of_sigterm(tmp_path: Path, demo: DemoServices) -> None:
    gate = asyncio.Event()
    async with ollama_server([say("slow", gate=gate)]) as ollama:
        urls = {**demo, "ollama": ollama.url}
        async with server_process(tmp_path / "data", urls, SHUTDOWN_GRACE_SECONDS="0") as process:
            async with (
                httpx2.AsyncClient(base_url=process.url, timeout=30, trust_env=False) as client,
                stream(client, "POST", "/orchestrate/stream", json=message("speak")) as seen,
            ):
                assert (await anext(seen)).name == "node"
                begun = time.monotonic()
                assert process.process
                process.process.send_signal(signal.SIGTERM)
                async for _ in seen:
                    pass
                took = time.monotonic() - begun
            assert await process.end() == 0
    assert took < 1


async def test_who_waits_for_a_reply_when_the_server_stops_is_told_so(tmp_path: Path, demo: DemoServices) -> None:
    gate = asyncio.Event()
    async with ollama_server([say("slow", gate=gate)]) as ollama:
        urls = {**demo, "ollama": ollama.url}
        async with (
            server_process(tmp_path / "data", urls, SHUTDOWN_GRACE_SECONDS="0.5") as process,
            httpx2.AsyncClient(base_url=process.url, timeout=30, trust_env=False) as client,
        ):
            asking = asyncio.create_task(client.post("/orchestrate", json=message("speak")))
            await ollama.received(1)
            assert process.process
            process.process.send_signal(signal.SIGTERM)
            answer = await asking
            assert await process.end() == 0
            await process.start()
            found = (await client.get(f"/orchestrations/{answer.json()['orchestration_id']}")).json()
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/run-interrupted")
    assert answer.headers["retry-after"]
    assert found["message"] == "speak"
