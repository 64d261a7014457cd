"""Assign: give the run its identity and its variants, and empty what belonged to the run before."""

import secrets
from collections.abc import Mapping
from typing import Any

import structlog
from langchain_core.runnables import RunnableConfig

from domain.assignment import Who
from domain.canonical import JSON
from domain.conversation import Notice
from domain.errors import StoreError
from domain.ports import Variants
from domain.state import State, Update

log = structlog.get_logger(__name__)

UNASSIGNED = Notice(
    port="experiments",
    mode="degraded",
    reason="The store of the assignments did not answer.",
    lost="This run goes without its variants, and is not counted.",
)


async def assign(state: State, config: RunnableConfig, *, variants: Variants) -> Update:
    """Return a fresh run's keys, its variants among them: they stay the same however long the run takes.

    The server names run and requester in `configurable`, the same at every attempt; a run started elsewhere (LangGraph
    Studio) gets an id of its own, so that its actions are never taken for those of an earlier run.
    """
    given = config.get("configurable", {})
    requester = given.get("requester") or "studio/0"
    notices: list[Notice] = []
    return {
        "run_id": given.get("orchestration_id") or f"run_{secrets.token_hex(16)}",
        "thread_id": given.get("thread_id", ""),
        "requester": requester,
        "variants": await _variants(variants, requester, given.get("attributes") or {}, notices),
        "passages": [],
        "searched": False,
        "step": 0,
        "actions": [],
        "answers": None,
        "verdicts": None,
        "results": None,
        "notices": [each.model_dump() for each in notices],
        "text": "",
        "said": "",
        "answered_by": "",
        "reply": "",
        "sources": [],
    }


async def _variants(
    variants: Variants, requester: str, attributes: Mapping[str, Any], notices: list[Notice]
) -> dict[str, JSON]:
    """Return the run's variants; without them the run goes on, and says so."""
    owner, _, user = requester.rpartition("/")
    try:
        return await variants.freeze(Who(owner, int(user), attributes))
    except StoreError as error:
        log.warning("not_assigned", error=type(error).__name__, detail=error.detail)
        notices.append(UNASSIGNED)
        return {}
