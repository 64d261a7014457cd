"""ChatOllama over one connection pool: cheap to build, sound under cancellation, its errors turned into ours."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from typing import cast

import httpx
import httpx2
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import Runnable
from langchain_ollama import ChatOllama
from ollama import ResponseError

from domain.errors import ModelAnswerIncomplete, ModelError, ModelUnavailable
from domain.tool_names import sendable
from tools.answer import End, Piece
from tools.model import ModelOptions, ModelTimeouts, missing
from tools.prompt import Prompt

CHATS_KEPT = 32
NOT_FOUND = 404
IN_STREAM = -1  # the status ollama's client gives an error line inside a stream


_sent: ContextVar[list[bytes] | None] = ContextVar("sent", default=None)


class SharedTransport(httpx.AsyncBaseTransport):
    """httpx2's connections behind httpx's interface.

    ChatOllama insists on httpx, whose pool loses a slot at some cancelled requests until none is left; httpx2's
    does not. Requests and responses have the same shape in both.
    """

    def __init__(self, connections: httpx2.AsyncBaseTransport) -> None:
        self._connections = connections

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over the shared connections; raises httpx2's errors."""
        content = await request.aread()
        if (noted := _sent.get()) is not None:
            noted.append(content)
        response = await self._connections.handle_async_request(
            httpx2.Request(
                request.method,
                str(request.url),
                headers=request.headers.raw,
                content=content,
                extensions=dict(request.extensions),
            )
        )
        return httpx.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=_Body(cast("httpx2.AsyncByteStream", response.stream)),
            extensions=dict(response.extensions),
        )


class _Body(httpx.AsyncByteStream):
    """A response body of httpx2 as httpx reads it."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part

    async def aclose(self) -> None:
        await self._body.aclose()


class Chats:
    """One ChatOllama for each set of options, all on the same connections."""

    def __init__(self, url: httpx2.URL, connections: httpx2.AsyncBaseTransport, timeouts: ModelTimeouts) -> None:
        self._url = url
        self._place = f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"
        self._transport = SharedTransport(connections)
        self._timeouts = timeouts
        self._chats: dict[ModelOptions, ChatOllama] = {}

    @contextmanager
    def noting(self) -> Iterator[list[bytes]]:
        """Note the bodies of the requests that are sent here meanwhile."""
        bodies: list[bytes] = []
        token = _sent.set(bodies)
        try:
            yield bodies
        finally:
            _sent.reset(token)

    async def pieces(self, prompt: Prompt, options: ModelOptions) -> AsyncGenerator[Piece]:
        """Yield the model's answer as it comes; raises `ModelUnavailable` or `ModelAnswerIncomplete`."""
        chat: Runnable[LanguageModelInput, AIMessage] = self._chat(options)
        if prompt.tools:
            chat = self._chat(options).bind_tools(prompt.tools)
        begun = False
        async with aclosing(cast("AsyncGenerator[AIMessageChunk]", chat.astream(prompt.messages))) as chunks:
            while True:
                with self._failures(options.model, begun=begun):
                    chunk = await anext(chunks, None)
                    piece = None if chunk is None else _piece(chunk)
                if piece is None:
                    return
                begun = True
                yield piece

    def _chat(self, options: ModelOptions) -> ChatOllama:
        """Return the client for these options: building one takes a millisecond, if no TLS context is made for it."""
        if options not in self._chats:
            if len(self._chats) >= CHATS_KEPT:
                self._chats.pop(next(iter(self._chats)))
            self._chats[options] = self._built(options)
        return self._chats[options]

    def _built(self, options: ModelOptions) -> ChatOllama:
        wait = self._timeouts
        timeout = httpx.Timeout(wait.read, connect=wait.connect, pool=wait.total)
        return ChatOllama(
            model=options.model,
            base_url=str(self._url),
            temperature=options.temperature,
            num_ctx=options.num_ctx,
            reasoning=False,
            client_kwargs={"follow_redirects": False},
            async_client_kwargs={"transport": self._transport, "timeout": timeout},
            # Never used, and costs 50 ms of TLS set-up unless it gets a transport of its own.
            sync_client_kwargs={"transport": httpx.BaseTransport()},
        )

    @contextmanager
    def _failures(self, model: str, *, begun: bool) -> Iterator[None]:
        """Turn what the libraries raise into our errors; nothing of ours runs inside."""
        try:
            yield
        except ResponseError as error:
            raise self._refused(error, model, begun=begun) from error
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise ModelUnavailable(f"The model server at {self._place} does not answer.") from error
        except (httpx2.HTTPError, httpx.HTTPError) as error:
            raise self._lost(error, begun=begun) from error
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            # Whatever a foreign parser trips over: a cut line, arguments that are no object, no line at all.
            raise ModelAnswerIncomplete("The model server's answer was empty or malformed.") from error

    def _refused(self, error: ResponseError, model: str, *, begun: bool) -> ModelError:
        if error.status_code == NOT_FOUND:
            return ModelUnavailable(missing(model))
        if error.status_code == IN_STREAM and begun:
            return ModelAnswerIncomplete("The model server failed in the middle of the answer.")
        if error.status_code == IN_STREAM:
            return ModelUnavailable("The model server failed before it answered.")
        if "does not support tools" in error.error:
            return ModelUnavailable(f"The model {model} cannot call tools; choose one that can.")
        return ModelUnavailable(f"The model server answered with HTTP status {error.status_code}.")

    def _lost(self, error: Exception, *, begun: bool) -> ModelError:
        what = f"said nothing for {self._timeouts.read:g} s" if _is_timeout(error) else "broke the connection"
        if begun:
            return ModelAnswerIncomplete(f"The model server {what} in the middle of the answer.")
        return ModelUnavailable(f"The model server at {self._place} {what}.")


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, httpx2.TimeoutException | httpx.TimeoutException)


def _piece(chunk: AIMessageChunk) -> Piece:
    return Piece(
        text=sendable(chunk.text),
        calls=tuple((call["name"], call["args"]) for call in chunk.tool_calls),
        end=_end(chunk.response_metadata),
    )


def _end(metadata: Mapping[str, object]) -> End | None:
    """Return the end if there is one: a stream that just stops raises nothing, only this tells."""
    if metadata.get("done") is not True:
        return None
    read, written = metadata.get("prompt_eval_count"), metadata.get("eval_count")
    return End(
        reason=str(metadata.get("done_reason") or "stop"),
        prompt_tokens=read if isinstance(read, int) else 0,
        answer_tokens=written if isinstance(written, int) else 0,
    )
