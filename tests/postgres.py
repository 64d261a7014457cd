"""A real PostgreSQL for tests, from Debian's package, on a free loopback port and in a folder that is removed."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

STOP_SECONDS = 20


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL server installed, or None."""
    folders = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "initdb").exists()]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a PostgreSQL until the block ends and give its URL; skips the test where it is not installed."""
    bin_folder = programs()
    if bin_folder is None:
        pytest.skip("PostgreSQL is not installed (Debian package: postgresql)")
    # Not below pytest's folder, which is closed to the unprivileged user the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        _initialise(bin_folder, folder)
        port = _free_port()
        with _postmaster(bin_folder, folder, port):
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder)


def _initialise(bin_folder: Path, folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, _unprivileged(), _group())
    options = ["-U", "tester", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    command = [*_as_unprivileged(), str(bin_folder / "initdb"), "-D", str(folder / "data"), *options]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)  # noqa: S603 - our own words only


@contextmanager
def _postmaster(bin_folder: Path, folder: Path, port: int) -> Iterator[None]:
    settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
    options = [part for setting in settings for part in ("-c", setting)]
    command = [*_as_unprivileged(), str(bin_folder / "postgres"), "-D", str(folder / "data"), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder) as process:  # noqa: S603 - see above
        assert process.stderr is not None
        ready = any("ready to accept connections" in line for line in process.stderr)
        # Nobody reads the log afterwards, and a full pipe would stop the server.
        draining = Thread(target=deque, args=(process.stderr, 0))
        draining.start()
        try:
            assert ready, "PostgreSQL did not start"
            yield
        finally:
            process.send_signal(2)  # SIGINT is its fast shutdown: open sessions are ended
            process.wait(STOP_SECONDS)
            draining.join()


def _as_unprivileged() -> list[str]:
    """Return what to put before a command: it ends when we die, and root becomes somebody the server accepts."""
    become = [f"--reuid={_unprivileged()}", f"--regid={_group()}", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig", "INT", *become]


def _unprivileged() -> str:
    return "postgres" if "postgres:" in Path("/etc/passwd").read_text() else "nobody"


def _group() -> str:
    return "postgres" if _unprivileged() == "postgres" else "nogroup"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
