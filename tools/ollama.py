"""The language model on an Ollama server: asking it, and whether it can be asked."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import httpx2

from domain.conversation import Decision, OnToken, Turn
from domain.errors import ConfigurationError, ModelUnavailable
from tools.answer import Answer
from tools.model import (
    AbsentModel,
    FallbackModel,
    LoneModel,
    Model,
    ModelHealth,
    ModelOptions,
    ModelTimeouts,
    TunableModel,
    missing,
)
from tools.prompt import Prompt, prompt
from tools.sent import called

if TYPE_CHECKING:
    from tools.ollama_client import Chats

HEALTH_SECONDS = 5.0
MAX_CONNECTIONS = 100


@asynccontextmanager
async def open_model(
    url: str | None,
    *,
    options: ModelOptions,
    fallback: Model,
    timeouts: ModelTimeouts | None = None,
    max_connections: int = MAX_CONNECTIONS,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[TunableModel]:
    """Yield the model at an Ollama server's address, backed by another one; without an address that other alone.

    A server that does not answer now is asked again later: nothing has to be restarted when it comes.
    Raises `ConfigurationError` for an address that is none.
    """
    if not url:
        yield LoneModel(fallback, detail="No model server is configured (OLLAMA_URL is not set).")
        return
    async with AsyncExitStack() as stack:
        opening = open_ollama(url, options=options, timeouts=timeouts, max_connections=max_connections, clock=clock)
        model: TunableModel
        try:
            model = await stack.enter_async_context(opening)
        except ImportError as error:
            model = AbsentModel(f"ollama/{options.model}", reason=f"The Python package {error.name} is not installed.")
        yield FallbackModel(model, fallback, clock=clock)


@asynccontextmanager
async def open_ollama(
    url: str,
    *,
    options: ModelOptions,
    timeouts: ModelTimeouts | None = None,
    max_connections: int = MAX_CONNECTIONS,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator["OllamaModel"]:
    """Yield the model at an Ollama server's address and close its connections afterwards."""
    from tools.ollama_client import Chats  # takes 1.5 s, not needed without a server

    timeouts = timeouts or ModelTimeouts()
    address = _address(url)
    limits = httpx2.Limits(max_connections=max_connections)
    async with httpx2.AsyncHTTPTransport(limits=limits) as connections:
        client = httpx2.AsyncClient(base_url=address, transport=connections, timeout=timeouts.health, trust_env=False)
        chats = Chats(address, connections, timeouts)
        yield OllamaModel(chats, client, options=options, timeouts=timeouts, clock=clock)


class OllamaModel:
    """A language model on an Ollama server; made by `open_ollama`."""

    def __init__(
        self,
        chats: "Chats",
        client: httpx2.AsyncClient,
        *,
        options: ModelOptions,
        timeouts: ModelTimeouts,
        clock: Callable[[], float],
    ) -> None:
        self._chats = chats
        self._client = client
        self._options = options
        self._timeouts = timeouts
        self._clock = clock
        self._asking = asyncio.Lock()
        self._known: tuple[float, ModelHealth] | None = None

    @property
    def name(self) -> str:
        """Who answers, as shown to people."""
        return f"ollama/{self._options.model}"

    async def decide(self, turn: Turn, *, on_token: OnToken, options: ModelOptions | None = None) -> Decision:
        """Return what the model decides; raises `ModelUnavailable` or `ModelAnswerIncomplete`.

        Args:
            on_token: Gets the text meant for the user, piece by piece as it comes, never the model's thinking.
            options: For this decision alone, whatever the turn's tuning.
        """
        options = options or self._options.tuned(turn.tuning)
        told = prompt(turn, system_prompt=options.system_prompt)
        with self._chats.noting() as sent:
            answer = await self._answer(told, options, on_token)
        decision = answer.decision(
            told.operations,
            answered_by=f"ollama/{options.model}",
            prompt_length=told.length,
            num_ctx=options.num_ctx,
        )
        return decision.model_copy(update={"called": called(sent[-1])}) if turn.observed and sent else decision

    async def health(self) -> ModelHealth:
        """Return whether the model can be asked, as known for at most five seconds; one asks for all."""
        async with self._asking:
            if self._known is None or self._clock() >= self._known[0]:
                health = await model_health(self._client, model=self._options.model, seconds=self._timeouts.health)
                self._known = (self._clock() + HEALTH_SECONDS, health)
            return self._known[1]

    async def _answer(self, told: Prompt, options: ModelOptions, on_token: OnToken) -> Answer:
        answer = Answer()
        try:
            async with asyncio.timeout(self._timeouts.total) as limit:
                async with aclosing(self._chats.pieces(told, options)) as pieces:
                    async for piece in pieces:
                        if shown := answer.take(piece):
                            await on_token(shown)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ModelUnavailable(f"The model took longer than {self._timeouts.total:g} s.") from error
        return answer


async def model_health(client: httpx2.AsyncClient, *, model: str, seconds: float) -> ModelHealth:
    """Return whether an Ollama server answers within some seconds and holds the model; never raises."""
    try:
        async with asyncio.timeout(seconds):
            response = await client.get("/api/tags")
        models = _models(response.raise_for_status().json())
    except (TimeoutError, httpx2.TransportError):
        return _unhealthy(f"The model server at {client.base_url.netloc.decode()} does not answer.", reachable=False)
    except httpx2.HTTPStatusError as error:
        return _unhealthy(f"The model server answered with HTTP status {error.response.status_code}.", reachable=True)
    except (ValueError, LookupError, TypeError, httpx2.DecodingError):
        return _unhealthy("What answers at the model server's address is not Ollama.", reachable=True)
    if _tagged(model) not in models:
        return _unhealthy(missing(model), reachable=True)
    return ModelHealth(mode="networked", reachable=True, present=True, detail=f"model {model} is ready")


def _unhealthy(detail: str, *, reachable: bool) -> ModelHealth:
    return ModelHealth(mode="degraded", reachable=reachable, present=False, detail=detail)


def _models(tags: Mapping[str, list[Mapping[str, str]]]) -> set[str]:
    return {entry["name"] for entry in tags["models"]}


def _tagged(model: str) -> str:
    """Return a model's full name: Ollama takes `latest` where no tag is given."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _address(url: str) -> httpx2.URL:
    """Return a server's address; `localhost:11434` means http, as for Ollama's own tools."""
    try:
        address = httpx2.URL(url if "://" in url else f"http://{url}")
    except httpx2.InvalidURL as error:
        raise ConfigurationError("OLLAMA_URL is not an address.") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise ConfigurationError("OLLAMA_URL must begin with http:// or https:// and name a host.")
    return address
