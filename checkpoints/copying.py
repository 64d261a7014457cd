"""Threads from one saver to another: what is there already stays, so a copy that was broken off goes on."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple, PendingWrite

from checkpoints.lean.saver import LeanSaver

type Saver = BaseCheckpointSaver[Any]


async def threads_of(saver: Saver) -> list[str]:
    """Return every thread of a saver; raises what the saver raises."""
    if isinstance(saver, LeanSaver):
        return await saver.shelf.threads()
    return sorted({str(found.config["configurable"]["thread_id"]) async for found in saver.alist(None)})


async def holds(saver: Saver, thread: str) -> bool:
    """Return whether a saver has a thread; raises what the saver raises."""
    config: Any = {"configurable": {"thread_id": thread}}
    return any([True async for _ in saver.alist(config, limit=1)])


async def copied(source: Saver, target: Saver, thread: str) -> int:
    """Copy a thread, oldest first, and return how many checkpoints the target did not have."""
    config: Any = {"configurable": {"thread_id": thread}}
    there = {_place(found) async for found in target.alist(config)}
    missing = [found async for found in source.alist(config) if _place(found) not in there]
    missing.sort(key=lambda found: found.checkpoint["id"])
    for found in missing:
        await _copy(found, target)
    return len(missing)


async def copied_all(source: Saver, target: Saver, threads: Sequence[str]) -> AsyncIterator[tuple[str, int]]:
    """Copy threads one after the other, and yield each with how many checkpoints were copied."""
    for thread in threads:
        yield thread, await copied(source, target, thread)


def _place(found: CheckpointTuple) -> tuple[str, str]:
    return found.config["configurable"].get("checkpoint_ns", ""), found.checkpoint["id"]


async def _copy(found: CheckpointTuple, target: Saver) -> None:
    """Store what was written first: once the checkpoint is there it counts as copied."""
    place = found.config["configurable"]
    at: Any = {"thread_id": place["thread_id"], "checkpoint_ns": place.get("checkpoint_ns", "")}
    for order, (task, writes) in enumerate(_by_task(found.pending_writes or [])):
        # Savers tell no path, only the order that paths make.
        config: Any = {"configurable": {**at, "checkpoint_id": found.checkpoint["id"]}}
        await target.aput_writes(config, writes, task, f"{order:08}")
    above = found.parent_config["configurable"]["checkpoint_id"] if found.parent_config else None
    parent: Any = {"configurable": {**at, **({"checkpoint_id": above} if above else {})}}
    await target.aput(parent, found.checkpoint, found.metadata, found.checkpoint["channel_versions"])


def _by_task(writes: Sequence[PendingWrite]) -> list[tuple[str, list[tuple[str, Any]]]]:
    tasks: dict[str, list[tuple[str, Any]]] = {}
    for task, channel, value in writes:
        tasks.setdefault(task, []).append((channel, value))
    return list(tasks.items())
