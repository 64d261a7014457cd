"""Where the run goes next: pure functions from the state to the name of a node."""

from langgraph.types import Send

from domain.actions import Action
from domain.approvals import one_line
from domain.canonical import parsed
from domain.state import Gated, Released, State, open_actions


def after_plan(state: State) -> str:
    """Answer, review what was proposed, or plan again when every call was unusable."""
    if state["text"]:
        return "respond"
    return "review" if open_actions(state) else "plan"


def after_review(state: State) -> list[Send] | str:
    """Wait for humans first; then act on everything that was released, at once; without either, plan again."""
    verdicts = state["verdicts"]
    actions = [(action, verdicts[action.action_id]) for action in open_actions(state)]
    if waiting := [(action, verdict["approval_id"]) for action, verdict in actions if verdict["outcome"] == "waits"]:
        return [Send("gate", _gated(action, approval_id)) for action, approval_id in waiting]
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


def _gated(action: Action, approval_id: str) -> Gated:
    """Return what the human is shown: the frozen action as the control plane has it, none of a model's words."""
    question = {
        "approval_id": approval_id,
        "proposed_action": one_line(action),
        "service": action.service,
        "operation": action.operation,
        "arguments": parsed(action.arguments),
        "digest": action.digest,
    }
    return Gated(action_id=action.action_id, question=question)
