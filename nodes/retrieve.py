"""Retrieve: fetch passages that may help; go on without them, and say so."""

from domain.ports import Knowledge
from domain.state import State, Update


async def retrieve(state: State, *, knowledge: Knowledge) -> Update:
    """Return the passages found for the message, and what was degraded while looking."""
    passages, notices = await knowledge.search(state["message"], requester=state["requester"])
    return {
        "passages": [passage.model_dump() for passage in passages],
        "notices": [notice.model_dump() for notice in notices],
    }
