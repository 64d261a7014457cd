"""Operations: how the server is, what it is made of, and how it is configured."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, RedirectResponse

from api.access import Caller, Opened
from api.problems import STATUS, name_of, status_of
from api.shapes import ConfigOut, ConnectionStatsOut, FeatureStatusOut, HealthOut, problems
from domain.errors import NotFound

router = APIRouter(tags=["operations"])


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """Lead people to the API's pages."""
    return RedirectResponse("/docs")


@router.get("/health", response_model=HealthOut, responses=problems())
async def health(container: Opened) -> Response:
    """Tell how the server and everything it leans on are, by live probes a few seconds old at most.

    `healthy`, or `degraded` while something does not answer: the server itself answers either way.
    """
    return JSONResponse(await container.status.health())


@router.get("/feature-status", response_model=FeatureStatusOut, responses=problems())
async def feature_status(container: Opened, principal: Caller) -> Response:
    """Tell which features are there and which form of every port is in use, since when, and what is lost by it."""
    principal.require("operator", "approver", "user")
    return JSONResponse(await container.status.feature_status())


@router.get("/config", response_model=ConfigOut, responses=problems())
async def config(container: Opened, principal: Caller) -> Response:
    """Return every setting in force; secrets are masked."""
    principal.require("operator")
    return JSONResponse(container.status.config())


@router.get("/connection-stats", response_model=ConnectionStatsOut, responses=problems())
async def connection_stats(container: Opened, principal: Caller) -> Response:
    """Return the connection pools, by service."""
    principal.require("operator")
    return JSONResponse(container.status.connection_stats())


@router.get("/problems/{name}", responses=problems(404))
async def problem_type(name: str) -> dict[str, str | int]:
    """Explain the type of a problem."""
    for error in STATUS:
        if name_of(error) == name:
            return {
                "type": f"/problems/{name}",
                "status": status_of(error),
                "meaning": (error.__doc__ or "").split("\n")[0],
            }
    raise NotFound("There is no such type of problem.")
