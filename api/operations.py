"""Operations: how the server is, what it is made of, and how it is configured."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse, RedirectResponse

from api.access import Caller, Opened
from api.document import refusals
from api.problems import meaning_of
from api.shapes import ConfigOut, ConnectionStatsOut, FeatureStatusOut, HealthOut, ProblemTypeOut
from domain.errors import NotFound

router = APIRouter(tags=["operations"])

type ProblemName = Annotated[str, Path(description="The last part of a problem's `type`", examples=["not-found"])]


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """Lead people to the API's pages."""
    return RedirectResponse("/docs")


@router.get("/health", response_model=HealthOut)
async def get_health(container: Opened) -> Response:
    """Tell how the server and everything it leans on are, by live probes a few seconds old at most.

    `healthy`, or `degraded` while something does not answer: the server itself answers either way.
    """
    return JSONResponse(await container.status.health())


@router.get("/feature-status", response_model=FeatureStatusOut)
async def get_feature_status(container: Opened, principal: Caller) -> Response:
    """Tell which features are there and which form of every port is in use, since when, and what is lost by it."""
    principal.require("operator", "approver", "user")
    return JSONResponse(await container.status.feature_status())


@router.get("/config", response_model=ConfigOut)
async def get_config(container: Opened, principal: Caller) -> Response:
    """Return every setting in force; secrets are masked."""
    principal.require("operator")
    return JSONResponse(container.status.config())


@router.get("/connection-stats", response_model=ConnectionStatsOut)
async def get_connection_stats(container: Opened, principal: Caller) -> Response:
    """Return the connection pools, by service."""
    principal.require("operator")
    return JSONResponse(container.status.connection_stats())


@router.get("/problems/{name}", responses=refusals(404))
async def explain_problem(name: ProblemName) -> ProblemTypeOut:
    """Explain a type of problem."""
    known = meaning_of(name)
    if known is None:
        raise NotFound("There is no such type of problem.")
    status, meaning = known
    return ProblemTypeOut(type=f"/problems/{name}", status=status, meaning=meaning)
