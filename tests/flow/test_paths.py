"""Whatever a model puts into a path argument, the request stays where the operation's path says."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.actions import Call
from domain.errors import InvalidArguments
from tests.downstream import Downstream, always, documented, serving
from tools.catalogue import Configured, ServiceEntry
from tools.http import Bounds
from tools.schemas import Schema
from tools.services import open_services
from tools.toolbox import Toolbox

ID: Schema = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "paths": {"/notes/{id}/text": {"get": {"operationId": "getText", "parameters": [ID]}}},
}
PIECES = ["%", "2", "25", "e", "E", "f", "F", "5c", ".", "..", "/", "\\", ";", "?", "#", " ", "a", "\uff0f", "\uff05"]

type Running = tuple[Toolbox, Downstream]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    app = Downstream(documented(DOCUMENT, always(200)))
    entry = ServiceEntry(url_setting="SHOP_URL", openapi="/openapi.json", operations=("getText",))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(app))
        one = Configured("shop", url, f"{url}/openapi.json", entry, {})
        opening = open_services([one], data_dir=tmp_path, bounds=Bounds(), now=lambda: datetime.now(UTC))
        yield Toolbox(await stack.enter_async_context(opening)), app


async def sent(running: Running, value: str) -> str | None:
    """Send a path argument and return the raw path as it arrived, `None` for an argument that was refused."""
    box, app = running
    call = Call(service="shop", operation="getText", arguments={"id": value})
    try:
        action = box.propose(call, run_id="r", step=1, index=0, thread_id="t", requester="ann", policy="p")
    except InvalidArguments:
        return None
    await box.execute(action, idempotency_key=None)
    return app.seen[-1].raw_path.decode("ascii")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("%252e%252e%252fadmin")
@example("..;x")
@example("50% of a.b")
@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
async def test_a_path_argument_never_leaves_its_segment(running: Running, value: str) -> None:
    path = await sent(running, value)
    for _ in range(4 if path is not None else 0):
        assert path is not None
        before, notes, segment, text = path.split("/")
        assert (before, notes, text) == ("", "notes", "text")
        assert segment.partition(";")[0] not in {"", ".", ".."} or segment.startswith(";")
        assert "\\" not in segment
        path = unquote(path)


async def test_ordinary_arguments_arrive_as_they_are(running: Running) -> None:
    values = ["a", "ü b", "50%", "x?y#z", "a;b", "...", "a+b&c=d"]
    assert [unquote(str(await sent(running, value))) for value in values] == [
        f"/notes/{value}/text" for value in values
    ]
