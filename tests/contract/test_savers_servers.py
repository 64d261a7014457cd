"""Redis as others run it: users with few rights, TLS, a cluster's rules, no memory left, replicas."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from checkpoints.lean.parts import Care
from checkpoints.locks import Lease, writing_under
from checkpoints.redis import PATIENT, open_redis
from checkpoints.redis_locks import open_redis_locks
from checkpoints.saver import open_redis_saver
from domain.errors import ConfigurationError, StoreUnavailable
from tests.certificates import certified
from tests.contract.test_savers import passed
from tests.redis_server import RedisServer, redis_server
from tests.running import free_port
from tests.savers import client_of, config_of, history, misfits, stored, values_of


async def told(client: Redis, *command: str) -> Any:
    return await client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py


async def test_a_user_without_dangerous_commands_and_with_our_keys_only_is_enough(
    server: RedisServer, client: Redis
) -> None:
    keys = ("~checkpoints:*", "~lease*", "resetchannels", "&lease_wake:*")
    await told(client, "ACL", "SETUSER", "app", "on", ">pass", *keys, "+@all", "-@dangerous", "-@admin")
    url = server.url.replace("//", "//app:pass@")
    async with (
        open_redis(url, max_connections=4, manner=PATIENT) as own,
        open_redis_saver(own, care=Care(kept=2, ttl_ms=600_000)) as saver,
        open_redis_locks(own, lease_seconds=60) as locks,
    ):
        async with locks.hold("t", wait_seconds=0) as lease:
            with writing_under(lease):
                for n in range(5):
                    await stored(saver, "t", n=n)
        assert await history(saver, "t") == [{"n": 4}, {"n": 3}, {"n": 2}]
        await saver.aprune(["t"])
        await saver.adelete_for_runs(["none"])
        await saver.adelete_thread("t")


async def test_a_wrong_password_is_told_from_a_redis_that_is_away(server: RedisServer) -> None:
    with pytest.raises(StoreUnavailable, match=r"does not know the user or the password"):
        async with open_redis(server.url.replace("//", "//app:wrong@"), max_connections=4, manner=PATIENT):
            pass


async def test_everything_works_over_tls_with_a_companys_own_authority(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    port = free_port()
    paired = {
        "port": port,
        "cert-file": certificate,
        "key-file": key,
        "ca-cert-file": certificate,
        "auth-clients": "no",
    }
    options = tuple(part for name, value in paired.items() for part in (f"--tls-{name}", str(value)))
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    async with redis_server(tmp_path / "redis", modules=False, options=options) as server:
        async with open_redis(url, max_connections=4, manner=PATIENT) as client, open_redis_saver(client) as saver:
            given = {"large": "x" * 3_000_000, "n": 1}
            await stored(saver, "t", **given)
            await server.kill()
            await server.start()
            assert await values_of(saver, "t") == given
        with pytest.raises(StoreUnavailable):
            async with open_redis(url.partition("?")[0], max_connections=4, manner=PATIENT):
                pass


async def test_scripts_that_redis_forgot_are_sent_again(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        await stored(saver, "t", n=1)
        for n in (2, 3):
            await client.script_flush()
            await asyncio.gather(*(stored(saver, "t", n=n) for _ in range(10)))
        await client.script_flush()
        assert len(await history(saver, "t")) == 11
        assert await misfits(client) == []


async def test_a_redis_without_memory_says_so_loses_nothing_and_can_be_pruned(client: Redis) -> None:
    async with open_redis_saver(client, care=Care()) as saver:
        first = await saver.aget_tuple(await stored(saver, "t", shared="x" * 1000))
        assert first
        for n in range(3):
            checkpoint: Any = {**first.checkpoint, "id": f"{first.checkpoint['id']}{n}"}
            await saver.aput(first.config, checkpoint, {"source": "input", "step": 1, "parents": {}}, {})
        before = await client.dump("checkpoints:{t}")
        await client.config_set("maxmemory", "1")
        for asked in (stored(saver, "t", n=2), saver.aput_writes(first.config, [("a", 1)], "late")):
            with pytest.raises(StoreUnavailable, match=r"has no memory left"):
                await asked
        assert await client.dump("checkpoints:{t}") == before
        await saver.aprune(["t"])
        assert await history(saver, "t") == [{"shared": "x" * 1000}]
        await saver.adelete_thread("t")
        assert await client.keys("*") == []


async def test_a_redis_that_became_a_replica_says_so_and_its_address_is_asked_again(
    client: Redis, tmp_path: Path
) -> None:
    async with open_redis_saver(client) as saver, redis_server(tmp_path / "other", modules=False) as other:
        await stored(saver, "t", n=1)
        connections = (await client.info("stats"))["total_connections_received"]
        await told(client, "REPLICAOF", "127.0.0.1", str(other.port))
        with pytest.raises(StoreUnavailable, match=r"is a replica"):
            await stored(saver, "t", n=2)
        assert (await client.info("stats"))["total_connections_received"] > connections
        await told(client, "REPLICAOF", "NO", "ONE")
        await stored(saver, "t", n=3)
        assert await values_of(saver, "t") == {"n": 3}


async def test_a_value_larger_than_redis_takes_is_refused_and_the_others_are_not(client: Redis) -> None:
    async with open_redis_saver(client) as saver:
        await client.config_set("proto-max-bulk-len", "1mb")
        with pytest.raises(StoreUnavailable, match=r"takes no values as large"):
            await stored(saver, "t", said="x" * 2_000_000)
        await stored(saver, "t", n=1)
        assert await values_of(saver, "t") == {"n": 1}


async def test_a_redis_that_stands_still_does_not_keep_the_server_from_ending(server: RedisServer) -> None:
    async with client_of(server) as client, open_redis_saver(client) as saver:
        server.freeze()
        writing = asyncio.create_task(stored(saver, "t", said="x" * 50_000_000))
        await asyncio.sleep(0)
        async with asyncio.timeout(15):
            await saver.shelf.close()
            server.thaw()
            await asyncio.gather(writing, return_exceptions=True)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """Give a cluster of one node: it refuses what would not fit in one slot, as any other."""
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    async with redis_server(tmp_path / "node", modules=False, options=options) as running:
        async with Redis.from_url(running.url) as client, asyncio.timeout(20):
            await told(client, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            while b"cluster_state:ok" not in await told(client, "CLUSTER", "INFO"):  # noqa: ASYNC110  # tells nobody
                await asyncio.sleep(0.01)
        yield running


async def test_a_cluster_is_refused_and_says_why(node: RedisServer) -> None:
    with pytest.raises(ConfigurationError, match=r"a node of a Redis Cluster"):
        async with client_of(node):
            pass


async def test_all_that_one_script_needs_is_in_one_slot_of_a_cluster(node: RedisServer) -> None:
    async with Redis.from_url(node.url) as client, open_redis_saver(client) as saver:
        assert await passed(saver)
        for thread in ("t", "", "}x", "{}", "a{b}c", "100%", "%7D"):
            async with open_redis_locks(client, lease_seconds=60) as locks:
                key = locks._lease(thread, "me/1", 1, 0).key  # where a lease of this name is
            await client.set(key, "me/1")
            with writing_under(Lease(thread, number=1, key=key, value="me/1")):
                await stored(saver, thread, n=1)
                assert await values_of(saver, thread) == {"n": 1}
                await saver.aprune([thread])
                await saver.adelete_thread(thread)
            assert await saver.aget_tuple(config_of(thread)) is None
