"""Services: their reads, passed through the same clients, checks and pools that the agent uses."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from api.access import Caller, Opened
from api.shapes import problems
from boot.container import Container
from domain.actions import Call, Operation
from domain.errors import NotFound

router = APIRouter(tags=["services"])

type Below = Annotated[str, Path(description="A path of the service's own API", examples=["pet/3"])]


@router.get("/petstore/{path:path}", responses=problems(404, 502, 504))
async def petstore(path: Below, request: Request, container: Opened, principal: Caller) -> Response:
    """Read from the pet store: only operations the agent may call, checked against their schema."""
    return await _read("petstore", path, request, container)


@router.get("/vehicles/{path:path}", responses=problems(404, 502, 504))
async def vehicles(path: Below, request: Request, container: Opened, principal: Caller) -> Response:
    """Read from the vehicles API: only operations the agent may call, checked against their schema."""
    return await _read("vehicles", path, request, container)


async def _read(service: str, path: str, request: Request, container: Container) -> Response:
    wanted = [each for each in container.services.operations() if each.service == service and each.method == "GET"]
    for operation in wanted:
        if (found := _bound(operation, path)) is not None:
            call = Call(service=service, operation=operation.name, arguments={**_query(operation, request), **found})
            action = container.toolbox.propose(
                call, run_id="", step=0, index=0, thread_id="", requester="", policy=container.parts.policy.version
            )
            result = await container.toolbox.execute(action, idempotency_key=None)
            return Response(result.body, result.http_status or 200, media_type="application/json")
    raise NotFound(f"{service} offers no read at this path.")


def _bound(operation: Operation, path: str) -> dict[str, Any] | None:
    """Return the path's arguments if it is one of the operation's, else None."""
    template, given = operation.path.strip("/").split("/"), path.strip("/").split("/")
    offset = len(template) - len(given)
    if offset < 0 or any("{" in part for part in template[:offset]):
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
