"""A wire to a document server that loses an answer when told: the server has done it, the driver does not know."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

HEADER = struct.Struct("<iiii")
OP_MSG = 2013
COMMAND_AT = HEADER.size + 4 + 1 + 4 + 1
"""Where a message's first key, its command, begins: after flags, section kind, document size and the key's type."""


@dataclass
class Wire:
    """A relay on a port of its own.

    Args:
        lost: Called when an answer is lost, before the driver learns it.
    """

    target_port: int
    port: int = 0
    command: str = ""
    lost: Callable[[], Awaitable[None]] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def lose_answer_to(self, command: str, lost: Callable[[], Awaitable[None]] | None = None) -> None:
        """Lose the next answer to this command."""
        self.command, self.lost = command, lost

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry questions there and answers back until one side closes or an answer is lost."""
        try:
            behind, before = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.close()
            return
        losing = asyncio.Event()
        directions = [
            asyncio.create_task(self._ask(reader, before, losing)),
            asyncio.create_task(self._answer(behind, writer, losing)),
        ]
        _, left = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for each in left:
            each.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        before.close()
        writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        while True:
            question = await message(reader)
            if self.command and command_of(question) == self.command:
                self.command = ""
                losing.set()
            writer.write(question)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        while True:
            answer = await message(reader)
            if losing.is_set():
                break
            writer.write(answer)
        if self.lost:
            await self.lost()


async def message(reader: asyncio.StreamReader) -> bytes:
    """Read one whole message."""
    head = await reader.readexactly(HEADER.size)
    return head + await reader.readexactly(HEADER.unpack(head)[0] - HEADER.size)


def command_of(question: bytes) -> str:
    """Return a message's command, such as `insert`."""
    if HEADER.unpack_from(question)[3] != OP_MSG:
        return ""
    return question[COMMAND_AT : question.index(0, COMMAND_AT)].decode()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """Lay a wire to a server on this machine."""
    wire = Wire(port)
    listening = await asyncio.start_server(wire.relay, "127.0.0.1", 0)
    wire.port = listening.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        listening.close()
        await listening.wait_closed()
