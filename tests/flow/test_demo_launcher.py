"""`python -m demo`, run as a user runs it."""

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import Process
from pathlib import Path

import httpx2
import pytest

from tests.launching import launched, lines

ASK_EVERYBODY = """
import os, sys, urllib.request
for name in ("PETSTORE", "VEHICLES", "CLOUDAPP", "ML"):
    print(urllib.request.urlopen(os.environ[name + "_URL"] + "/health").read().decode(), flush=True)
sys.exit(7)
"""
WAIT_FOR_SIGNAL = """
import signal, sys
def leave(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    sys.exit(5)
signal.signal(signal.SIGINT, leave)
signal.signal(signal.SIGTERM, leave)
print("waiting", flush=True)
while True:
    signal.pause()
"""
IGNORE_SIGNALS = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("waiting", flush=True)
while True:
    signal.pause()
"""


async def finished(process: Process) -> tuple[int | None, str, str]:
    """Return exit status, output and errors."""
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_the_command_reaches_every_service_and_its_exit_status_is_ours(tmp_path: Path) -> None:
    async with launched(tmp_path, "--", sys.executable, "-c", ASK_EVERYBODY) as process:
        status, output, errors = await finished(process)
    assert (status, output.count('{"status":"healthy"}'), errors) == (7, 4, "")
    names = {"petstore.sqlite", "vehicles.sqlite", "cloudapp.sqlite", "ml.sqlite"}
    assert {file.name for file in (tmp_path / "demo").glob("*.sqlite")} == names


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_is_passed_to_the_command_and_everything_ends(tmp_path: Path, number: signal.Signals) -> None:
    async with launched(tmp_path, "--", sys.executable, "-c", WAIT_FOR_SIGNAL) as process:
        started = await lines(process, until="waiting")
        process.send_signal(number)
        async with asyncio.timeout(3):
            status, output, errors = await finished(process)
    assert (status, output, errors) == (5, f"got {number.name}\n", "")
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(started[0].split()[1])


async def test_without_a_command_the_services_run_until_a_signal(tmp_path: Path) -> None:
    async with launched(tmp_path, "--only", "ml") as process:
        [line] = await lines(process, until="ml")
        async with httpx2.AsyncClient(base_url=line.split()[1]) as client:
            assert (await client.get("/health")).json() == {"status": "healthy"}
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(3):
                assert await finished(process) == (0, "", "")


async def test_a_taken_port_is_named_and_nothing_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with launched(tmp_path, f"--vehicles-port={port}", "--", "echo", "started") as process:
            status, output, errors = await finished(process)
    expected = f"python -m demo: Port {port} on 127.0.0.1 cannot be used: Address already in use.\n"
    assert (status, output, errors) == (1, "", expected)


async def test_the_command_is_ended_when_the_launcher_is_killed(tmp_path: Path) -> None:
    async with launched(tmp_path, "--only", "ml", "--", sys.executable, "-c", WAIT_FOR_SIGNAL) as process:
        await lines(process, until="waiting")
        process.kill()
        assert await lines(process, until="got") == ["got SIGTERM"]


async def test_a_command_that_does_not_end_is_killed(tmp_path: Path) -> None:
    arguments = ("--only", "ml", "--patience-seconds", "0.2", "--", sys.executable, "-c", IGNORE_SIGNALS)
    async with launched(tmp_path, *arguments) as process:
        await lines(process, until="waiting")
        process.terminate()
        assert (await finished(process))[0] == 128 + signal.SIGKILL


async def test_a_command_that_does_not_exist_ends_with_127(tmp_path: Path) -> None:
    async with launched(tmp_path, "--only", "ml", "--", "no-such-program") as process:
        status, _, errors = await finished(process)
    assert (status, errors) == (127, "no-such-program: no such command\n")


async def test_data_that_cannot_be_opened_is_told_and_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file where the folder should be")
    async with launched(tmp_path, "--", "echo", "started") as process:
        status, output, errors = await finished(process)
    assert (status, output, errors) == (1, "", f"python -m demo: {tmp_path}/demo/petstore.sqlite cannot be opened.\n")
