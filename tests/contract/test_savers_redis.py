"""Our checkpoints in a plain Redis: its keys, their time to live, the lease, and what happens when Redis goes."""

import asyncio
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from redis.asyncio import Redis

from checkpoints.lean.parts import Care
from checkpoints.locks import writing_under
from checkpoints.redis import PATIENT, PROMPT, open_redis
from checkpoints.redis_locks import open_redis_locks
from checkpoints.saver import open_redis_saver
from domain.errors import StoreUnavailable
from tests.redis_server import RedisServer
from tests.savers import client_of, config_of, history, misfits, stored, values_of


class Counted(TypedDict):
    n: int


async def counted(state: Counted) -> Counted:
    return {"n": state["n"] + 1}


async def asking(state: Counted) -> Counted:
    return {"n": interrupt("how many?")}


def steps(saver: Any, *nodes: Any) -> Any:
    graph = StateGraph(Counted)
    names = [f"n{at}" for at, _ in enumerate(nodes)]
    for name, node in zip(names, nodes, strict=True):
        graph.add_node(name, node)
    for name, behind in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(name, behind)
    return graph.compile(checkpointer=saver)


async def commands(client: Redis) -> int:
    """Return how many scripts Redis has run."""
    stats = await client.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


async def times_to_live(client: Redis) -> list[int]:
    return [await client.ttl(key) for key in await client.keys("*")]


async def test_deleting_a_thread_leaves_no_key_behind(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        await stored(saver, "kept", n=1)
        kept = set(await client.keys("*"))
        for n in range(20):
            await stored(saver, "gone", n=n)
        await saver.adelete_thread("gone")
        assert set(await client.keys("*")) == kept


async def test_a_flushed_redis_is_empty_and_goes_on(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        await stored(saver, "t", n=1)
        await client.flushall()
        assert await history(saver, "t") == []
        await client.flushall()
        await saver.adelete_thread("t")
        await stored(saver, "t", n=2)
        assert await history(saver, "t") == [{"n": 2}]


async def test_a_killed_redis_is_unavailable_and_has_everything_when_it_is_back(server: RedisServer) -> None:
    async with client_of(server) as client, open_redis_saver(client) as saver:
        await stored(saver, "t", n=1)
        await server.kill()
        for asked in (
            saver.aget_tuple(config_of("t")),
            stored(saver, "t", n=2),
            saver.adelete_thread("t"),
            history(saver, "t"),
        ):
            with pytest.raises(StoreUnavailable, match=r"The checkpoints' Redis does not answer"):
                await asked
        await server.start()
        assert await values_of(saver, "t") == {"n": 1}


async def test_a_frozen_redis_is_unavailable_while_it_is_frozen(server: RedisServer) -> None:
    async with (
        open_redis(server.url, max_connections=4, manner=PROMPT) as client,
        open_redis_saver(client) as saver,
    ):
        await stored(saver, "t", n=1)
        server.freeze()
        with pytest.raises(StoreUnavailable):
            await values_of(saver, "t")
        server.thaw()
        assert await values_of(saver, "t") == {"n": 1}


async def test_a_thread_has_two_keys_that_a_cluster_keeps_together(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        await stored(saver, "t", n=1)
        assert sorted(await client.keys("*")) == [b"checkpoints:{t}", b"checkpoints:{t}:order"]


async def test_every_key_expires_with_the_others_and_later_after_every_use(client: Redis) -> None:
    async with open_redis_saver(client, care=Care(ttl_ms=600_000)) as saver:
        for use in (stored(saver, "t", n=1), values_of(saver, "t"), history(saver, "t")):
            for key in await client.keys("*"):
                await client.expire(key, 9)
            await use
            assert [590 <= each <= 600 for each in await times_to_live(client)] == [True, True]


@pytest.mark.parametrize("ends_waiting", [False, True])
async def test_a_thread_that_waits_for_a_human_ends_only_where_told_so(client: Redis, ends_waiting: bool) -> None:
    care = Care(ttl_ms=600_000, ends_waiting=ends_waiting)
    async with open_redis_saver(client, care=care) as saver:
        graph = steps(saver, counted, asking, counted)
        await graph.ainvoke({"n": 1}, config_of("t"), durability="sync")
        await graph.aget_state(config_of("t"))
        assert [each > 0 for each in await times_to_live(client)] == [ends_waiting] * 2
        assert (await graph.ainvoke(Command(resume=5), config_of("t"), durability="sync"))["n"] == 6
        assert [each > 0 for each in await times_to_live(client)] == [True, True]


async def test_what_expired_is_gone_at_once_and_completely(client: Redis) -> None:
    async with open_redis_saver(client, care=Care(ttl_ms=60)) as saver:
        await stored(saver, "t", n=1)
        async with asyncio.timeout(10):
            while await client.keys("*"):  # noqa: ASYNC110  # Redis tells nobody
                await asyncio.sleep(0.01)
        assert await values_of(saver, "t") is None


async def test_a_step_is_one_round_trip_and_a_run_one_more(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        graph = steps(saver, counted, counted, counted)
        await graph.ainvoke({"n": 0}, config_of("warm"), durability="sync")
        before = await commands(client)
        await graph.ainvoke({"n": 0}, config_of("t"), durability="sync")
        made = len([each async for each in saver.alist(config_of("t"))])
        assert await commands(client) - before - 1 <= made + 1, "a checkpoint each, and one look at the thread"


async def test_a_write_whose_lease_somebody_else_has_is_refused_in_the_same_step(client: Redis) -> None:
    async with open_redis_saver(client) as saver, open_redis_locks(client, lease_seconds=60) as locks:
        async with locks.hold("t", wait_seconds=0) as mine:
            with writing_under(mine):
                config = await stored(saver, "t", n=1)
                before = await client.dump("checkpoints:{t}")
                await client.set(mine.key, "somebody.else/9")
                assert mine.is_held(), "our own clock still says so"
                for late in (
                    stored(saver, "t", n=2),
                    saver.aput_writes(config, [("a", 1)], "late"),
                    saver.adelete_thread("t"),
                ):
                    mine.lost.clear()
                    mine.renewed(until=float("inf"))
                    with pytest.raises(StoreUnavailable, match=r"lost the thread's lease"):
                        await late
                assert mine.lost.is_set()
        assert await client.dump("checkpoints:{t}") == before


async def test_many_runs_share_one_connection(server: RedisServer) -> None:
    async with client_of(server, max_connections=4) as client, open_redis_saver(client) as saver:
        graph = steps(saver, counted)
        runs = [graph.ainvoke({"n": n}, config_of(f"t{n}"), durability="sync") for n in range(50)]
        assert [each["n"] for each in await asyncio.gather(*runs)] == list(range(1, 51))
        assert int((await client.info("clients"))["connected_clients"]) <= 3
        assert await misfits(client) == []


async def test_runs_that_redis_leaves_alone_for_a_moment_do_not_notice(server: RedisServer) -> None:
    async with client_of(server) as client, open_redis_saver(client) as saver:
        graph = steps(saver, *[counted] * 20)
        running = asyncio.create_task(graph.ainvoke({"n": 0}, config_of("t"), durability="sync"))
        for _ in range(3):
            await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]  # redis-py
            await asyncio.sleep(0)
        assert (await running)["n"] == 20
        assert await misfits(client) == []


async def test_values_of_any_size_arrive(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        given = {"large": "x" * 3_000_000, "many": list(range(100_000)), "none": None}
        await stored(saver, "t", **given)
        assert await values_of(saver, "t") == given


async def test_a_state_of_thousands_of_channels_and_a_step_of_thousands_of_tasks(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        config = await stored(saver, "t", **{f"c{n}": n for n in range(5_000)})
        await asyncio.gather(*(saver.aput_writes(config, [("out", n)], f"task{n}") for n in range(5_000)))
        found = await saver.aget_tuple(config)
        assert found
        assert (len(found.checkpoint["channel_values"]), len(found.pending_writes or [])) == (5_000, 5_001)


async def test_a_redis_that_refuses_a_command_says_so(client: Redis) -> None:
    await client.execute_command("ACL", "SETUSER", "default", "-hset")  # type: ignore[no-untyped-call]  # redis-py
    with pytest.raises(StoreUnavailable, match=r"refuses"):
        async with open_redis_saver(client):
            pass


async def test_another_database_serves_as_well(server: RedisServer) -> None:
    async with (
        open_redis(server.url[:-1] + "1", max_connections=4, manner=PATIENT) as client,
        open_redis_saver(client) as saver,
    ):
        await stored(saver, "t", n=1)
        assert await values_of(saver, "t") == {"n": 1}
