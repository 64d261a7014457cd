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
    for expected in ("Whiskers", '"awaiting_approval"', '"approved"', "event: done", "which pets are available?"):
        assert expected in said
    assert [refund["amount"] for refund in await refunds(demo["cloudapp"])] == [500]
