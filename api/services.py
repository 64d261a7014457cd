"""Services: their reads, passed through the same clients, checks and pools that the agent uses."""

from collections.abc import Sequence
from http import HTTPStatus
from os.path import commonprefix
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from api.access import Caller, Opened
from api.document import refusals
from boot.container import Container
from domain.actions import Action, Call, Operation, Result
from domain.errors import NotFound, ServiceRefused

router = APIRouter(tags=["services"])

PASSED: dict[int | str, dict[str, Any]] = {200: {"description": "The service's own answer"}}

BELOW = "A path of the service's own API; the query is passed on too"


@router.get("/petstore/{path:path}", responses=PASSED | refusals(404, 502, 504))
async def read_petstore(
    path: Annotated[str, Path(description=BELOW, examples=["pet/3"])],
    request: Request,
    container: Opened,
    principal: Caller,
) -> Response:
    """Read from the pet store: only operations the agent may call, checked against their schema."""
    return await _read("petstore", path, request, container)


@router.get("/vehicles/{path:path}", responses=PASSED | refusals(404, 502, 504))
async def read_vehicles(
    path: Annotated[str, Path(description=BELOW, examples=["vehicles"])],
    request: Request,
    container: Opened,
    principal: Caller,
) -> Response:
    """Read from the vehicles API: only operations the agent may call, checked against their schema."""
    return await _read("vehicles", path, request, container)


async def _read(service: str, path: str, request: Request, container: Container) -> Response:
    offered = [each for each in container.services.operations() if each.service == service]
    base = _base(offered)
    for operation in offered:
        if operation.method == "GET" and (found := _bound(operation, path, base)) is not None:
            call = Call(service=service, operation=operation.name, arguments={**_query(operation, request), **found})
            action = container.toolbox.propose(
                call,
                run_id="",
                step=0,
                index=0,
                thread_id="",
                requester="",
                policy=container.policies.current().version,
            )
            result = await _sent(action, container)
            return Response(result.body, result.http_status or 200, media_type="application/json")
    raise NotFound(f"{service} offers no read at this path.")


async def _sent(action: Action, container: Container) -> Result:
    """Return the service's answer; what it does not have is not found here either, and no failure of it."""
    try:
        return await container.toolbox.execute(action, idempotency_key=None)
    except ServiceRefused as refusal:
        if refusal.status != HTTPStatus.NOT_FOUND:
            raise
        raise NotFound(f"{action.service} has nothing at this path.") from refusal


def _base(offered: Sequence[Operation]) -> int:
    """Return how many leading parts all paths of a service share, such as the two of `/api/v3`."""
    return len(commonprefix([each.path.strip("/").split("/") for each in offered]))  # noqa: RUF071 # of lists


def _bound(operation: Operation, path: str, base: int) -> dict[str, Any] | None:
    """Return the path's arguments if it is one of the operation's, with or without the service's base, else None."""
    template, given = operation.path.strip("/").split("/"), path.strip("/").split("/")
    offset = len(template) - len(given)
    if offset not in (0, base) or "{" in template[offset]:
        return None
    pairs = list(zip(template[offset:], given, strict=True))
    if any("{" not in part and part != value for part, value in pairs):
        return None
    return {part.strip("{}"): value for part, value in pairs if "{" in part}


def _query(operation: Operation, request: Request) -> dict[str, Any]:
    given = request.query_params
    return {name: _typed(operation, name, given.getlist(name)) for name in given}


def _typed(operation: Operation, name: str, values: list[str]) -> Any:
    """Return a query's value as its schema wants it; the schema itself is checked later."""
    properties: Any = operation.arguments.get("properties", {})
    kind = properties.get(name, {}).get("type")
    if kind == "array":
        return values
    return values[-1] == "true" if kind == "boolean" and values[-1] in ("true", "false") else values[-1]
