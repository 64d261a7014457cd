"""What answers while the language model cannot, and how its health is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.conversation import Decision, Notice, OnToken, Turn
from domain.errors import ConfigurationError
from tests.ollama_server import MODEL, OllamaServer, Reply, fail, ollama_server, reset, say, stall
from tools.model import ModelOptions, ModelTimeouts, TunableModel
from tools.ollama import open_model

OPTIONS = ModelOptions(model=MODEL)
IMPATIENT = ModelTimeouts(read=0.2, health=0.2)
TURN = Turn(message="Hello?")
NEVER_CONFIGURED = Notice(port="model", mode="embedded", reason="No model.", lost="Fluent answers.")


class Parrot:
    """A planner that needs nothing: repeats the message and says that it is no language model."""

    name = "parrot"

    async def decide(self, turn: Turn, *, on_token: OnToken) -> Decision:
        await on_token(turn.message)
        return Decision(text=turn.message, answered_by=self.name, notices=(NEVER_CONFIGURED,))


class Clock:
    """Time that passes when told to."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def backed(
    server: OllamaServer, clock: Clock | None = None, timeouts: ModelTimeouts | None = None
) -> AsyncIterator[TunableModel]:
    async with open_model(
        server.url, options=OPTIONS, fallback=Parrot(), timeouts=timeouts, clock=clock or Clock()
    ) as model:
        yield model


async def unheard(token: str) -> None:
    """Take a token that nobody asks about."""


async def test_the_model_answers_while_it_can() -> None:
    async with ollama_server([say("Hello!")]) as server, backed(server) as model:
        decision = await model.decide(TURN, on_token=unheard)
        assert (decision.text, decision.answered_by, decision.notices) == ("Hello!", f"ollama/{MODEL}", ())
        assert model.name == f"ollama/{MODEL}"


async def test_a_dead_model_is_replaced_and_comes_back_without_a_restart() -> None:
    clock = Clock()
    async with ollama_server([say("One"), say("Two")]) as server, backed(server, clock) as model:
        answers = [(await model.decide(TURN, on_token=unheard)).answered_by]
        await server.down()
        answers.append((await model.decide(TURN, on_token=unheard)).answered_by)
        await server.up()
        clock.seconds += 5
        answers.append((await model.decide(TURN, on_token=unheard)).answered_by)
    assert answers == [f"ollama/{MODEL}", "parrot", f"ollama/{MODEL}"]


async def test_a_model_that_is_down_at_the_start_is_used_when_it_comes() -> None:
    clock = Clock()
    async with ollama_server([say("Here I am.")]) as server:
        await server.down()
        async with backed(server, clock) as model:
            assert (await model.health()).mode == "degraded"
            assert (await model.decide(TURN, on_token=unheard)).answered_by == "parrot"
            await server.up()
            clock.seconds += 5
            assert (await model.health()).mode == "networked"
            assert (await model.decide(TURN, on_token=unheard)).text == "Here I am."


async def test_the_replacement_says_why_and_what_is_lost() -> None:
    async with ollama_server() as server, backed(server) as model:
        await server.down()
        decision = await model.decide(TURN, on_token=unheard)
    assert decision.notices == (
        Notice(
            port="model",
            mode="degraded",
            reason=f"The model server at 127.0.0.1:{server.port} does not answer.",
            lost="This was answered by the parrot instead of the language model.",
        ),
    )


async def test_an_unavailable_model_is_left_alone_for_a_while() -> None:
    clock = Clock()
    async with ollama_server([stall(), stall()]) as server, backed(server, clock, IMPATIENT) as model:
        reasons = [(await model.decide(TURN, on_token=unheard)).notices[0].reason for _ in range(3)]
        assert reasons == [f"The model server at 127.0.0.1:{server.port} said nothing for 0.2 s."] * 3
        assert len(server.requests) == 1
        clock.seconds += 5
        await model.decide(TURN, on_token=unheard)
        assert len(server.requests) == 2


async def test_one_bad_answer_does_not_silence_the_model() -> None:
    async with ollama_server([say(""), say("Sorry.")]) as server, backed(server) as model:
        answers = [(await model.decide(TURN, on_token=unheard)).answered_by for _ in range(2)]
    assert answers == ["parrot", f"ollama/{MODEL}"]


async def test_a_missing_variant_does_not_silence_the_others() -> None:
    async with ollama_server(lambda request: say("Hi")) as server, backed(server) as model:
        absent = await model.decide(TURN, on_token=unheard, options=ModelOptions(model="absent:1b"))
        present = await model.decide(TURN, on_token=unheard)
    assert absent.notices[0].reason == "model absent:1b is not on the server; run: ollama pull absent:1b"
    assert (absent.answered_by, present.answered_by) == ("parrot", f"ollama/{MODEL}")


async def test_half_an_answer_is_set_apart_from_the_replacement() -> None:
    tokens: list[str] = []

    async def on_token(token: str) -> None:
        tokens.append(token)

    async with ollama_server([reset("Half an")]) as server, backed(server) as model:
        decision = await model.decide(TURN, on_token=on_token)
    assert (tokens, decision.text) == (["Half an", "\n\n", "Hello?"], "Hello?")


async def test_without_an_address_the_planner_answers_and_says_so_itself() -> None:
    async with open_model(None, options=OPTIONS, fallback=Parrot()) as model:
        decision = await model.decide(TURN, on_token=unheard, options=OPTIONS)
        health = await model.health()
    assert (decision.answered_by, decision.notices, model.name) == ("parrot", (NEVER_CONFIGURED,), "parrot")
    assert (health.mode, health.detail) == ("embedded", "No model server is configured (OLLAMA_URL is not set).")


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://[::", "http://host:port"])
async def test_an_address_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="OLLAMA_URL"):
        async with open_model(url, options=OPTIONS, fallback=Parrot()):
            pytest.fail("must not open")


async def test_an_address_without_a_scheme_means_http() -> None:
    async with (
        ollama_server() as server,
        open_model(f"127.0.0.1:{server.port}", options=OPTIONS, fallback=Parrot()) as model,
    ):
        assert (await model.health()).mode == "networked"


@pytest.mark.parametrize(
    ("wanted", "held", "present", "detail"),
    [
        ("qwen3:1.7b", ("llama3:8b", "qwen3:1.7b"), True, "model qwen3:1.7b is ready"),
        ("mistral", ("mistral:latest",), True, "model mistral is ready"),
        ("qwen3:1.7b", ("qwen3:4b",), False, "model qwen3:1.7b is not on the server; run: ollama pull qwen3:1.7b"),
        ("hf.co:443/a/b", ("hf.co:443/a/b:latest",), True, "model hf.co:443/a/b is ready"),
    ],
)
async def test_health_tells_whether_the_model_is_there(
    wanted: str, held: tuple[str, ...], present: bool, detail: str
) -> None:
    async with (
        ollama_server(models=held) as server,
        open_model(server.url, options=ModelOptions(model=wanted), fallback=Parrot()) as model,
    ):
        health = await model.health()
    assert (health.reachable, health.present, health.detail) == (True, present, detail)


@pytest.mark.parametrize(
    ("tags", "reachable", "sentence"),
    [
        (fail(500), True, "The model server answered with HTTP status 500."),
        (fail(307), True, "The model server answered with HTTP status 307."),
        (say("not", "tags"), True, "What answers at the model server's address is not Ollama."),
        (stall(), False, "does not answer"),
        (reset(), False, "does not answer"),
    ],
)
async def test_health_of_what_is_no_sound_server(tags: Reply, reachable: bool, sentence: str) -> None:
    timeouts = IMPATIENT if tags.ending == "stall" else None
    async with ollama_server() as server, backed(server, timeouts=timeouts) as model:
        server.tags = tags
        health = await model.health()
    assert (health.mode, health.reachable, health.present) == ("degraded", reachable, False)
    assert sentence in health.detail


async def test_health_is_asked_once_for_all_and_again_after_a_while() -> None:
    clock = Clock()
    async with ollama_server() as server, backed(server, clock) as model:
        await asyncio.gather(*(model.health() for _ in range(20)))
        asked = [server.tags_asked]
        clock.seconds += 5
        await model.health()
        asked.append(server.tags_asked)
    assert asked == [1, 2]


async def test_a_cancelled_question_for_health_does_not_spoil_the_next() -> None:
    async with ollama_server() as server, backed(server) as model:
        server.tags = stall()
        first = asyncio.create_task(model.health())
        await server.received_tags(1)
        first.cancel()
        server.tags = None
        assert (await model.health()).mode == "networked"
