"""Assign: give the run its identity and its variants, and empty what belonged to the run before."""

import secrets

from langchain_core.runnables import RunnableConfig

from domain.state import State, Update


async def assign(state: State, config: RunnableConfig) -> Update:
    """Return a fresh run's keys.

    The server names run and requester in `configurable`, the same at every attempt; a run started elsewhere (LangGraph
    Studio) gets an id of its own, so that its actions are never taken for those of an earlier run.
    """
    given = config.get("configurable", {})
    return {
        "run_id": given.get("orchestration_id") or f"run_{secrets.token_hex(16)}",
        "thread_id": given.get("thread_id", ""),
        "requester": given.get("requester") or "studio/0",
        "variants": {},
        "passages": [],
        "step": 0,
        "actions": [],
        "answers": None,
        "verdicts": None,
        "results": None,
        "notices": [],
        "text": "",
        "answered_by": "",
        "reply": "",
        "sources": [],
    }
