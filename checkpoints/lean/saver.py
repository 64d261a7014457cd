"""A checkpoint saver of ours, over any shelf: LangGraph's interface, values once per version, bounded history."""

import copy
import random
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    get_checkpoint_id,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from checkpoints.lean.packing import allowing
from checkpoints.lean.parts import Found, Packer, Place, Shelf, thread_of
from checkpoints.lean.together import Together

PAGE = 20
DIGITS = 8
"""A version's number has as many at least, so that versions stand in order as texts."""


class LeanSaver(BaseCheckpointSaver[str]):
    """Checkpoints on a shelf; every method raises `StoreUnavailable`."""

    def __init__(self, shelf: Shelf, serde: SerializerProtocol) -> None:
        super().__init__(serde=serde)
        self.shelf = shelf
        self._packer = Packer(serde)
        self._together = Together(shelf.store)

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> "LeanSaver":
        """Return the same with more types that may be read."""
        same = copy.copy(self)
        same.serde = allowing(self.serde, extra_allowlist)
        same._packer = Packer(same.serde)  # noqa: SLF001  # our own
        return same

    def get_next_version(self, current: str | float | None, channel: None) -> str:
        """Return the version behind `current`; two forks of a thread never make the same one."""
        number, _, _ = str(current or "").partition(".")
        return f"{int(number or 0) + 1:0{max(len(number), DIGITS)}}.{random.getrandbits(32):08x}"  # no secret

    async def close(self) -> None:
        """Store what waits, then close the shelf."""
        await self._together.flush()
        await self.shelf.close()

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, the newest one where the config names none."""
        place = Place.of(config)
        await self._together.flush(place.thread)
        found = await self.shelf.one(place)
        return None if found is None else self._packer.tuple_of(found)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, of a thread newest first, read page by page as they are asked for."""
        left = limit
        async for found in self._listed(config, before=before, most=PAGE if filter or limit is None else limit):
            if left is not None and left <= 0:
                return
            metadata = dict(self._packer.metadata_of(found)) if filter else {}
            if filter and any(metadata.get(name) != value for name, value in filter.items()):
                continue
            left = None if left is None else left - 1
            yield self._packer.tuple_of(found)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint."""
        kept = self._packer.kept(config, checkpoint, metadata, new_versions)
        await self._together.put(kept)
        return kept.place.config()

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what one task wrote."""
        if writes:
            await self._together.write(Place.of(config), self._packer.written(writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove everything of a thread."""
        thread = thread_of(thread_id)
        await self._together.flush(thread)
        await self.shelf.drop(thread)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove every checkpoint of these runs; reads all threads."""
        runs = set(run_ids)
        await self._together.flush()
        for thread in await self.shelf.threads():
            found = [each async for each in self._pages(thread, None, before="", most=PAGE)]
            places = [each.place for each in found if self._packer.metadata_of(each).get("run_id") in runs]
            if places:
                await self.shelf.drop(thread, places)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Add everything of a thread to another."""
        source, target = thread_of(source_thread_id), thread_of(target_thread_id)
        await self._together.flush(source)
        found = [each async for each in self._pages(source, None, before="", most=PAGE)]
        for each in reversed(found):
            kept, written = self._packer.again(each, target)
            await self._together.put(kept)
            for one in written:
                await self._together.write(kept.place, one)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Remove everything of threads, or all but the newest of each namespace and what it is rebuilt from.

        Raises `ValueError` for a strategy that is neither `keep_latest` nor `delete`.
        """
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"{strategy!r} is no strategy; there are keep_latest and delete.")
        for thread in map(thread_of, thread_ids):
            await self._together.flush(thread)
            await (self.shelf.drop(thread) if strategy == "delete" else self.shelf.retain(thread, 0))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what was written to channels that keep their changes only, back to where each was last whole."""
        collected: dict[str, list[PendingWrite]] = {channel: [] for channel in channels}
        seeds: dict[str, Any] = {}
        async for found in self._ancestors(Place.of(config)):
            if len(seeds) == len(collected):
                break
            for write in reversed(found.pending_writes or []):
                if write[1] in collected and write[1] not in seeds:
                    collected[write[1]].append(write)
            values = found.checkpoint["channel_values"]
            seeds |= {name: values[name] for name in collected if name in values and name not in seeds}
        return {channel: _history(collected[channel], channel, seeds) for channel in channels}

    async def _ancestors(self, place: Place) -> AsyncIterator[CheckpointTuple]:
        """Yield the checkpoints a place came from, the nearest first."""
        await self._together.flush(place.thread)
        found = await self.shelf.one(place)
        if found is None:
            return
        wanted = found.parent
        async for each in self._pages(place.thread, place.ns, before=found.place.id, most=PAGE):
            if not wanted:
                return
            if each.place.id == wanted:
                yield self._packer.tuple_of(each)
                wanted = each.parent

    async def _listed(
        self, config: RunnableConfig | None, *, before: RunnableConfig | None, most: int
    ) -> AsyncIterator[Found]:
        """Yield what a config names, in part or completely."""
        await self._together.flush(thread_of(config["configurable"]["thread_id"]) if config else None)
        end = (before and get_checkpoint_id(before)) or ""
        given = config["configurable"] if config else {}
        ns, wanted = given.get("checkpoint_ns"), given.get("checkpoint_id")
        for thread in [thread_of(given["thread_id"])] if config else await self.shelf.threads():
            async for found in self._pages(thread, ns, before=end, most=most):
                if not wanted or found.place.id == wanted:
                    yield found

    async def _pages(self, thread: str, ns: str | None, *, before: str, most: int) -> AsyncIterator[Found]:
        while most > 0:
            page = await self.shelf.page(thread, ns, before=before, most=most)
            for found in page:
                yield found
            if len(page) < most:
                return
            before = page[-1].place.id


def _history(writes: list[PendingWrite], channel: str, seeds: Mapping[str, Any]) -> DeltaChannelHistory:
    history: DeltaChannelHistory = {"writes": writes[::-1]}
    if channel in seeds:
        history["seed"] = seeds[channel]
    return history
