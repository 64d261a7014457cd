"""The README's tour, word for word: its commands run in a shell against the real server."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from tests.asking import refunds
from tests.running import ROOT, Served
from tests.services import DemoServices


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour uses curl")
async def test_the_tour_of_the_readme_works_as_it_is_written(
    server: Served, demo: DemoServices, tmp_path: Path
) -> None:
    tour = "\n".join(re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL))
    script = (
        tour.replace("localhost:8700", server.url.removeprefix("http://"))
        .replace("localhost:8099", demo["cloudapp"].removeprefix("http://"))
        .replace("/tmp/", f"{tmp_path}/")  # noqa: S108  # the tour's own scratch file
    )
    shell = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = (text.decode() for text in await shell.communicate())
    assert (shell.returncode, complained) == (0, "")
    states = ("awaiting_approval", "approved", "rejected", "expired")
    for expected in ("Whiskers", *(f'"{state}"' for state in states), "event: done", "which pets are available?"):
        assert expected in said
    async with asyncio.timeout(10):
        while len(made := await refunds(demo["cloudapp"])) < 2:  # noqa: ASYNC110  # the run goes on by itself
            await asyncio.sleep(0.05)
    assert [refund["amount"] for refund in made] == [500, 40]
