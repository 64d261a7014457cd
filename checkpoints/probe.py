"""A saver is tried before it is used: it must give back what it gets."""

import asyncio
import secrets
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.types import Interrupt, Send

from domain.errors import StoreUnavailable

MARKERS: dict[str, Any] = {
    "send": {"__send__": True, "node": "act", "arg": {}},
    "interrupt": {"__interrupt__": True, "value": "v", "id": "i"},
    "constructor": {"lc": 2, "type": "constructor", "id": ["nowhere", "Nothing"], "kwargs": {"a": 1}},
    "bytes": {"__bytes__": "AAAA"},
}
"""What a service or a user may send us, looking like what serializers write themselves."""

VALUES: dict[str, Any] = {
    "message": '{"lc":1,"type":"constructor","id":["nowhere","Nothing"]} {"__send__":true} \u00e4\u6f22\U0001f600 \\ "',
    "step": 9_007_199_254_740_993,
    "passages": [{"score": 0.1, "text": "1.10", "none": None, "yes": True, "deep": [[{"a": [1, 2.5, -0.25]}]]}],
    "variants": {"markers": MARKERS, "empty": {}, "list": []},
}
"""Every kind of value that the state holds."""

PROBE_SECONDS = 10.0


async def check_saver(saver: BaseCheckpointSaver[Any]) -> None:
    """Write, read and delete a thread nobody has; raises `StoreUnavailable` when anything comes back otherwise."""
    thread_id = f"probe_{secrets.token_hex(8)}"
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            wrong = await _altered(saver, thread_id)
            await saver.adelete_thread(thread_id)
            if await saver.aget_tuple(_config(thread_id)):
                wrong.append("a deleted thread")
    except TimeoutError as error:
        raise StoreUnavailable("The checkpoints took too long to answer.") from error
    if wrong:
        raise StoreUnavailable(f"The checkpoints do not give back what they get: {', '.join(wrong)}.")


async def _altered(saver: BaseCheckpointSaver[Any], thread_id: str) -> list[str]:
    """Store a checkpoint and a task's writes, and return what came back otherwise."""
    versions: dict[str, Any] = {channel: saver.get_next_version(None, None) for channel in VALUES}
    checkpoint = {**empty_checkpoint(), "channel_values": VALUES, "channel_versions": versions}
    writes = [(f"write_{channel}", value) for channel, value in VALUES.items()]
    writes += [("sent", Send("act", MARKERS)), ("asked", Interrupt(value=MARKERS, id="i"))]
    metadata: Any = {"source": "input", "step": -1, "parents": {}}
    stored = await saver.aput(_config(thread_id), checkpoint, metadata, versions)  # type: ignore[arg-type]  # a copy
    await saver.aput_writes(stored, writes, "probe")
    found = await saver.aget_tuple(_config(thread_id))
    if found is None:
        return ["a checkpoint"]
    values = found.checkpoint["channel_values"]
    written = {channel: value for _, channel, value in found.pending_writes or []}
    return [each for each in VALUES if not _same(values.get(each), VALUES[each])] + [
        channel for channel, value in writes if not _same(written.get(channel), value)
    ]


def _same(found: Any, given: Any) -> bool:
    """Compare by value and by type: True is not 1, and a dictionary is no object that equals it."""
    return repr(found) == repr(given)


def _config(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
