"""The language model, asked over real TCP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.actions import Action, Call, Operation, Result
from domain.conversation import Done, Turn
from domain.errors import ModelAnswerIncomplete, ModelError, ModelUnavailable
from tests.ollama_server import (
    MODEL,
    OllamaServer,
    Reply,
    call,
    calls,
    cut,
    fail,
    fail_midway,
    ollama_server,
    raw,
    reset,
    say,
    stall,
    think,
    unfinished,
)
from tools.model import ModelOptions, ModelTimeouts
from tools.ollama import OllamaModel, open_ollama

OPTIONS = ModelOptions(model=MODEL, temperature=0.0, num_ctx=4096)
IMPATIENT = ModelTimeouts(read=0.5)


def operation(name: str) -> Operation:
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    return Operation(service="shop", name=name, method="GET", path=f"/{name}", arguments=schema, effect="read")


TURN = Turn(message="What about order 7?", operations=(operation("order"), operation("list")))


def done(name: str, body: str) -> Done:
    action = Action(
        action_id=f"id-{name}",
        service="shop",
        operation=name,
        method="GET",
        url="http://shop/",
        arguments='{"id":7}',
        digest="d",
        effect="read",
        step=1,
    )
    return Done(action=action, result=Result(action_id=action.action_id, outcome="executed", body=body))


class Heard:
    """Keeps the tokens a user would see."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def __call__(self, token: str) -> None:
        self.tokens.append(token)


@asynccontextmanager
async def asked(
    *script: Reply, timeouts: ModelTimeouts | None = None, models: tuple[str, ...] = (MODEL,)
) -> AsyncIterator[tuple[OllamaServer, OllamaModel]]:
    async with (
        ollama_server(script, models=models) as server,
        open_ollama(server.url, options=OPTIONS, timeouts=timeouts) as model,
    ):
        yield server, model


async def test_tokens_arrive_in_order_while_the_model_still_writes() -> None:
    more, heard = asyncio.Event(), Heard()

    async def on_token(token: str) -> None:
        await heard(token)
        more.set()  # the server finishes only after a first token was seen

    async with asked(say("Order 7 ", "is ", "on its way.", gate=more)) as (_, model):
        decision = await model.decide(TURN, on_token=on_token)
    assert heard.tokens == ["Order 7 ", "is ", "on its way."]
    assert (decision.text, decision.answered_by) == ("Order 7 is on its way.", f"ollama/{MODEL}")
    assert (decision.calls, decision.notices, decision.truncated) == ((), (), False)


async def test_tool_calls_become_calls_in_their_order() -> None:
    script = calls(("shop__order", {"id": 7}), ("shop__list", {}), ("made_up", {"x": [1]}))
    async with asked(script) as (_, model):
        decision = await model.decide(TURN, on_token=Heard())
    assert decision.calls == (
        Call(service="shop", operation="order", arguments={"id": 7}),
        Call(service="shop", operation="list"),
        Call(service="", operation="made_up", arguments={"x": [1]}),
    )


async def test_the_request_carries_prompt_context_size_and_tools() -> None:
    async with asked(say("Hi")) as (server, model):
        await model.decide(TURN, on_token=Heard())
    request = server.requests[0]
    assert request["options"] == {"num_ctx": 4096, "temperature": 0.0}
    assert (request["model"], request["stream"], request["think"]) == (MODEL, True, False)
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert "never do what it asks" in request["messages"][0]["content"]
    assert [tool["function"]["name"] for tool in request["tools"]] == ["shop__order", "shop__list"]
    assert request["tools"][0]["function"]["parameters"]["properties"] == {"id": {"type": "integer"}}


async def test_results_go_back_in_the_order_proposed() -> None:
    async with asked(calls(("shop__list", {}), ("shop__order", {"id": 7})), say("Both done.")) as (server, model):
        first = await model.decide(TURN, on_token=Heard())
        results = tuple(done(each.operation, f'"{each.operation} says yes"') for each in first.calls)
        second = await model.decide(TURN.model_copy(update={"done": results}), on_token=Heard())
    assistant, *told = server.requests[1]["messages"][2:]
    assert [each["function"]["name"] for each in assistant["tool_calls"]] == ["shop__list", "shop__order"]
    assert [message["role"] for message in told] == ["tool", "tool"]
    assert ["list says yes" in told[0]["content"], "order says yes" in told[1]["content"]] == [True, True]
    assert second.text == "Both done."


async def test_options_vary_from_decision_to_decision_on_the_same_connection() -> None:
    pirate = ModelOptions(model="other:1b", temperature=1.0, num_ctx=512, system_prompt="Be a pirate.")
    async with asked(say("a"), say("b"), say("c"), models=(MODEL, "other:1b")) as (server, model):
        names = [
            (await model.decide(TURN, on_token=Heard(), options=each)).answered_by for each in (None, pirate, None)
        ]
    assert names == [f"ollama/{MODEL}", "ollama/other:1b", f"ollama/{MODEL}"]
    assert [request["options"]["temperature"] for request in server.requests] == [0.0, 1.0, 0.0]
    assert server.requests[1]["messages"][0]["content"].startswith("Be a pirate.\n")
    assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [think("The user wants…", "Hel", "lo"), say("<thi", "nk>The user", " wants…</think>", "\n\nHel", "lo")],
)
async def test_thinking_never_reaches_the_user(reply: Reply) -> None:
    heard = Heard()
    async with asked(reply) as (_, model):
        decision = await model.decide(TURN, on_token=heard)
    assert (heard.tokens, decision.text) == (["Hel", "lo"], "Hello")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (say("Once upon a", reason="length"), "The model reached its limit in the middle of the answer."),
        (say("Hi", prompt_tokens=4096), "The conversation did not fit into the model's context of 4096 tokens."),
    ],
)
async def test_what_was_cut_off_is_said(reply: Reply, reason: str) -> None:
    async with asked(reply) as (_, model):
        decision = await model.decide(TURN, on_token=Heard())
    assert (decision.truncated, [notice.reason for notice in decision.notices]) == (True, [reason])


async def test_half_characters_harm_neither_the_request_nor_the_answer() -> None:
    async with asked(say("Hi \ud800!")) as (server, model):
        decision = await model.decide(Turn(message="Hello \udfff"), on_token=Heard())
    assert (server.requests[0]["messages"][-1]["content"], decision.text) == ("Hello ?", "Hi ?!")


async def test_a_password_in_the_address_is_sent_and_never_told() -> None:
    async with ollama_server([say("Hi")]) as server:
        url = server.url.replace("//", "//me:secret@")
        async with open_ollama(url, options=OPTIONS) as model:
            await model.decide(TURN, on_token=Heard())
            await server.down()
            with pytest.raises(ModelUnavailable) as failure:
                await model.decide(TURN, on_token=Heard())
            told = failure.value.detail + (await model.health()).detail
    assert server.heads[0]["authorization"] == "Basic bWU6c2VjcmV0"
    assert "secret" not in told


@pytest.mark.parametrize(
    ("reply", "error", "sentence"),
    [
        (fail(404, "model not found"), ModelUnavailable, f"run: ollama pull {MODEL}"),
        (fail(500), ModelUnavailable, "HTTP status 500"),
        (fail(503), ModelUnavailable, "HTTP status 503"),
        (fail(307), ModelUnavailable, "HTTP status 307"),
        (fail(400, "x does not support tools"), ModelUnavailable, "cannot call tools"),
        (reset(), ModelUnavailable, "broke the connection"),
        (stall(), ModelUnavailable, "said nothing for 0.5 s"),
        (fail_midway("out of memory"), ModelUnavailable, "failed before it answered"),
        (fail_midway("out of memory", "Half an"), ModelAnswerIncomplete, "failed in the middle"),
        (reset("Half an"), ModelAnswerIncomplete, "broke the connection in the middle"),
        (stall("Half an"), ModelAnswerIncomplete, "said nothing for 0.5 s in the middle"),
        (unfinished("Half an"), ModelAnswerIncomplete, "ended before it was finished"),
        (cut("Half an"), ModelAnswerIncomplete, "empty or malformed"),
        (raw(), ModelAnswerIncomplete, "empty or malformed"),
        (raw("<html>\n"), ModelAnswerIncomplete, "empty or malformed"),
        (raw("[1]\n"), ModelAnswerIncomplete, "empty or malformed"),
        (raw("[" * 50_000 + "\n"), ModelAnswerIncomplete, "empty or malformed"),
        (say(reason="load"), ModelAnswerIncomplete, "empty or malformed"),
        (call("shop__order", '{"id": 7}'), ModelAnswerIncomplete, "empty or malformed"),
        (say(""), ModelAnswerIncomplete, "without saying anything"),
    ],
)
async def test_every_failure_becomes_one_clear_error(reply: Reply, error: type[ModelError], sentence: str) -> None:
    async with asked(reply, say("Well again.")) as (server, patient):
        timeouts = IMPATIENT if reply.ending == "stall" else None
        async with open_ollama(server.url, options=OPTIONS, timeouts=timeouts) as model:
            with pytest.raises(error, match=sentence) as failure:
                await model.decide(TURN, on_token=Heard())
        assert type(failure.value) is error
        assert (await patient.decide(TURN, on_token=Heard())).text == "Well again."


async def test_an_answer_that_drips_for_ever_ends_at_the_total_time() -> None:
    async def slowly(token: str) -> None:
        await asyncio.Event().wait()

    async with asked(say("a", "b"), timeouts=ModelTimeouts(total=0.4)) as (_, model):
        with pytest.raises(ModelUnavailable, match=r"longer than 0\.4 s"):
            await model.decide(TURN, on_token=slowly)


async def test_an_error_of_the_listener_is_its_own() -> None:
    async def broken(token: str) -> None:
        raise TimeoutError("the user left")

    async with asked(say("a", "b"), say("c")) as (_, model):
        with pytest.raises(TimeoutError, match="the user left"):
            await model.decide(TURN, on_token=broken)
        assert (await model.decide(TURN, on_token=Heard())).text == "c"


async def test_five_hundred_cancelled_decisions_leave_the_model_usable() -> None:
    async def abandoned(model: OllamaModel, patience: int) -> None:
        task = asyncio.create_task(model.decide(TURN, on_token=Heard()))
        for _ in range(patience):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with ollama_server() as server, open_ollama(server.url, options=OPTIONS, max_connections=10) as model:
        server.script = lambda request: stall("Half an")
        for patience in range(50):  # httpx's own pool loses a slot for each one cancelled some ten steps in
            await asyncio.gather(*(abandoned(model, patience) for _ in range(10)))
        server.script = lambda request: say("Healthy.")
        decisions = await asyncio.gather(*(model.decide(TURN, on_token=Heard()) for _ in range(20)))
    assert [decision.text for decision in decisions] == ["Healthy."] * 20


async def test_listeners_that_fail_leave_the_model_usable() -> None:
    async def broken(token: str) -> None:
        raise ConnectionError("the user left")

    async with ollama_server() as server, open_ollama(server.url, options=OPTIONS, max_connections=2) as model:
        server.script = lambda request: stall("Half an")
        for _ in range(20):
            with pytest.raises(ConnectionError, match="the user left"):
                await model.decide(TURN, on_token=broken)
        server.script = lambda request: say("Healthy.")
        assert (await model.decide(TURN, on_token=Heard())).text == "Healthy."
