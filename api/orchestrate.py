"""Orchestrate: a message in, a reply or a pause out, at once or as a stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.access import Caller, Opened
from api.answer_shapes import NOTHING, AnswerIn, ResumeIn
from api.document import refusals
from api.shapes import MessageIn, OrchestrationId, OrchestrationOut, OrchestrationsIn, OrchestrationsOut
from boot.container import Container
from domain.errors import Conflict, InvalidInput, RunFailed, ServiceError
from domain.principals import Principal
from domain.runs import ACTIVE, Run
from graph.events import START, EventName, Position, event_id, parse_position
from graph.runs import Asked

router = APIRouter(tags=["orchestrate"])

type LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[^:]{1,64}:[0-9]{1,15}:[0-9]{1,15}$",
        description="Where a reader left off: the id of the last event it got",
    ),
]

PAUSE: dict[int | str, dict[str, Any]] = {
    202: {"model": OrchestrationOut, "description": "An action waits for a human, or for its service"}
}
EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "What to send as `Last-Event-ID` to go on behind this event"},
        "event": {"type": "string", "enum": list(get_args(EventName.__value__))},
        "data": {"type": "string", "contentMediaType": "application/json", "description": "A JSON object"},
    },
    "required": ["id", "event", "data"],
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events, until the run ends or pauses",
        "content": {"text/event-stream": {"itemSchema": EVENT}},
    }
}


@router.post("/orchestrate", response_model=OrchestrationOut, responses=PAUSE | refusals(409))
async def orchestrate(given: MessageIn, container: Opened, principal: Caller) -> Response:
    """Run one message to its reply, or to the point where a human has to decide."""
    live = await container.orchestrations.start(_asked(given, container, principal))
    return await _reply(container, await live.at_rest())


@router.post("/orchestrate/stream", response_class=EventSourceResponse, responses=EVENTS | refusals(404, 409))
async def orchestrate_stream(
    given: MessageIn, container: Opened, principal: Caller, last_event_id: LastEventId = None
) -> EventSourceResponse:
    """The same as server-sent events: node, token, action, approval, then done or error.

    With `Last-Event-ID` no second run begins: the stream goes on behind that event.
    """
    if last_event_id is not None:
        return await _stream(container, principal, *_position(last_event_id))
    live = await container.orchestrations.start(_asked(given, container, principal))
    return await _stream(container, principal, live.run.run_id, START)


@router.get("/orchestrations", response_model=OrchestrationsOut)
async def list_orchestrations(
    given: Annotated[OrchestrationsIn, Query()], container: Opened, principal: Caller
) -> Response:
    """List runs, newest first; those of one user and session are that conversation's transcript."""
    runs = await container.runs.page(owner=principal.sees(), **given.model_dump(exclude_none=True))
    last = runs[-1].run_id if len(runs) == given.limit else None
    shown = await asyncio.gather(*map(container.orchestrations.standing, runs))
    return JSONResponse({"orchestrations": shown, "next": last})


@router.get("/orchestrations/{orchestration_id}", response_model=OrchestrationOut, responses=refusals(404))
async def get_orchestration(orchestration_id: OrchestrationId, container: Opened, principal: Caller) -> Response:
    """Return how a run stands."""
    run = await container.runs.get(orchestration_id, owner=principal.sees())
    return JSONResponse(await container.orchestrations.standing(run))


@router.get(
    "/orchestrations/{orchestration_id}/stream",
    response_class=EventSourceResponse,
    responses=EVENTS | refusals(404, 409),
)
async def join_orchestration(
    orchestration_id: OrchestrationId, container: Opened, principal: Caller, last_event_id: LastEventId = None
) -> EventSourceResponse:
    """Join a run's events, from the beginning or behind `Last-Event-ID`."""
    run_id, after = _position(last_event_id) if last_event_id is not None else (orchestration_id, START)
    if run_id != orchestration_id:
        raise Conflict("Last-Event-ID belongs to another orchestration.")
    return await _stream(container, principal, orchestration_id, after)


@router.post(
    "/orchestrations/{orchestration_id}/resume", response_model=OrchestrationOut, responses=PAUSE | refusals(404, 409)
)
async def resume_orchestration(
    orchestration_id: OrchestrationId,
    query: Annotated[ResumeIn, Query()],
    container: Opened,
    principal: Caller,
    given: AnswerIn = NOTHING,
) -> Response:
    """Wait for a run and return its reply: joins it while it runs, sets it going if its approvals are decided.

    A run that waits for a service whose circuit is open is answered at once, with 202 and what it waits for. With a
    body it decides first what the run waits for, as the route for decisions does; that takes an approver. Who answers
    for a run of somebody else's gets what approvers see of it: what waits and what was sent, not the conversation.
    """
    if given.root is not None:
        principal.require("approver")
        run = await container.runs.get(orchestration_id, owner=principal.sees("approver"))
        await container.answers.take(run.run_id, given.model_dump(mode="json"), digest=query.digest, by=principal)
        if principal.sees() not in (None, run.owner):
            with suppress(RunFailed, ServiceError):  # why it failed is the owner's to read
                await container.orchestrations.resume(run.run_id, owner=run.owner)
            run, shown = await container.orchestrations.standing_for_approver(run.run_id)
            return _answered(run, shown)
    return await _reply(container, await container.orchestrations.resume(orchestration_id, owner=principal.sees()))


@router.post("/orchestrations/{orchestration_id}/cancel", response_model=OrchestrationOut, responses=refusals(404, 409))
async def cancel_orchestration(orchestration_id: OrchestrationId, container: Opened, principal: Caller) -> Response:
    """Stop a run for good; an action that is being sent is finished first."""
    cancelling = container.orchestrations.cancel(orchestration_id, owner=principal.sees(), by=principal.name)
    return JSONResponse(await container.orchestrations.standing(await cancelling))


def _asked(given: MessageIn, container: Container, principal: Principal) -> Asked:
    principal.require("user")
    most = container.settings.max_message_chars
    if not given.message.strip():
        raise InvalidInput("The message is empty.")
    if len(given.message) > most:
        raise InvalidInput(f"The message has {len(given.message)} characters; at most {most} are taken.")
    return Asked(owner=principal.name, **given.model_dump())


async def _reply(container: Container, run: Run) -> JSONResponse:
    return _answered(run, await container.orchestrations.standing(run))


def _answered(run: Run, shown: dict[str, Any]) -> JSONResponse:
    return JSONResponse(shown, 202 if run.status in ACTIVE else 200)


def _position(last_event_id: str) -> tuple[str, Position]:
    found = parse_position(last_event_id)
    if found is None:
        raise InvalidInput("Last-Event-ID is not the id of an event of this server.")
    return found


async def _stream(container: Container, principal: Principal, run_id: str, after: Position) -> EventSourceResponse:
    run = await container.runs.get(run_id, owner=principal.sees())

    async def events() -> AsyncIterator[ServerSentEvent]:
        async for event in container.orchestrations.follow(run_id, owner=run.owner, after=after):
            data = json.dumps(event.data, separators=(",", ":"), ensure_ascii=False)
            yield ServerSentEvent(data, event=event.name, id=event_id(run_id, event.position))

    return EventSourceResponse(events(), ping=15, send_timeout=30, headers={"Location": f"/orchestrations/{run_id}"})
