"""Starts the demo services: `python -m demo [--only NAME …] [-- COMMAND …]`."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.child import Child
from demo.database import DatabaseUnavailable
from demo.launch import PORTS, Place, running
from demo.serving import PortTaken, Running

FAILED = 1


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line and in the environment.

    Args:
        ports: Of the services to start.
        command: To run beside them, empty for none.
        patience_seconds: How long the command may take to end before it is killed.
    """

    place: Place
    host: str
    ports: Mapping[str, int]
    command: Sequence[str]
    patience_seconds: float


def read_options(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Return the options; leaves the process with status 2 and a message when they make no sense."""
    own, command = _split(arguments)
    parser = argparse.ArgumentParser(prog="python -m demo", description="Start the demo services.")
    data = environment.get("DATA_DIR", "data")
    parser.add_argument("--data-dir", type=Path, default=Path(data), help="data goes below DIR/demo (DATA_DIR, data)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--only", nargs="+", choices=PORTS, default=list(PORTS), help="start these services only")
    parser.add_argument("--patience-seconds", type=float, default=8.0, help="time the command has to end (8)")
    for name, port in PORTS.items():
        default = environment.get(f"{name.upper()}_PORT", str(port))
        parser.add_argument(f"--{name}-port", type=_port, default=default, help=f"({name.upper()}_PORT, {port})")
    parser.epilog = "A COMMAND after -- is run beside them; when it ends, they end, and its exit status is ours."
    chosen = parser.parse_args(own)
    return Options(
        place=Place(chosen.data_dir / "demo", environment.get("POSTGRES_URL") or None),
        host=chosen.host,
        ports={name: getattr(chosen, f"{name}_port") for name in PORTS if name in chosen.only},
        command=command,
        patience_seconds=chosen.patience_seconds,
    )


async def run(options: Options, environment: Mapping[str, str]) -> int:
    """Run the services and the command until one of them ends or a signal comes; return the exit status."""
    signals = _arriving_signals()
    try:
        async with running(options.place, options.host, options.ports) as services:
            for name, service in services.items():
                print(f"{name:<9} {service.url}", flush=True)
            return await _until_one_ends(options, services, environment, signals)
    except (PortTaken, DatabaseUnavailable) as error:
        print(f"python -m demo: {error}", file=sys.stderr)
        return FAILED


async def _until_one_ends(
    options: Options, services: Mapping[str, Running], environment: Mapping[str, str], signals: asyncio.Queue[int]
) -> int:
    """Return the command's exit status; without one 0 after a signal, 1 when a service ended by itself."""
    urls = {f"{name.upper()}_URL": service.url for name, service in services.items()}
    child = await Child.start(options.command, environment={**urls, **environment}) if options.command else None
    signalled = asyncio.create_task(signals.get())
    waiting: set[asyncio.Task[int] | asyncio.Task[None]] = {signalled, *(one.task for one in services.values())}
    if child:
        waiting.add(asyncio.create_task(child.wait()))
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    stopped_by = signalled.result() if signalled in done else signal.SIGTERM
    signalled.cancel()
    if child is None:
        return 0 if signalled in done else FAILED
    return await _ended(child, stopped_by, signals, patience_seconds=options.patience_seconds)


async def _ended(child: Child, signal_number: int, signals: asyncio.Queue[int], *, patience_seconds: float) -> int:
    """Pass the signal on, later ones too, and return the command's exit status."""
    child.send(signal_number)

    async def pass_on() -> None:
        while True:
            child.send(await signals.get())

    passing = asyncio.create_task(pass_on())
    try:
        return await child.end(patience_seconds=patience_seconds)
    finally:
        passing.cancel()


def _arriving_signals() -> asyncio.Queue[int]:
    """Return a queue that gets every SIGINT and SIGTERM, which then do nothing else."""
    arriving: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, arriving.put_nowait, number)
    return arriving


def _port(text: str) -> int:
    """Return a port's number, 0 for any free one; raises `ValueError`."""
    number = int(text)
    if not 0 <= number < 2**16:
        raise ValueError(text)
    return number


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what stands before the first `--`, and after it."""
    line = list(arguments)
    cut = line.index("--") if "--" in line else len(line)
    return line[:cut], line[cut + 1 :]


if __name__ == "__main__":
    sys.exit(asyncio.run(run(read_options(sys.argv[1:], os.environ), os.environ)))
