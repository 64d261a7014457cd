"""langgraph-checkpoint-redis as we use it: values packed so that they come back as they were, and writes fenced.

The package's own format is JSON with markers: it turns decimals and times into other things, and a user's dictionary
that looks like one of its markers into a live object, importing the module it names. Ours is the serializer of every
other saver, as text inside the package's documents; three methods are replaced, so the version is pinned.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, CheckpointTuple, get_checkpoint_id
from langgraph.checkpoint.redis.aio import AsyncRedisSaver
from langgraph.checkpoint.redis.util import EMPTY_STRING_SENTINEL
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from redisvl.exceptions import RedisVLError  # type: ignore[import-untyped]  # has none

from checkpoints.fencing import FencedRedis
from domain.errors import StoreUnavailable

ERRORS: tuple[type[Exception], ...] = (RedisError, RedisVLError, OSError)
"""What the package raises when Redis does not do what it should."""

INDEXED = ("source", "step")
"""Metadata that the package's index knows."""

NO_INDEX = ("no such index", "unknown index name", "index not found")


class PackedRedisSaver(AsyncRedisSaver):
    """The package's saver with packed values, and with its index made again when Redis lost it."""

    def __init__(self, client: Redis, *, ttl: dict[str, Any] | None) -> None:
        super().__init__(redis_client=FencedRedis(client), ttl=ttl)
        self.serde = JsonPlusSerializer()

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first; what the index cannot tell (`before`, other metadata) is looked at here."""
        wanted = filter or {}
        indexed = {key: value for key, value in wanted.items() if key in INDEXED}
        end = get_checkpoint_id(before) if before else None
        most = limit if end is None and indexed == wanted else None
        left = limit
        for each in await self._found(_rooted(config), filter=indexed, limit=most):
            if left == 0:
                return
            if (end is None or each.checkpoint["id"] < end) and wanted.items() <= dict(each.metadata).items():
                left = left and left - 1
                yield each

    async def _found(self, config: RunnableConfig | None, **query: Any) -> list[CheckpointTuple]:
        try:
            return [each async for each in super().alist(config, **query)]
        except (RedisError, RedisVLError) as error:
            await self._index_again(error)
            return [each async for each in super().alist(config, **query)]

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove everything of a thread."""
        try:
            await super().adelete_thread(thread_id)
        except (RedisError, RedisVLError) as error:
            await self._index_again(error)
            await super().adelete_thread(thread_id)

    async def _index_again(self, error: Exception) -> None:
        """Make the indexes again if that is what is wrong, and wait until they cover everything."""
        if not any(words in str(error).lower() for words in NO_INDEX):
            raise error
        await self.asetup()
        for index in (self.checkpoints_index, self.checkpoint_writes_index):
            async with asyncio.timeout(30):
                while int((await index.info())["indexing"]):  # noqa: ASYNC110  # Redis tells nobody when it is done
                    await asyncio.sleep(0.01)

    def _dump_checkpoint(self, checkpoint: Checkpoint) -> dict[str, Any]:
        kind, packed = self.serde.dumps_typed(checkpoint["channel_values"])
        values = {"kind": kind, "packed": base64.b64encode(packed).decode()}
        return {**checkpoint, "channel_values": values, "pending_sends": []}

    def _dump_metadata(self, metadata: CheckpointMetadata) -> str:
        return json.dumps(metadata)

    def _recursive_deserialize(self, obj: Any) -> Any:
        return self.serde.loads_typed((obj["kind"], base64.b64decode(obj["packed"]))) if obj else {}


def _rooted(config: RunnableConfig | None) -> RunnableConfig | None:
    """Return the config with the root graph's namespace named: the package takes "" for every namespace."""
    if not config or config["configurable"].get("checkpoint_ns") != "":
        return config
    return {**config, "configurable": {**config["configurable"], "checkpoint_ns": EMPTY_STRING_SENTINEL}}


async def opened_saver(client: Redis, *, ttl_minutes: int | None) -> PackedRedisSaver:
    """Return the saver with its indexes made; raises `StoreUnavailable` where this Redis cannot have them."""
    ttl = None if ttl_minutes is None else {"default_ttl": ttl_minutes, "refresh_on_read": True}
    saver = PackedRedisSaver(client, ttl=ttl)
    try:
        await client.execute_command("JSON.GET", "checkpoint_probe")  # type: ignore[no-untyped-call]  # redis-py
        await client.execute_command("FT._LIST")  # type: ignore[no-untyped-call]  # redis-py
        await saver.asetup()
    except ERRORS as error:
        raise StoreUnavailable(_refusal(error)) from error
    return saver


def _refusal(error: Exception) -> str:
    said = str(error).lower()
    if not any(isinstance(each, ResponseError) for each in (error, error.__cause__)):
        return "The Redis of the checkpoints does not answer."
    if "unknown command" in said:
        return "This Redis has no search and JSON modules; Redis 8 has them."
    if "db != 0" in said:
        return "Redis searches its database 0 only: let REDIS_URL end in /0."
    return "This Redis refuses what the checkpoints need; see its access rules."
