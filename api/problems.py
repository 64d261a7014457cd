"""The one table from errors to HTTP: RFC 9457 problem details, each with a stable type."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from domain import errors

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.OrchestrationError], int] = {
    errors.InvalidInput: 422,
    errors.InvalidArguments: 422,
    errors.UnreadableDocument: 422,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotEligible: 403,
    errors.EditDenied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.ApprovalPending: 409,
    errors.ThreadBusy: 409,
    errors.AlreadyDecided: 409,
    errors.AlreadyReconciled: 409,
    errors.AlreadyVoted: 409,
    errors.DigestChanged: 409,
    errors.KeyReused: 409,
    errors.Duplicate: 409,
    errors.Outdated: 412,
    errors.VersionNeeded: 428,
    errors.RunFailed: 500,
    errors.RunInterrupted: 503,
    errors.ConfigurationError: 500,
    errors.StoreError: 500,
    errors.StoreUnavailable: 503,
    errors.ModelError: 502,
    errors.ModelUnavailable: 503,
    errors.ServiceError: 502,
    errors.ServiceUnavailable: 503,
    errors.ServiceTimeout: 504,
}
"""The status of each error; a class that is not listed has its parent's."""

OTHERS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be read."),
    "malformed-json": (
        400,
        "The body is not JSON that this server takes: RFC 8259, no NaN, no lone surrogates, no name twice.",
    ),
    "method-not-allowed": (405, "The path exists, but not for this method; `Allow` tells which it takes."),
    "content-too-large": (413, "The body is larger than MAX_BODY_BYTES, or MAX_DOCUMENT_BYTES for a document."),
    "internal-server-error": (500, "The server has a defect; its log tells more."),
}
"""Problems that no error of ours stands for: the status and the meaning of each."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
HEADERS: dict[int, dict[str, str]] = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}


def problem(
    status: int, name: str, detail: str, *, extra: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a problem document; its `type` is `/problems/{name}` and does not change."""
    body = _document(status, name, detail, extra)
    return JSONResponse(body, status, {**HEADERS.get(status, {}), **(headers or {})}, MEDIA_TYPE)


def problem_of(error: errors.OrchestrationError) -> dict[str, Any]:
    """Return an error's problem document, for an answer that tells of several."""
    return _document(status_of(type(error)), name_of(type(error)), error.detail, error.extra)


def _document(status: int, name: str, detail: str, extra: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "type": f"/problems/{name}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **(extra or {}),
    }


def name_of(error: type[errors.OrchestrationError]) -> str:
    """Return an error's stable name: `AlreadyDecided` is `already-decided`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in error.__name__).strip("-")


def status_of(error: type[errors.OrchestrationError]) -> int:
    """Return an error's HTTP status: its own or that of its nearest parent in the table."""
    return next((STATUS[each] for each in error.__mro__ if each in STATUS), 500)


def meaning_of(name: str) -> tuple[int, str] | None:
    """Return the status and the meaning of a type of problem, or None if there is none of this name."""
    for error in _every(errors.OrchestrationError):
        if name_of(error) == name:
            return status_of(error), (error.__doc__ or "").partition("\n")[0]
    return OTHERS.get(name)


def install(app: FastAPI) -> None:
    """Let the application answer every error as a problem."""
    app.add_exception_handler(errors.OrchestrationError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unknown)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.OrchestrationError)  # noqa: S101  # registered for this class
    status = status_of(type(error))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_failed", error=type(error).__name__, detail=error.detail, path=request.url.path)
    seconds = error.retry_after if isinstance(error, errors.CircuitOpen) else None
    headers = {"Retry-After": str(seconds)} if seconds else {}
    if status == HTTPStatus.UNAUTHORIZED and (challenge := getattr(request.state, "challenge", None)):
        headers["WWW-Authenticate"] = challenge
    return problem(status, name_of(type(error)), error.detail, extra=error.extra, headers=headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class
    wrong = [{"where": list(each["loc"]), "message": each["msg"], "kind": each["type"]} for each in error.errors()]
    first = wrong[0]
    detail = f"{'.'.join(str(part) for part in first['where'])}: {first['message']}"
    if first["where"] == ["body"] and "json" not in request.headers.get("content-type", "json"):
        detail = f"{detail}. It is read as JSON with `Content-Type: application/json` only."
    return problem(422, "invalid-input", detail, extra={"errors": wrong[:20]})


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class
    name = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(_allowed(request))}
    return problem(error.status_code, name, error.detail, headers=headers)


def _allowed(request: Request) -> list[str]:
    """Return the methods of every route at the request's path; the first route that fits knows its own only."""
    routes, scope = request.app.routes, request.scope
    found = [each for each in METHODS if any(_takes(route, {**scope, "method": each}) for route in routes)]
    return ["HEAD", *found] if "GET" in found else found


def _takes(route: BaseRoute, scope: Scope) -> bool:
    return route.matches(scope)[0] is Match.FULL


def _every(error: type[errors.OrchestrationError]) -> Iterator[type[errors.OrchestrationError]]:
    yield error
    for each in error.__subclasses__():
        yield from _every(each)


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    log.error("request_broke", path=request.url.path, exc_info=error)
    return problem(500, "internal-server-error", "This server has a defect here; its log tells more.")
