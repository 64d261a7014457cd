"""What a handler needs: the opened application and who is calling."""

import base64
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
        return container.keys.principal(self._key(scheme.lower(), token) or request.headers.get("X-API-Key"))

    def _key(self, scheme: str, token: str) -> str:
        return token if scheme == "bearer" else ""


class PageKey(Key):
    """The same for a page: a browser asks for a name and a password, and sends the key as password (RFC 7617).

    For pages that show and do nothing: what a browser sends by itself, another site's page can make it send.
    """

    async def __call__(self, request: Request) -> Principal:
        """Return who calls; raises `Unauthenticated`, which makes a browser ask."""
        request.state.challenge = 'Basic realm="An API key as password", charset="UTF-8"'
        return await super().__call__(request)

    def _key(self, scheme: str, token: str) -> str:
        if scheme != "basic":
            return super()._key(scheme, token)
        try:
            return base64.b64decode(token, validate=True).decode().partition(":")[2]
        except ValueError:
            return ""


async def opened(request: Request) -> Container:
    """Return what the lifespan opened."""
    container: Container = request.app.state.container
    return container


type Opened = Annotated[Container, Depends(opened)]
type Caller = Annotated[Principal, Security(Key())]
type Viewer = Annotated[Principal, Security(PageKey())]
