"""Verify the audit log without the server, while it runs or not: `python -m boot.audit`."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TextIO

from boot.offline import add_source, check_source, open_records
from checkpoints.audit import Audit
from domain.audit import Anchor, Break, Entry, Verification, entry_of_line
from domain.errors import InvalidInput, OrchestrationError

INTACT, BROKEN, UNREADABLE = 0, 1, 2
"""The exit codes."""


def main() -> int:
    """Verify the whole chain, print how far it reaches or where it breaks, and return the exit code."""
    given = _arguments()
    try:
        with ExitStack() as files:
            export = files.enter_context(given.export.open("x", encoding="utf-8")) if given.export else None
            lines = files.enter_context(given.file.open(encoding="utf-8", newline="")) if given.file else None
            return asyncio.run(_verify(given, lines, export))
    except OSError as error:
        sys.stderr.write(f"Not verified: {error.filename}: {error.strerror}.\n")
    except OrchestrationError as error:
        sys.stderr.write(f"Not verified: {error.detail}\n")
    return UNREADABLE


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m boot.audit",
        description="Verify the audit log's chain of hashes: changed, removed, inserted and swapped entries are found. "
        "Exits 0 where it holds, 1 where it is broken, 2 where it cannot be read. Changes nothing. Without --data-dir, "
        "--mongodb-url or --file it looks where the server's settings say.",
    )
    add_source(parser, ("--file", "an export, as --export writes it"))
    parser.add_argument(
        "--expect-last",
        type=_anchor,
        metavar="SEQ:HASH",
        help="what this program printed before: finds a tail cut off since, and a log written anew; it may have grown",
    )
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="write the verified entries to a new file, as JSON lines"
    )
    given = parser.parse_args()
    check_source(parser, given)
    return given


def _anchor(text: str) -> Anchor:
    try:
        return Anchor.parse(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(error.detail) from error


async def _verify(given: argparse.Namespace, lines: TextIO | None, export: TextIO | None) -> int:
    verification = Verification(given.expect_last)
    async with AsyncExitStack() as stack:
        entries = _read(lines) if lines else Audit(await open_records(stack, given)).entries()
        broken = await _followed(entries, verification, export)
    sys.stdout.write(f"{verification.last.seq} entries hold; last {verification.last}\n")
    if broken:
        sys.stdout.write(f"BROKEN at entry {broken.seq}: {broken.reason}\n")
    return BROKEN if broken else INTACT


async def _followed(entries: AsyncIterator[Entry], verification: Verification, export: TextIO | None) -> Break | None:
    try:
        async for entry in entries:
            if broken := verification.follow(entry):
                return broken
            if export:
                export.write(f"{entry.line()}\n")
    except InvalidInput as error:
        return Break(seq=verification.last.seq + 1, reason=error.detail)
    return verification.end()


async def _read(lines: TextIO) -> AsyncIterator[Entry]:
    for line in lines:
        yield entry_of_line(line.removesuffix("\n"))


if __name__ == "__main__":
    sys.exit(main())
