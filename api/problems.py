"""The one table from errors to HTTP: RFC 9457 problem details, each with a stable type."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from domain import errors

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.OrchestrationError], int] = {
    errors.InvalidInput: 422,
    errors.InvalidArguments: 422,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.ApprovalPending: 409,
    errors.ThreadBusy: 409,
    errors.AlreadyDecided: 409,
    errors.Duplicate: 409,
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

HEADERS: dict[int, dict[str, str]] = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}


def problem(
    status: int, name: str, detail: str, *, extra: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a problem document; its `type` is `/problems/{name}` and does not change."""
    body = {
        "type": f"/problems/{name}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **(extra or {}),
    }
    return JSONResponse(body, status, {**HEADERS.get(status, {}), **(headers or {})}, MEDIA_TYPE)


def name_of(error: type[errors.OrchestrationError]) -> str:
    """Return an error's stable name: `AlreadyDecided` is `already-decided`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in error.__name__).strip("-")


def status_of(error: type[errors.OrchestrationError]) -> int:
    """Return an error's HTTP status: its own or that of its nearest parent in the table."""
    return next((STATUS[each] for each in error.__mro__ if each in STATUS), 500)


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
    return problem(status, name_of(type(error)), error.detail, extra=error.extra)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class
    wrong = [{"where": list(each["loc"]), "message": each["msg"], "kind": each["type"]} for each in error.errors()]
    first = wrong[0]
    detail = f"{'.'.join(str(part) for part in first['where'])}: {first['message']}"
    return problem(422, "invalid-input", detail, extra={"errors": wrong[:20]})


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class
    name = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return problem(error.status_code, name, error.detail, headers=dict(error.headers or {}))


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    log.error("request_broke", path=request.url.path, exc_info=error)
    return problem(500, "internal-server-error", "This server has a defect here; its log tells more.")
