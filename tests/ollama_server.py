"""A scripted model server that speaks Ollama's wire protocol over real TCP.

    async with ollama_server([call("shop__list_orders", {"status": "open"}), say("You have ", "two.")]) as server:
        server.url        # for OLLAMA_URL
        server.requests   # the bodies of the chat requests, as received

A script is a list of replies, one per chat request, or a function from the request to a reply.
"""

import asyncio
import json
import socket
import struct
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

type Request = dict[str, Any]
type Script = Sequence["Reply"] | Callable[[Request], "Reply"]

MODEL = "qwen3:1.7b"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does with one request.

    Args:
        lines: NDJSON lines: objects, or text sent as it is.
        ending: `whole` finishes the response, `reset` kills the connection, `stall` says no more.
        gate: Waited for before the last line.
        location: Where a redirecting status leads.
    """

    lines: tuple[dict[str, Any] | str, ...] = ()
    status: int = 200
    ending: Literal["whole", "reset", "stall"] = "whole"
    gate: asyncio.Event | None = None
    location: str = "/"


def say(
    *pieces: str,
    reason: str = "stop",
    prompt_tokens: int = 26,
    answer_tokens: int = 8,
    gate: asyncio.Event | None = None,
) -> Reply:
    """Answer with a text, streamed in these pieces."""
    last = _done(reason, prompt_tokens, answer_tokens)
    return Reply((*(_content(piece) for piece in pieces), last), gate=gate)


def think(thinking: str, *pieces: str) -> Reply:
    """Answer with thinking where the protocol has it, then with a text."""
    return Reply((_message(thinking=thinking), *(_content(piece) for piece in pieces), _done()))


def call(name: str, arguments: dict[str, Any] | str, *, text: str = "") -> Reply:
    """Answer with one tool call."""
    return calls((name, arguments), text=text)


def calls(*wanted: tuple[str, dict[str, Any] | str], text: str = "") -> Reply:
    """Answer with several tool calls at once."""
    tools = [_message(tool_calls=[{"function": {"name": name, "arguments": given}}]) for name, given in wanted]
    return Reply((*([_content(text)] if text else []), *tools, _done()))


def fail(status: int, error: str = "something went wrong") -> Reply:
    """Refuse with an HTTP status."""
    return Reply(({"error": error},), status=status)


def fail_midway(error: str, *pieces: str) -> Reply:
    """Stream these pieces, then an error line."""
    return Reply((*(_content(piece) for piece in pieces), {"error": error}))


def cut(*pieces: str) -> Reply:
    """Stream these pieces and half a line, then finish the response as if all were well."""
    return Reply((*(_content(piece) for piece in pieces), '{"model":"qwen3:1.7b","message":{"role":"assis'))


def unfinished(*pieces: str) -> Reply:
    """Stream these pieces and finish the response without ever saying `done`."""
    return Reply(tuple(_content(piece) for piece in pieces))


def reset(*pieces: str) -> Reply:
    """Stream these pieces, then kill the connection."""
    return Reply(tuple(_content(piece) for piece in pieces), ending="reset")


def stall(*pieces: str) -> Reply:
    """Stream these pieces, then say no more until the client leaves."""
    return Reply(tuple(_content(piece) for piece in pieces), ending="stall")


def raw(*lines: dict[str, Any] | str) -> Reply:
    """Answer with exactly these lines."""
    return Reply(lines)


@dataclass(slots=True)
class OllamaServer:
    """A running server.

    Args:
        requests: Bodies of the chat requests, in the order received.
        heads: Their header fields, names in lower case.
        tags: What the list of models is instead, if anything.
        tags_asked: How often it was asked for.
        connections: How many connections were ever opened.
        dimension: How long its vectors are: of words, so that texts with the same words are alike.
        may_embed: Waited for before vectors are given; `embedded` counts the requests for them.
    """

    script: Script
    models: Sequence[str]
    requests: list[Request] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    tags: Reply | None = None
    tags_asked: int = 0
    connections: int = 0
    dimension: int = 64
    may_embed: asyncio.Event | None = None
    embedded: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)
    _held: socket.socket | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """The address for OLLAMA_URL."""
        return f"http://127.0.0.1:{self.port}"

    async def up(self) -> None:
        """Listen; after `down` at the same address as before."""
        self._held = self._held or _bound(self.port)
        self.port = self._held.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=self._held)
        self._held = None

    async def down(self) -> None:
        """Refuse connections and kill the open ones; the address stays ours."""
        await self._close()
        self._held = _bound(self.port)

    async def stop(self) -> None:
        """Give the address back."""
        await self._close()
        if self._held is not None:
            self._held.close()

    async def received(self, count: int) -> None:
        """Wait until this many chat requests have arrived."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    async def received_tags(self, count: int) -> None:
        """Wait until the list of models was asked for this often."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.tags_asked >= count)

    async def _close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for task, writer in list(self._open.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            del self._open[task]
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection may be used again."""
        target, head, body = await _read(reader)
        async with self._changed:
            reply = self._answer(target, head, body)
            self._changed.notify_all()
        return await _send(reply, reader, writer)

    def _answer(self, target: str, head: dict[str, str], body: bytes) -> Reply:
        if target == "/api/tags":
            self.tags_asked += 1
            return self.tags or raw({"models": [_listed(name) for name in self.models]})
        if target == "/api/embed":
            return self._embedding(json.loads(body))
        if target != "/api/chat":
            return fail(404, "404 page not found")
        self.requests.append(json.loads(body))
        self.heads.append(head)
        return self._reply(self.requests[-1], len(self.requests))

    def _embedding(self, request: Request) -> Reply:
        self.embedded += 1
        if not {request["model"], f"{request['model']}:latest"} & set(self.models):
            return fail(404, f"model '{request['model']}' not found")
        vectors = [_vector(text, self.dimension) for text in request["input"]]
        return Reply(({"model": request["model"], "embeddings": vectors},), gate=self.may_embed)

    def _reply(self, request: Request, count: int) -> Reply:
        if request["model"] not in self.models:
            return fail(404, f"model '{request['model']}' not found")
        if not isinstance(self.script, Sequence):
            return self.script(request)
        return self.script[count - 1] if count <= len(self.script) else fail(500, "the script has no reply left")


@asynccontextmanager
async def ollama_server(script: Script = (), *, models: Sequence[str] = (MODEL,)) -> AsyncIterator[OllamaServer]:
    """Run a scripted server on a free port of the loopback interface."""
    server = OllamaServer(script, models)
    await server.up()
    try:
        yield server
    finally:
        await server.stop()


async def _read(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    first, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    head = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    return first.split(" ")[1], head, await reader.readexactly(int(head.get("content-length", "0")))


async def _send(reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    kind = "application/x-ndjson" if reply.status == 200 else "application/json; charset=utf-8"
    if reply.lines or reply.ending == "whole":
        more = f"Location: {reply.location}\r\n" if 300 <= reply.status < 400 else ""
        head = f"HTTP/1.1 {reply.status} Scripted\r\nContent-Type: {kind}\r\n{more}Transfer-Encoding: chunked"
        writer.write(f"{head}\r\n\r\n".encode())
    for place, line in enumerate(reply.lines, start=1):
        if reply.gate is not None and place == len(reply.lines):
            await reply.gate.wait()
        text = line if isinstance(line, str) else json.dumps(line, separators=(",", ":")) + "\n"
        writer.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
        await writer.drain()
    return await _end(reply, reader, writer)


async def _end(reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    if reply.ending == "whole":
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    elif reply.ending == "reset":
        if not reply.lines:  # with lines the client would lose them to the reset
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    else:
        await reader.read()
    return reply.ending == "whole"


def _bound(port: int) -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    held.setblocking(False)
    return held


def _content(text: str) -> dict[str, Any]:
    return _message(content=text)


def _message(content: str = "", **more: object) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more}
    return {"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "message": message, "done": False}


def _done(reason: str = "stop", prompt_tokens: int = 26, answer_tokens: int = 8) -> dict[str, Any]:
    counts = {"prompt_eval_count": prompt_tokens, "eval_count": answer_tokens}
    durations = {"total_duration": 4_883_583, "load_duration": 1_334_875, "eval_duration": 4_535_599}
    return {**_message(), "done": True, "done_reason": reason, **durations, **counts}


def _vector(text: str, dimension: int) -> list[float]:
    """Return the words of a text as a vector: a count for each, at a place that depends on it."""
    vector = [0.001] * dimension
    for word in text.lower().split():
        vector[zlib.crc32(word.strip(".,:?!").encode()) % dimension] += 1.0
    return vector


def _listed(name: str) -> dict[str, Any]:
    digest = f"{zlib.crc32(name.encode()):064x}"
    return {
        "name": name,
        "model": name,
        "digest": digest,
        "modified_at": "2026-01-01T00:00:00Z",
        "size": 1_359_293_444,
        "details": {},
    }


async def _forever() -> None:
    """Serve an echo for manual trials until interrupted."""
    async with ollama_server(lambda request: say("You said: ", request["messages"][-1]["content"])) as server:
        sys.stdout.write(f"OLLAMA_URL={server.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_forever())
