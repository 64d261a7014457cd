"""The page that shows the API needs no other host, and nothing on it can run but its own script."""

import base64
import hashlib
import re

import pytest

from boot.settings import Settings
from server import create_app
from tests.running import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_page_loads_nothing_from_elsewhere(shared: Served) -> None:
    answer = await shared.client.get("/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "//" not in re.sub(r"<script>.*</script>|<!--.*?-->", "", answer.text, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="([^"]*)"', answer.text) == ["openapi.json"]


async def test_the_page_runs_its_own_style_and_script_only(shared: Served) -> None:
    answer = await shared.client.get("/docs")
    policy = answer.headers["content-security-policy"]
    for kind in ("style", "script"):
        source = answer.text.partition(f"<{kind}>")[2].partition(f"</{kind}>")[0]
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")


async def test_the_page_shows_every_operation_with_its_example(shared: Served) -> None:
    text = (await shared.client.get("/docs")).text
    for path, item in create_app(Settings(_env_file=None)).openapi()["paths"].items():
        for method, operation in item.items():
            assert f'<details id="{operation["operationId"]}"><summary><b>{method.upper()}</b>' in text
            assert f'data-path="{path}"' in text
    assert "which pets are available?" in text


async def test_the_root_leads_to_the_page(shared: Served) -> None:
    answer = await shared.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect"])
async def test_pages_with_foreign_scripts_are_gone(shared: Served, path: str) -> None:
    assert (await shared.client.get(path)).status_code == 404
