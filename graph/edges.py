"""Where the run goes next: pure functions from the state to the name of a node.

They are coroutines although they wait for nothing: LangGraph sends plain functions to a thread each.
"""

from langgraph.types import Send

from domain.actions import Action
from domain.amending import schema_of
from domain.ports import Toolbox
from domain.questions import question, response_schema
from domain.state import Entry, Gated, Released, State, open_actions


async def after_plan(state: State) -> str:
    """Answer, review what was proposed, or plan again when every call was unusable."""
    if state["text"]:
        return "respond"
    return "review" if open_actions(state) else "plan"


async def after_review(state: State, *, toolbox: Toolbox | None = None) -> list[Send] | str:
    """Wait for humans first; then act on everything that was released, at once; without either, plan again.

    Args:
        toolbox: Knows the operations' schemas, so that tools can offer a form for an edit.
    """
    verdicts = state["verdicts"]
    actions = [(action, verdicts[action.action_id]) for action in open_actions(state)]
    if waiting := [(action, verdict) for action, verdict in actions if verdict["outcome"] == "waits"]:
        said = state.get("said", "")
        return [Send("gate", _gated(action, verdict, toolbox, said)) for action, verdict in waiting]
    released = [
        Released(
            run_id=state["run_id"],
            action=action.model_dump(),
            approval_id=verdict.get("approval_id"),
            requester=state["requester"],
        )
        for action, verdict in actions
    ]
    return [Send("act", each) for each in released] or "plan"


def _gated(action: Action, verdict: Entry, toolbox: Toolbox | None, said: str) -> Gated:
    schema = schema_of(action, toolbox) if toolbox else None
    return Gated(
        action_id=action.action_id,
        question=question(
            action,
            approval_id=verdict["approval_id"],
            reason=verdict.get("message", ""),
            facts=verdict.get("facts", ()),
            words=said,
        ),
        response_schema=response_schema(action, schema),
    )
