"""Servers to be killed: one process imports the product once, then forks a server whenever it is told to.

`python -m tests.matrix.victim` reads one order per line of JSON from its standard input and answers with the new
process's id. What it forks is the product's own `server.main`, in a process and on a port of its own; the fork only
saves the seconds that imports take. When the input ends, or this process dies, they die too.
"""

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from checkpoints.locks import Lease, Leases
from tests.matrix.boundaries import Boundaries, Point

DIE_WITH_PARENT = 1
"""`PR_SET_PDEATHSIG` of prctl(2)."""

EAGER = (
    "server",
    "tools.arguments",
    "jsonschema",
    "pymongo",
    "checkpoints.mongo",
    "checkpoints.redis_saver",
    "checkpoints.redis_locks",
    "checkpoints.circuits.script",
    "tests.matrix.naive",
)

type Deed = Literal["note", "kill", "stop", "tell"]


@dataclass(frozen=True)
class Order:
    """What to start.

    Args:
        folder: Its working directory; what it prints goes into `log.txt` there.
        program: `server`, or the name of a negative control.
        deed: What it does at the point: `kill` and `stop` itself, or `tell` whoever listens on `tell.sock` and wait for
            a word; `note` notes every point in `points.jsonl` instead.
    """

    folder: str
    environment: dict[str, str]
    program: str = "server"
    deed: Deed | None = None
    point: str = ""

    def line(self) -> bytes:
        """Return the order as a line."""
        return (json.dumps(asdict(self)) + "\n").encode()


class Doer:
    """Does the deed at its point, and notes it first: whoever was killed cannot say so."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._notes = os.open("points.jsonl", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def report(self, point: Point, sending: bool) -> None:  # called by position, by `Boundaries` alone
        """Take a boundary."""
        is_it = str(point) == self._order.point
        if is_it or self._order.deed == "note":
            os.write(self._notes, (json.dumps({"point": str(point), "sending": sending}) + "\n").encode())
        if is_it:
            self._do()

    def _do(self) -> None:
        if self._order.deed == "tell":
            with socket.socket(socket.AF_UNIX) as channel:
                channel.connect("tell.sock")
                channel.recv(1)
        else:
            os.kill(os.getpid(), signal.SIGKILL if self._order.deed == "kill" else signal.SIGSTOP)


def main() -> None:
    """Fork what is ordered until the orders end."""
    import_everything()
    gc.freeze()  # a fork that collects would copy what it shares
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    os.setpgid(0, 0)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        child = os.fork()
        if child == 0:
            become(order)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def become(order: Order) -> None:
    """Be the process ordered; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    os.chdir(order.folder)
    log = os.open("log.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(number, target)
    os.environ.update(order.environment)
    if order.deed:
        Boundaries(Doer(order).report).watch()
    try:
        code = run(order.program)
    except BaseException:  # noqa: BLE001  # the parent's stack lies below: nothing may leave this function
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    os._exit(code)


def run(program: str) -> int:
    """Run a program by its name and return its exit code."""
    import boot.stores
    import server
    from tests.matrix import naive

    if program == "unlocked":
        boot.stores._own_locks = unlocked
        boot.stores._Redis._locks = unlocked  # type: ignore[method-assign,assignment]  # a negative control
    return {"server": server.main, "unlocked": server.main, "naive": naive.main}[program]()


@asynccontextmanager
async def unlocked(_: object = None) -> AsyncIterator[Leases]:
    """Open leases that everybody holds at once: the negative control without the lock."""

    class Unlocked:
        @asynccontextmanager
        async def hold(self, name: str, *, wait_seconds: float | None) -> AsyncIterator[Lease]:
            yield Lease(name, number=1)

    yield Unlocked()


def import_everything() -> None:
    """Import what a server imports in its first second, also what it imports late."""
    for name in EAGER:
        importlib.import_module(name)


if __name__ == "__main__":
    assert Path("server.py").exists(), "started in the project's folder"
    main()
