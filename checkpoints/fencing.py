"""Fenced writes: a Redis client that writes only while the writer's lease stands, checked in the same step."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.commands.json import AsyncJSON

from checkpoints.locks import Lease, lapsed, writing_lease

WRITES = frozenset({"SET", "DEL", "ZADD", "JSON.SET", "JSON.MERGE"})
"""What is fenced; reading and expiring harm nobody."""

FENCED = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return false
end
local answers, at = {}, 2
while at <= #ARGV do
    local count = tonumber(ARGV[at])
    answers[#answers + 1] = redis.pcall(unpack(ARGV, at + 1, at + count))
    at = at + count + 1
end
return answers
"""
"""Carry out every command, or none where somebody else holds the lease. Arguments: its value, then counted commands."""

type Command = tuple[tuple[Any, ...], Mapping[str, Any]]


class FencedRedis(Redis):
    """A client on the pool of another: under a lease (`checkpoints.locks.writing_under`) its writes are fenced."""

    def __init__(self, client: Redis) -> None:
        super().__init__(connection_pool=client.connection_pool)
        self._fenced = self.register_script(FENCED)
        self._json = super().json()

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "FencedPipeline":
        """Return a pipeline whose writes are fenced."""
        return FencedPipeline(self, transaction=transaction, shard_hint=shard_hint)

    def json(self, encoder: Any = None, decoder: Any = None) -> AsyncJSON:  # type: ignore[override]  # typed as the sync one
        """Return the JSON commands, made once: the driver makes them for every command, which costs more than it."""
        return self._json

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Execute a command; raises `StoreUnavailable` for a write whose lease is over."""
        lease = writing_lease() if args[0] in WRITES else None
        if lease is None or not lease.key:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py
        (answer,) = await self.fenced([(args, options)], lease)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fenced(self, commands: Sequence[Command], lease: Lease) -> list[Any]:
        """Execute commands under a lease, all or none, and return each one's answer or error."""
        arguments: list[Any] = [lease.value]
        for args, _ in commands:
            arguments += [len(args), *args]
        answers = await self._fenced(keys=[lease.key], args=arguments)
        if answers is None:
            lease.lose()
            raise lapsed()
        return [self._read(answer, *command) for answer, command in zip(answers, commands, strict=True)]

    def _read(self, answer: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        callback = self.response_callbacks.get(args[0])
        return callback(answer, **options) if callback and not isinstance(answer, Exception) else answer


class FencedPipeline(Pipeline):
    """A pipeline that is carried out as one fenced step when it writes under a lease."""

    def __init__(self, client: FencedRedis, *, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client

    def json(self, encoder: Any = None, decoder: Any = None) -> AsyncJSON:  # type: ignore[override]  # typed as the sync one
        """Return the JSON commands, staged here."""
        staged = copy.copy(self._client.json())
        staged.client, staged.execute_command = self, self.execute_command
        return staged

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Execute what was staged; raises `StoreUnavailable` for writes whose lease is over."""
        stack = list(self.command_stack)
        lease = writing_lease() if any(args[0] in WRITES for args, _ in stack) else None
        if lease is None or not lease.key:
            return await super().execute(raise_on_error)
        await self.reset()  # type: ignore[no-untyped-call]  # redis-py
        answers = await self._client.fenced(stack, lease)
        if raise_on_error:
            self.raise_first_error(stack, answers)
        return answers
