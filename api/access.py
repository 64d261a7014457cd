"""What a handler needs: the opened application and who is calling."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param

from boot.container import Container
from domain.principals import Principal

# The dependencies are coroutines although they wait for nothing: FastAPI sends plain functions to a thread each. And
# they need no others: FastAPI walks every one of a tree for every request.


class Key(SecurityBase):
    """A caller's API key: a bearer token, or in `X-API-Key`, which `api/document.py` adds to the document."""

    def __init__(self) -> None:
        self.model = HTTPBearer(description="An API key as bearer token")
        self.scheme_name = "HTTPBearer"

    async def __call__(self, request: Request) -> Principal:
        """Return who calls; raises `Unauthenticated`."""
        container: Container = request.app.state.container
        scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
        return container.keys.principal(
            token if token and scheme.lower() == "bearer" else request.headers.get("X-API-Key")
        )


async def opened(request: Request) -> Container:
    """Return what the lifespan opened."""
    container: Container = request.app.state.container
    return container


type Opened = Annotated[Container, Depends(opened)]
type Caller = Annotated[Principal, Security(Key())]
