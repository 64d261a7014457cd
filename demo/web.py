"""What the demo services have in common over HTTP: health, a transaction per request, and errors."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from demo.database import Database, DatabaseUnavailable, Transaction

LARGEST_ID = 2**53 - 1
"""The largest integer that every JSON reader takes exactly."""


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("may not hold NUL characters")
    return text


Storable = Annotated[str, AfterValidator(_storable)]
"""A text that every database can hold; PostgreSQL cannot store NUL."""
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Text = Annotated[Storable, Field(min_length=1, max_length=200)]
OptionalId = Id | SkipJsonSchema[None]
OptionalText = Text | SkipJsonSchema[None]


class Strict(BaseModel):
    """A body that is refused when it holds a member we do not know."""

    model_config = ConfigDict(extra="forbid")


async def _transaction(request: Request) -> AsyncIterator[Transaction]:
    database: Database = request.app.state.database
    async with database.transaction() as transaction:
        yield transaction


Store = Annotated[Transaction, Depends(_transaction, scope="function")]
"""The request's transaction; kept before the answer leaves, undone when the request is refused."""


def found[T](thing: T | None, what: str) -> T:
    """Return the thing; raises `HTTPException` 404 when there is none."""
    if thing is None:
        raise HTTPException(404, f"There is no {what}.")
    return thing


def because(status: int, reason: str) -> dict[int | str, dict[str, object]]:
    """Return how an OpenAPI document tells that an operation may answer with this status."""
    return {status: {"description": reason}}


def create_shell(app: FastAPI, database: Database, seed: Callable[[Transaction], Awaitable[None]]) -> FastAPI:
    """Return a server for the service, with `GET /health` and its data.

    Args:
        app: The service's operations.
        database: Open while the server runs.
        seed: Creates the tables, and fills them when they are new.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with database:
            async with database.transaction() as transaction:
                await seed(transaction)
            yield

    app.router.lifespan_context = lifespan
    app.add_api_route("/health", _health, include_in_schema=False)
    return with_store(app, database)


def with_store(app: FastAPI, database: Database) -> FastAPI:
    """Return the application, its requests on the database, its errors answered."""
    app.state.database = database
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(DatabaseUnavailable, _unavailable)
    return app


def utc_now() -> datetime:
    """Return the time by this machine's clock."""
    return datetime.now(UTC)


async def _health() -> dict[str, str]:
    return {"status": "healthy"}


async def _invalid(_: Request, error: Exception) -> Response:
    """Answer 422 without the offending input: it may hold what JSON or UTF-8 cannot carry."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{"type": fault["type"], "loc": list(fault["loc"]), "msg": fault["msg"]} for fault in faults]
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")


async def _unavailable(_: Request, error: Exception) -> Response:
    body = json.dumps({"detail": "The service cannot reach its data. Try again later."})
    return Response(body, 503, media_type="application/json", headers={"Retry-After": "5"})
