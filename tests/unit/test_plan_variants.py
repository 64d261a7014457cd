"""The node that asks the model holds it to the run's variants, whatever the model does."""

from typing import Any, cast

from domain.actions import Action, Call, Operation
from domain.conversation import Called, Decision, OnToken, Turn
from domain.ports import Policies, Toolbox
from domain.state import State
from domain.variants import Given, frozen, use_of
from nodes.plan import plan
from tests.planner_catalogue import operation

READ, PAY = operation("shop", "GET /items", "listItems"), operation("bank", "POST /payments", "pay")


class Stubborn:
    """A model that calls what it was not offered, and is always asked in the live manner."""

    async def decide(self, turn: Turn, *, on_token: OnToken) -> Decision:
        self.turn = turn
        called = Called(model="live", temperature=0.3, system_prompt="live")
        return Decision(calls=(Call(service="bank", operation="pay"),), answered_by="stubborn", called=called)


class Shelf:
    """Two operations."""

    def operations(self) -> tuple[Operation, ...]:
        return READ, PAY

    def unknown(self) -> tuple[str, ...]:
        return ()

    def propose(self, call: Call, **_: Any) -> Action:
        raise AssertionError(f"{call.operation} must not be proposed")


class Rules:
    """A policy that nothing of is asked but its version."""

    version = "1"

    def current(self) -> "Rules":
        return self


async def planned(asked: Stubborn, **config: Any) -> Any:
    given = Given(experiment_id="exp_1", variant="calm", phase=1, config=config)
    state = {
        "message": "pay", "run_id": "run_1", "thread_id": "t", "requester": "ann/1", "step": 0, "actions": [],
        "passages": [], "notices": [], "results": {}, "variants": frozen([given]),
    }  # fmt: skip
    return await plan(
        cast("State", state),
        {},
        lambda _: None,
        model=asked,
        toolbox=cast("Toolbox", Shelf()),
        policies=cast("Policies", Rules()),
        max_steps=5,
        error_handling=True,
    )


async def test_what_is_not_among_the_runs_tools_is_not_proposed() -> None:
    model = Stubborn()
    update = await planned(model, tools=["shop"])
    (result,) = update["results"].values()
    assert [each.name for each in model.turn.operations] == ["listItems"]
    assert (result["outcome"], result["body"]) == ("invalid", "pay is not among the tools of this run.")


async def test_a_model_that_was_called_in_the_live_manner_is_found_out() -> None:
    update = await planned(Stubborn(), tools=["shop"], temperature=0.9, model="live")
    use = use_of(update["variants"])
    assert use
    assert (use.mismatched, use.without_effect) == (("temperature",), ())
