"""What a handler needs: the opened application and who is calling."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from boot.container import Container
from domain.principals import Principal

# Both dependencies are coroutines although they wait for nothing: FastAPI sends plain functions to a thread each.
bearer = HTTPBearer(auto_error=False, description="An API key as bearer token")
header = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key")


async def opened(request: Request) -> Container:
    """Return what the lifespan opened."""
    container: Container = request.app.state.container
    return container


async def caller(
    container: Annotated[Container, Depends(opened)],
    token: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    key: Annotated[str | None, Security(header)],
) -> Principal:
    """Return who calls; raises `Unauthenticated`."""
    return container.keys.principal(token.credentials if token else key)


type Opened = Annotated[Container, Depends(opened)]
type Caller = Annotated[Principal, Depends(caller)]
