"""Retrieve: fetch passages that may help; go on without them, and say so."""

from domain.ports import Knowledge
from domain.state import State, Update
from domain.variants import config_of


async def retrieve(state: State, *, knowledge: Knowledge) -> Update:
    """Return the passages found for the message, and what was degraded while looking."""
    top_k = config_of(state["variants"]).top_k
    found = await knowledge.search(state["message"], requester=state["requester"], top_k=top_k)
    return {
        "passages": [passage.model_dump() for passage in found.passages],
        "searched": found.searched,
        "notices": [*state["notices"], *(notice.model_dump() for notice in found.notices)],
    }
