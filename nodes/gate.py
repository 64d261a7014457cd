"""Gate: wait for a human. Nothing else may stand here, for everything in a gate runs again when it opens."""

from langgraph.types import interrupt

from domain.state import Gated, Update


async def gate(state: Gated) -> Update:
    """Return the human's answer to one action."""
    return {"answers": {state["action_id"]: interrupt(state["question"], response_schema=state.get("response_schema"))}}
