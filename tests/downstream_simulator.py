"""A service that fails on purpose and never lies to itself: `python -m tests.downstream_simulator TRUTH_FILE`.

It runs in a process of its own, says its URL on standard output, and keeps its own truth (`tests.downstream_truth`).
Where a client connects decides how it is treated:

    http://127.0.0.1:PORT/{realm}/{mode}/{fault}     # GET …/openapi.json describes it, GET …/health answers

* mode `dedupes`: honours `Idempotency-Key`, and its document says so; `queryable`: carries out whatever arrives, and
  tells what was made under a key (`findRefunds`); `neither`: carries out whatever arrives and tells nothing.
* fault `none`, or what happens to a write, `before` it is carried out (it then is not) or `after`: `drop` closes the
  connection without an answer, `fail` answers 500, `hold` never answers, `slow` answers `--slow-seconds` later, and
  `slow_before` also carries it out as late, whether or not anybody still waits. `fail_after-2` befalls the first two
  writes of the realm and no further ones.
"""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from domain.canonical import JSON, parsed
from tests.downstream_document import document
from tests.downstream_truth import Event, Kind, Truth, arguments_of, read_truth
from tests.killable import Killable
from tests.running import ROOT

SLOW_SECONDS = 3.0

MODES = ("dedupes", "queryable", "neither")
FAULTS = ("none", *(f"{what}_{when}" for what in ("drop", "fail", "hold", "slow") for when in ("before", "after")))


class Dropped(Exception):
    """The connection is to be closed without an answer."""


@dataclass(frozen=True)
class Request:
    """One request, and the treatment its URL asks for."""

    method: str
    realm: str
    mode: str
    fault: str
    rest: str
    query: dict[str, str]
    key: str | None
    body: dict[str, JSON]


@dataclass
class Simulator:
    """The service; it has no state but its truth.

    Args:
        slow_seconds: How long `slow` takes.
        never: What `hold` waits for; kept here, or else nobody would keep those who wait.
    """

    truth: Truth
    slow_seconds: float
    never: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: Request) -> tuple[int, JSON]:
        """Return status and body; raises `Dropped`."""
        match request.method, request.rest:
            case "GET", "/openapi.json":
                return 200, document(request.mode)
            case "GET", "/health":
                return 200, {"status": "healthy"}
            case "GET", "/refunds" if request.mode != "neither":
                return 200, self._found(request)
            case "POST", rest if order := re.fullmatch(r"/orders/(\d+)/refunds", rest):
                return await self._refund(request, int(order[1]))
        return 404, {"detail": "There is no such thing."}

    def _found(self, request: Request) -> JSON:
        key = request.query.get("idempotency_key")
        self.truth.tell(Event("looked_up", request.realm, "findRefunds", key, "{}"))
        made = self.truth.of(request.realm, "effect")
        return [_shown(each) for each in made if key is None or each.key == key]

    async def _refund(self, request: Request, order_id: int) -> tuple[int, JSON]:
        arguments = arguments_of({"order_id": order_id}, request.body)
        fault = self._fault(request)
        self.truth.tell(Event("arrived", request.realm, "refundOrder", request.key, arguments))
        if fault.endswith("_before"):
            await self._suffer(fault)
        made = self._carry_out(request, arguments)
        if fault.endswith("_after"):
            await self._suffer(fault)
        return made

    def _carry_out(self, request: Request, arguments: str) -> tuple[int, JSON]:
        effects = self.truth.of(request.realm, "effect")
        known = next((each for each in effects if each.key == request.key), None) if request.key else None
        if request.mode == "dedupes" and known:
            if known.arguments != arguments:
                return 422, {"detail": "This Idempotency-Key was used for another request."}
            self.truth.tell(Event("replayed", request.realm, "refundOrder", request.key, arguments, known.number))
            return 201, _shown(known)
        number = len(effects) + 1
        return 201, _shown(
            self.truth.tell(Event("effect", request.realm, "refundOrder", request.key, arguments, number))
        )

    def _fault(self, request: Request) -> str:
        """Return what befalls this write: nothing any more when the realm has had as many as it was to have."""
        fault, _, most = request.fault.partition("-")
        had = len(self.truth.of(request.realm, "arrived"))
        return "none" if most and had >= int(most) else fault

    async def _suffer(self, fault: str) -> None:
        what = fault.partition("_")[0]
        if what == "drop":
            raise Dropped
        if what == "fail":
            raise ConnectionAbortedError
        await (self.never.wait() if what == "hold" else asyncio.sleep(self.slow_seconds))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests; what has arrived is finished even when the client has gone."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, Dropped):
            while True:
                request = await _read(reader)
                try:
                    status, body = await self.answer(request)
                except ConnectionAbortedError:
                    status, body = 500, {"detail": "Something broke."}
                content = json.dumps(body).encode()
                head = f"HTTP/1.1 {status} Simulated\r\ncontent-type: application/json\r\n"
                writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    first, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    head = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    method, target, _ = first.split(" ")
    parts = urlsplit(target)
    realm, mode, fault, *rest = [*parts.path.strip("/").split("/"), "", ""]
    body = parsed((await reader.readexactly(int(head.get("content-length", "0")))).decode() or "{}")
    return Request(
        method=method,
        realm=realm,
        mode=mode,
        fault=fault,
        rest="/" + "/".join(rest).strip("/"),
        query={name: values[0] for name, values in parse_qs(parts.query).items()},
        key=head.get("idempotency-key"),
        body=body if isinstance(body, dict) else {},
    )


def _shown(effect: Event) -> JSON:
    arguments = parsed(effect.arguments)
    assert isinstance(arguments, dict)
    return {**arguments, "refund_id": effect.number, "idempotency_key": effect.key}


@dataclass
class Downstream(Killable):
    """The simulator as a process that tests start, kill and start again on the same truth.

    Args:
        slow_seconds: How long `slow` takes.
    """

    slow_seconds: float = SLOW_SECONDS

    @property
    def truth_file(self) -> Path:
        """Where the truth is."""
        return self.folder / "truth.jsonl"

    def url(self, realm: str, mode: str, fault: str = "none") -> str:
        """Return the base URL of a realm's service with this behaviour."""
        assert mode in MODES, mode
        assert fault.partition("-")[0] in FAULTS, fault
        return f"http://127.0.0.1:{self.port}/{realm}/{mode}/{fault}"

    def events(self, realm: str, kind: Kind = "effect") -> list[Event]:
        """Return what happened in a realm, by its own truth, oldest first."""
        return [each for each in read_truth(self.truth_file) if (each.realm, each.kind) == (realm, kind)]

    async def happened(self, realm: str, kind: Kind = "effect", *, times: int = 1) -> list[Event]:
        """Wait until something has happened so often in a realm, and return it."""
        async with asyncio.timeout(30):
            while len(events := self.events(realm, kind)) < times:  # noqa: ASYNC110  # another process writes the file
                await asyncio.sleep(0.005)
        return events

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ("--port", str(self.port), "--slow-seconds", str(self.slow_seconds))
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.downstream_simulator", str(self.truth_file), *options),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout
        assert (await self.process.stdout.readline()).startswith(b"http://"), "the simulator did not start"


@asynccontextmanager
async def downstream_simulator(folder: Path, *, slow_seconds: float = SLOW_SECONDS) -> AsyncIterator[Downstream]:
    """Run the simulator as a process; whatever happens, it is gone afterwards."""
    simulator = Downstream(folder, slow_seconds)
    try:
        await simulator.start()
        yield simulator
    finally:
        await simulator.kill()


async def _main(given: argparse.Namespace) -> None:
    simulator = Simulator(Truth(given.truth), given.slow_seconds)
    server = await asyncio.start_server(simulator.serve, "127.0.0.1", given.port)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.downstream_simulator", description=__doc__)
    parser.add_argument("truth", type=Path, metavar="TRUTH_FILE", help="where it writes down what really happened")
    parser.add_argument("--port", type=int, default=0, help="where to listen; any free port unless told")
    parser.add_argument("--slow-seconds", type=float, default=SLOW_SECONDS, help="how long `slow` takes")
    asyncio.run(_main(parser.parse_args()))
