"""Dry run: what a proposed policy would have said to the actions on record."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from checkpoints.runs import Runs
from domain.replay import Proposed, Replay, proposed_in

PAGE = 50


async def dry_run(runs: Runs, replay: Replay, *, limit: int, since: datetime | None = None) -> dict[str, Any]:
    """Replay the newest actions of all runs and return what came of it; raises `StoreError`.

    Args:
        limit: How many actions are judged at most.
        since: Runs that began before are left out.
    """
    complete = True
    async for actions in _recorded(runs, since):
        room = limit - replay.considered
        await asyncio.to_thread(_judge, replay, actions[:room])
        if len(actions) > room:
            complete = False
            break
    return {**replay.told(), "complete": complete}


def _judge(replay: Replay, actions: list[Proposed]) -> None:
    for each in actions:
        replay.judge(each)


async def _recorded(runs: Runs, since: datetime | None) -> AsyncIterator[list[Proposed]]:
    """Yield the actions of every run, newest first, page by page."""
    before: str | None = None
    while page := await runs.page(owner=None, before=before, limit=PAGE):
        young = [run for run in page if since is None or run.created_at >= since]
        yield [action for run in young for action in proposed_in(run)]
        if len(young) < len(page):  # ids grow with time
            return
        before = page[-1].run_id
