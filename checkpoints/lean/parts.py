"""What a checkpoint is stored as: itself without its values, each value once per version, and what tasks wrote.

The layouts here, in frames.py, shelf.lua and table.py agree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.types import INTERRUPT

from checkpoints.lean.frames import asks, frame, frames_in
from checkpoints.locks import Lease
from domain.errors import InvalidInput

SPLIT = "\0"
SUB_GRAPH_OF_A_TASK = ":"


class Place(NamedTuple):
    """Where a checkpoint is, or belongs; without an id it is the namespace's newest."""

    thread: str
    ns: str
    id: str = ""

    @classmethod
    def of(cls, config: RunnableConfig) -> "Place":
        """Return the place a config names; raises `InvalidInput` for names that no shelf can hold."""
        given = config["configurable"]
        ns, id_ = given.get("checkpoint_ns") or "", get_checkpoint_id(config) or ""
        if SPLIT in ns or SPLIT in id_:
            raise InvalidInput("The name of a checkpoint's namespace, and its id, hold no NUL.")
        return cls(thread_of(given["thread_id"]), ns, id_)

    def config(self) -> RunnableConfig:
        """Return the config that names it."""
        return {"configurable": {"thread_id": self.thread, "checkpoint_ns": self.ns, "checkpoint_id": self.id}}


def thread_of(thread_id: object) -> str:
    """Return a thread's name; raises `InvalidInput` for one that is no text, such as half a surrogate pair."""
    thread = str(thread_id)
    if not thread.isascii():
        try:
            thread.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput("The thread's name is no text that could be written.") from error
    return thread


class Written(NamedTuple):
    """What one task wrote on a checkpoint.

    Args:
        asks: Whether it asks a human.
    """

    task: str
    asks: bool
    frames: bytes


class Kept(NamedTuple):
    """A checkpoint to store.

    Args:
        parent: The id of the one before; empty where there is none.
        begins: Whether it begins something new, so that its parent ended what was before.
        root: For a task's sub-graph, the id of the root graph's checkpoint it belongs to; else empty.
        depth: How many ancestors are needed to rebuild channels that keep their changes only.
        references: Its channels, each with its version.
        needed: So many of them, the first ones, have a value that is not new: it should be there.
        values: The new ones.
        others: Returns the needed ones: stored again where the shelf lost them, or the thread ended meanwhile.
    """

    place: Place
    parent: str
    begins: bool
    root: str
    depth: int
    references: list[str]
    needed: int
    record: bytes
    values: list[tuple[str, bytes]]
    others: Callable[[], list[tuple[str, bytes]]]

    def whole(self) -> "Kept":
        """Return the same with all of its values."""
        return self._replace(needed=0, values=[*self.values, *self.others()])


class Found(NamedTuple):
    """A checkpoint as it is stored.

    Args:
        values: By reference; there may be more than it refers to.
    """

    place: Place
    parent: str
    record: bytes
    references: Sequence[str]
    written: Sequence[tuple[str, bytes]]
    values: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Care:
    """How long what is stored is kept.

    Args:
        kept: How many checkpoints stay beside the newest of each namespace; None: all.
        ttl_ms: How long a thread is kept after it was last used; None: for good.
        ends_waiting: Whether that holds for a thread that waits for a human, too.
    """

    kept: int | None = None
    ttl_ms: int | None = None
    ends_waiting: bool = False


class Packer:
    """Makes parts of checkpoints, and checkpoints of parts."""

    def __init__(self, serde: SerializerProtocol) -> None:
        self._serde = serde

    def packed(self, value: Any) -> bytes:
        """Return a value with its type's name before it."""
        kind, text = self._serde.dumps_typed(value)
        return b"%b\0%b" % (kind.encode(), text)

    def unpacked(self, text: bytes) -> Any:
        """Return the value again."""
        kind, _, rest = text.partition(b"\0")
        return self._serde.loads_typed((kind.decode(), rest))

    def kept(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new: ChannelVersions
    ) -> Kept:
        """Return what to store of a checkpoint."""
        above = Place.of(config)
        values, versions = checkpoint["channel_values"], checkpoint["channel_versions"]
        refs = {name: _reference(above.ns, name, version) for name, version in versions.items()}
        rest = {name: value for name, value in checkpoint.items() if name != "channel_values"}
        about = get_checkpoint_metadata(config, metadata)
        fresh = [name for name, version in new.items() if name in values and versions.get(name) == version]
        needed = [name for name in refs if name in values and name not in fresh]
        unsure = [name for name in refs if name not in values and name not in new]
        return Kept(
            place=above._replace(id=checkpoint["id"]),
            parent=above.id,
            begins=metadata.get("source") != "loop",
            root=_root(above.ns, metadata),
            depth=_depth(metadata, versions),
            references=[refs[name] for name in (*needed, *fresh, *unsure)],
            needed=len(needed),
            record=self.packed((rest, about)),
            values=[(refs[name], self.packed(values[name])) for name in fresh],
            others=lambda: [(refs[name], self.packed(values[name])) for name in needed],
        )

    def written(self, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str) -> Written:
        """Return what to store of a task's writes; what is written twice to a special place has the last."""
        frames: dict[int, bytes] = {}
        for at, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, at)
            frames[index] = frame(index, task_path, channel, self.packed(value))
        return Written(task_id, any(channel == INTERRUPT for channel, _ in writes), b"".join(frames.values()))

    def tuple_of(self, found: Found) -> CheckpointTuple:
        """Return a stored checkpoint."""
        rest, metadata = self.unpacked(found.record)
        values = {
            _channel(found.place.ns, reference): self.unpacked(found.values[reference])
            for reference in found.references
            if reference in found.values
        }
        return CheckpointTuple(
            config=found.place.config(),
            checkpoint={**rest, "channel_values": values},  # type: ignore[typeddict-item]  # the rest has the others
            metadata=metadata,
            parent_config=found.place._replace(id=found.parent).config() if found.parent else None,
            pending_writes=self._pending(found.written),
        )

    def again(self, found: Found, thread: str) -> tuple[Kept, list[Written]]:
        """Return what was found as what to store in another thread."""
        rest, metadata = self.unpacked(found.record)
        kept = Kept(
            place=found.place._replace(thread=thread),
            parent=found.parent,
            begins=metadata.get("source") != "loop",
            root=_root(found.place.ns, metadata),
            depth=_depth(metadata, rest["channel_versions"]),
            references=list(found.references),
            needed=0,
            record=found.record,
            values=[(each, found.values[each]) for each in found.references if each in found.values],
            others=list,
        )
        return kept, [Written(task, asks(frames), frames) for task, frames in found.written]

    def metadata_of(self, found: Found) -> CheckpointMetadata:
        """Return what is noted of a stored checkpoint."""
        metadata: CheckpointMetadata = self.unpacked(found.record)[1]
        return metadata

    def _pending(self, written: Sequence[tuple[str, bytes]]) -> list[PendingWrite]:
        """Return writes as live execution applies them (LangGraph's `writes_sort_key`)."""
        found = [
            ((path, task, index), (task, channel, text))
            for task, frames in written
            for index, path, channel, text in frames_in(frames)
        ]
        found.sort(key=itemgetter(0))
        return [(task, channel, self.unpacked(text)) for _, (task, channel, text) in found]


def _reference(ns: str, channel: str, version: str | float) -> str:
    return f"{ns}{SPLIT}{channel}{SPLIT}{version}"


def _channel(ns: str, reference: str) -> str:
    return reference[len(ns) + 1 :].rpartition(SPLIT)[0]


def _root(ns: str, metadata: CheckpointMetadata) -> str:
    parents = metadata.get("parents") or {}
    return parents.get("", "") if SUB_GRAPH_OF_A_TASK in ns else ""


def _depth(metadata: CheckpointMetadata, versions: ChannelVersions) -> int:
    counters = metadata.get("counters_since_delta_snapshot") or {}
    return max((steps for channel, (_, steps) in counters.items() if channel in versions), default=0)


class Shelf(Protocol):
    """Where parts are kept; every method raises `StoreUnavailable`, writes also where the thread's lease is over."""

    async def store(self, place: Place, lease: Lease | None, kept: Kept | None, written: Sequence[Written]) -> None:
        """Store what tasks wrote on the checkpoint at a place, and the one behind it, all or nothing."""
        ...

    async def one(self, place: Place) -> Found | None:
        """Return one checkpoint."""
        ...

    async def page(self, thread: str, ns: str | None, *, before: str, most: int) -> list[Found]:
        """Return so many checkpoints, newest first; of every namespace where none is named.

        Args:
            before: They are older than this id; empty: than none.
        """
        ...

    async def threads(self) -> list[str]:
        """Return every thread."""
        ...

    async def drop(self, thread: str, places: Sequence[Place] | None = None) -> None:
        """Remove checkpoints, or everything of the thread."""
        ...

    async def retain(self, thread: str, kept: int) -> None:
        """Let the newest checkpoint of each namespace stay, and so many beside it."""
        ...

    async def close(self) -> None:
        """Close what it opened."""
        ...
