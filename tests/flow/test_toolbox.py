"""The toolbox against real downstreams: proposals, and what is on the wire when they are executed."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domain.actions import Action, Call
from domain.canonical import JSON
from domain.errors import InvalidArguments, ServiceFailed, ServiceRefused, ServiceUnavailable
from tests.downstream import Behaviour, Downstream, Recorded, Reply, always, documented, serving, unused_port
from tests.shop import DOCUMENT, SENT, Clock, opened, shop
from tools.schemas import Schema
from tools.toolbox import Toolbox


@asynccontextmanager
async def toolbox(
    folder: Path, *script: Behaviour, last: Behaviour | None = None
) -> AsyncIterator[tuple[Toolbox, Downstream]]:
    """Yield a toolbox over one service, and the service with the reading of its document already forgotten."""
    app = Downstream(documented(DOCUMENT, last or always(200, {"b": 1, "a": [True]})))
    async with serving(app) as url, opened(folder, shop(url)) as services:
        app.seen.clear()
        app.script += script
        yield Toolbox(services), app


def proposed(
    box: Toolbox, operation: str, arguments: dict[str, JSON], *, run_id: str = "run-1", index: int = 0
) -> Action:
    call = Call(service="shop", operation=operation, arguments=arguments)
    return box.propose(call, run_id=run_id, step=1, index=index, thread_id="t", requester="ann", policy="p1")


async def test_operations_are_read_at_start_in_the_order_allowed(tmp_path: Path) -> None:
    async with toolbox(tmp_path) as (box, app):
        operations = box.operations()
        assert [(each.name, each.path, each.idempotency_key) for each in operations] == [
            ("addNote", "/v1/notes", False),
            ("getText", "/v1/notes/{id}/text", False),
            ("putNote", "/v1/notes", True),
        ]
        assert box.operations() is operations
        assert app.seen == []


async def test_a_proposal_is_frozen_and_repeatable(tmp_path: Path) -> None:
    async with toolbox(tmp_path) as (box, app):
        action = proposed(box, "addNote", {"text": "hi", "n": "5"})
        assert (action.arguments, action.effect, action.method) == ('{"n":5,"text":"hi"}', "write", "POST")
        assert action.url.endswith("/v1/notes")
        assert (action.action_id[:4], len(action.action_id), len(action.digest)) == ("act_", 28, 64)
        assert proposed(box, "addNote", {"n": 5.0, "text": "hi"}) == action
        assert proposed(box, "addNote", {"text": "hi", "n": 5}, index=1).action_id != action.action_id
        assert proposed(box, "addNote", {"text": "ho", "n": 5}).digest != action.digest
        assert app.seen == []


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "message"),
    [
        ("shop", "addNotes", {}, 'shop has no operation "addNotes". Operations: addNote, putNote.'),
        ("shoop", "addNote", {}, 'There is no service "shoop". Services: shop.'),
        ("shop", "addNote", {"txt": "a"}, 'shop.addNote: the arguments lack text; there is no argument "txt". Its arg'),
        ("shop", "getText", {"id": "../x"}, 'Argument "id" goes into the path'),
    ],
)  # fmt: skip
async def test_a_bad_call_is_refused_in_useful_words(
    tmp_path: Path, service: str, operation: str, arguments: Schema, message: str
) -> None:
    async with toolbox(tmp_path) as (box, _):
        call = Call(service=service, operation=operation, arguments=arguments)
        with pytest.raises(InvalidArguments) as caught:
            box.propose(call, run_id="r", step=1, index=0, thread_id="t", requester="ann", policy="p")
        assert caught.value.detail.startswith(message)


async def test_exactly_the_frozen_arguments_are_sent(tmp_path: Path) -> None:
    async with toolbox(tmp_path) as (box, app):
        action = proposed(box, "addNote", {"text": "é\u2028", "n": 1})
        result = await box.execute(action, idempotency_key="k-1")
        (seen,) = app.seen
        assert (seen.method, seen.raw_path, seen.body) == ("POST", b"/v1/notes", '{"n":1,"text":"é\u2028"}'.encode())
        assert (seen.headers["content-type"], seen.headers["idempotency-key"]) == ("application/json", "k-1")
        assert (result.outcome, result.http_status, result.body) == ("executed", 200, '{"a":[true],"b":1}')
        assert (result.action_id, result.duration_ms > 0) == (action.action_id, True)


async def test_a_key_allows_retries_only_where_it_is_honoured(tmp_path: Path) -> None:
    async with toolbox(tmp_path, always(503), always(503)) as (box, app):
        with pytest.raises(ServiceFailed):
            await box.execute(proposed(box, "addNote", {"text": "a"}), idempotency_key="k-1")
        await box.execute(proposed(box, "putNote", {"text": "a"}), idempotency_key="k-2")
        assert [(seen.method, seen.headers["idempotency-key"]) for seen in app.seen] == [
            ("POST", "k-1"),
            ("PUT", "k-2"),
            ("PUT", "k-2"),
        ]


async def test_an_operation_that_changed_since_is_not_sent(tmp_path: Path) -> None:
    clock, app = Clock(), Downstream(always(200, DOCUMENT))
    async with serving(app) as url, opened(tmp_path, shop(url), now=clock) as services:
        box = Toolbox(services)
        moved, gone = proposed(box, "addNote", {"text": "a"}), proposed(box, "getText", {"id": "1"})
        app.last = always(200, {"openapi": "3.1.0", "paths": {"/v2": {"post": {"operationId": "addNote", **SENT}}}})
        clock.advance(6)
        await services.health()
        for action in (moved, gone):
            with pytest.raises(ServiceRefused) as caught:
                await box.execute(action, idempotency_key="k")
            assert (caught.value.status, caught.value.may_have_applied) == (None, False)
        assert {seen.method for seen in app.seen} == {"GET"}


async def test_an_action_of_a_service_with_no_known_document_was_not_sent(tmp_path: Path) -> None:
    async with toolbox(tmp_path) as (box, _):
        action = proposed(box, "getText", {"id": "1"})
    async with unused_port() as port, opened(tmp_path / "new", shop(f"http://127.0.0.1:{port}")) as services:
        with pytest.raises(ServiceUnavailable):
            await Toolbox(services).execute(action, idempotency_key=None)


@pytest.mark.parametrize(
    ("content_type", "content", "body"),
    [
        ("application/problem+json", b'{"b": 1.0, "a": null}', '{"a":null,"b":1}'),
        ("application/json", b"{nonsense", "{nonsense"),
        ("application/json", b"[12345678901234567890]", "[12345678901234567890]"),
        ("text/plain; charset=iso-8859-1", b"caf\xe9", "café"),
        ("text/plain; charset=rot13", b"\xff", "\ufffd"),
        ("application/json", b'"' + b"x" * 70_000 + b'"', '"' + "x" * 63_999 + "… [truncated: 64000 of 70002 bytes]"),
    ],
    ids=["json", "malformed", "inexact", "latin-1", "odd charset", "large"],
)
async def test_an_answer_is_kept_as_canonical_json_or_text(
    tmp_path: Path, content_type: str, content: bytes, body: str
) -> None:
    async def reply(request: Recorded) -> Reply:
        return 200, {"content-type": content_type, "content-encoding": "gzip"}, gzip.compress(content)

    async with toolbox(tmp_path, reply) as (box, _):
        result = await box.execute(proposed(box, "getText", {"id": "1"}), idempotency_key=None)
        assert result.body == body
