"""Facts and chains as tests of the audit log write them, and the program that verifies them."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from domain.audit import START, Entry, Fact, link

ROOT = Path(__file__).parent.parent

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def fact(number: int, **more: Any) -> Fact:
    return Fact(
        **{
            "event_id": f"approval.decided/apr_{number}",
            "event": "approval.decided",
            "at": NOON + timedelta(milliseconds=number),
            "actor": "ann",
            "request_id": f"apr_{number}",
            "outcome": "approved",
            "details": f'{{"approver_id":{number}}}',
            **more,
        }
    )


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(length):
        entries.append(link(entries[-1].anchor if entries else START, fact(number)))
    return entries


async def verifying(*arguments: str | Path, **environment: str) -> tuple[int, str]:
    """Run `python -m boot.audit` and return its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "boot.audit", *map(str, arguments)),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    return process.returncode or 0, told.decode()
