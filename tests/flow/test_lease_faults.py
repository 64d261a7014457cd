"""Several replicas on one Redis: one writer per thread, whoever dies, sleeps or is cut off."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from checkpoints.documents import open_documents
from checkpoints.ledger import Ledger
from checkpoints.locks import Locks, writing_under
from checkpoints.redis import PATIENT, open_redis
from checkpoints.redis_locks import open_redis_locks
from checkpoints.saver import open_redis_saver
from domain.errors import Conflict, StoreUnavailable, ThreadBusy
from domain.runs import Run
from graph.live import Live
from tests.records import order as record_of
from tests.redis_server import RedisServer, redis_server
from tests.replicas import LEASE_SECONDS, Replica, asked, now, replica
from tests.running import ROOT


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path / "redis") as running:
        yield running


@pytest.fixture
async def pair(server: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    async with replica(server.url, tmp_path) as first, replica(server.url, tmp_path) as second:
        yield first, second


async def begun(on: Replica, session_id: str = "s", **more: Any) -> Live:
    """Start a run whose model has been asked and says nothing yet."""
    live = await on.runs.start(asked(session_id, **more))
    await on.model.asked.wait()
    return live


async def ended(on: Replica, run_id: str, *, within: float = 10) -> Run:
    """Wait until the record says that a run has ended."""
    async with asyncio.timeout(within):
        while (run := await on.records.get(run_id)).status == "running":  # noqa: ASYNC110  # another replica ends it
            await asyncio.sleep(0.02)
    return run


async def left_by_a_crash(on: Replica) -> Run:
    """Leave a run as a process does that was killed: a record, and a lease that nobody renews."""
    run = asked().run(now())
    await on.records.add(run)
    await on.redis.set(f"lease:{{{run.thread_id}}}", "somebody.dead/7", px=round(LEASE_SECONDS * 1000))
    return run


async def put(saver: Any, thread_id: str, mark: str) -> Any:
    config = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    checkpoint = {**empty_checkpoint(), "channel_values": {"mark": mark}, "channel_versions": {"mark": "1"}}
    stored = await saver.aput(config, checkpoint, {"source": "loop", "step": 1, "parents": {}}, {"mark": "1"})
    await saver.aput_writes(stored, [("mark", mark)], "task")
    return stored


@asynccontextmanager
async def process(server: RedisServer, folder: Path, session_id: str = "s") -> AsyncIterator[tuple[Any, str]]:
    """Run a replica in a process of its own that is in the middle of a run; yield it and the run's id."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.replicas", server.url, str(folder), session_id),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout
        said = (await program.stdout.readline()).split()
        assert said[:1] == [b"asked"], said
        yield program, said[1].decode()
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


async def keys_of(server: RedisServer) -> dict[Any, Any]:
    """Return every checkpoint key and what it holds."""
    async with open_redis(server.url, max_connections=2, manner=PATIENT) as client:
        return {key: await client.dump(key) for key in sorted(await client.keys("*checkpoint*"))}


async def test_a_run_of_a_killed_replica_is_ended_by_exactly_one_other(server: RedisServer, tmp_path: Path) -> None:
    async with process(server, tmp_path) as (program, run_id):
        program.send_signal(signal.SIGKILL)
        await program.wait()
        async with replica(server.url, tmp_path) as first, replica(server.url, tmp_path) as second:
            for each in (first, second):
                each.model.may_answer.set()
            run = await ended(first, run_id, within=LEASE_SECONDS + 5)
        assert (run.status, run.attempt) == ("completed", 2)
        assert first.model.times + second.model.times == 1


async def test_a_process_stopped_longer_than_its_lease_writes_nothing_when_it_wakes(
    server: RedisServer, tmp_path: Path
) -> None:
    async with process(server, tmp_path) as (program, run_id), replica(server.url, tmp_path) as other:
        program.send_signal(signal.SIGSTOP)
        other.model.may_answer.set()
        run = await ended(other, run_id)
        before = await keys_of(server)
        program.send_signal(signal.SIGCONT)
        told, _ = await program.communicate(b"go on\n")
        assert told.splitlines()[-1].startswith(b"stopped This server lost the thread's lease"), told
        assert await keys_of(server) == before
        assert await other.records.get(run_id) == run
        assert (run.status, run.attempt) == ("completed", 2)


async def test_a_process_stopped_between_its_check_and_its_write_writes_nothing(server: RedisServer) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_redis(server.url, max_connections=8, manner=PATIENT))
        saver = await stack.enter_async_context(open_redis_saver(client))
        locks = await stack.enter_async_context(open_redis_locks(client, lease_seconds=60))
        mine = await stack.enter_async_context(locks.hold("t", wait_seconds=0))
        stack.enter_context(writing_under(mine))
        await put(saver, "t", "mine")
        await client.delete(mine.key)  # it lapsed while we were stopped, and our own clock still says held
        theirs = await stack.enter_async_context(locks.hold("t", wait_seconds=0))
        with writing_under(theirs):
            await put(saver, "t", "theirs")
        before = await keys_of(server)
        assert mine.is_held()
        with pytest.raises(StoreUnavailable, match=r"lost the thread's lease"):
            await put(saver, "t", "late")
        assert await keys_of(server) == before
        assert (theirs.number > mine.number, mine.lost.is_set()) == (True, True)


async def test_a_run_whose_lease_is_taken_stops_and_leaves_its_record_alone(
    server: RedisServer, tmp_path: Path
) -> None:
    async with replica(server.url, tmp_path, tends=False) as here:
        live = await begun(here)
        await here.redis.delete(f"lease:{{{live.run.thread_id}}}")
        with pytest.raises(StoreUnavailable, match=r"lost the thread's lease"):
            await live.settled()
        assert (await here.records.get(live.run.run_id)).status == "running"


async def test_leases_survive_a_redis_that_is_killed_and_back_in_time(server: RedisServer, tmp_path: Path) -> None:
    async with replica(server.url, tmp_path) as here:
        live = await begun(here)
        await server.kill()
        await server.start()
        here.model.may_answer.set()
        run = await live.settled()
    assert (run.status, run.attempt) == ("completed", 1)


async def test_a_redis_that_is_away_for_long_stops_its_runs_and_they_go_on_when_it_is_back(
    server: RedisServer, tmp_path: Path
) -> None:
    async with replica(server.url, tmp_path) as here:
        live = await begun(here)
        await server.kill()
        with pytest.raises(StoreUnavailable):
            await live.settled()
        await server.start()
        here.model.may_answer.set()
        run = await ended(here, live.run.run_id)
    assert (run.status, run.reply and run.reply["reply"]) == ("completed", "You said: hello")


async def test_a_frozen_redis_holds_up_a_run_and_does_not_lose_it(server: RedisServer, tmp_path: Path) -> None:
    async with replica(server.url, tmp_path) as here:
        live = await begun(here)
        server.freeze()
        here.model.may_answer.set()
        await asyncio.sleep(LEASE_SECONDS + 0.5)
        server.thaw()
        run = await ended(here, live.run.run_id)
    assert run.status == "completed"


async def test_every_run_under_way_when_redis_is_killed_ends_once(server: RedisServer, tmp_path: Path) -> None:
    async with replica(server.url, tmp_path) as first, replica(server.url, tmp_path) as second:
        for each in (first, second):
            each.model.may_answer.set()
        lives = [await (first, second)[n % 2].runs.start(asked(f"s{n}", str(n))) for n in range(40)]
        await server.kill()
        await server.start()
        runs = [await ended(first, live.run.run_id, within=20) for live in lives]
    assert [run.reply and run.reply["reply"] for run in runs] == [f"You said: {n}" for n in range(40)]


async def test_a_run_that_keeps_failing_waits_longer_before_each_attempt(server: RedisServer, tmp_path: Path) -> None:
    async with replica(server.url, tmp_path, tends=False) as here:
        here.model.may_answer.set()
        often, once = (asked(name).run(now()) for name in ("often", "once"))
        await here.records.add(often.model_copy(update={"attempt": 20}))
        await here.records.add(once.model_copy(update={"updated_at": now() - timedelta(seconds=1)}))
        await here.runs.recover()
        assert (await ended(here, once.run_id)).status == "completed"
        assert (await here.records.get(often.run_id)).attempt == 20


async def test_a_second_replica_leaves_a_run_alone_that_is_alive(pair: tuple[Replica, Replica]) -> None:
    first, second = pair
    live = await begun(first)
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert await first.redis.keys("lease_line:*") == [], "it tries, and does not stand in line"
    first.model.may_answer.set()
    run = await live.settled()
    assert (run.status, run.attempt, second.model.times) == ("completed", 1, 0)


async def test_a_busy_thread_is_refused_on_another_replica(pair: tuple[Replica, Replica]) -> None:
    first, second = pair
    live = await begun(first)
    with pytest.raises(ThreadBusy):
        await second.runs.start(asked(on_busy="reject"))
    first.model.may_answer.set()
    assert (await live.settled()).status == "completed"


async def test_a_message_on_another_replica_waits_for_its_turn(pair: tuple[Replica, Replica]) -> None:
    first, second = pair
    second.model.may_answer.set()
    live = await begun(first, message="one")
    waiting = asyncio.create_task(second.runs.start(asked(message="two")))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    first.model.may_answer.set()
    one, two = await live.settled(), await (await waiting).settled()
    assert (one.status, two.status) == ("completed", "completed")
    assert one.updated_at <= two.updated_at


async def test_a_message_on_another_replica_cancels_the_run_before_it(pair: tuple[Replica, Replica]) -> None:
    first, second = pair
    second.model.may_answer.set()
    live = await begun(first, message="one")
    async with asyncio.timeout(3):
        run = await (await second.runs.start(asked(message="two", on_busy="interrupt"))).settled()
    assert run.status == "completed"
    assert (await live.settled()).status == "cancelled"


async def test_a_run_is_cancelled_over_any_replica_and_only_while_there_is_something_to_cancel(
    pair: tuple[Replica, Replica],
) -> None:
    first, second = pair
    live = await begun(first)
    assert (await second.runs.cancel(live.run.run_id, owner=None)).status == "cancelled"
    assert (await live.settled()).status == "cancelled"
    first.model.may_answer.set()
    other = await (await first.runs.start(asked())).settled()
    with pytest.raises(Conflict):
        await second.runs.cancel(other.run_id, owner=None)


async def test_a_run_is_joined_from_another_replica(pair: tuple[Replica, Replica]) -> None:
    first, second = pair
    live = await begun(first)
    joining = asyncio.create_task(second.runs.resume(live.run.run_id, owner=None))
    await asyncio.sleep(0.1)
    first.model.may_answer.set()
    assert (await joining).status == (await live.settled()).status == "completed"


async def test_a_replica_stops_at_once_though_it_waits_for_a_thread_that_another_holds(
    server: RedisServer, tmp_path: Path
) -> None:
    async with replica(server.url, tmp_path) as first:
        live = await begun(first)
        async with asyncio.timeout(LEASE_SECONDS):
            async with replica(server.url, tmp_path) as second:
                second.runs.wake(live.run.run_id)
                await asyncio.sleep(0.1)  # it stands in line
        first.model.may_answer.set()
        assert (await live.settled()).status == "completed"


async def test_a_message_behind_a_run_that_a_crash_left_waits_until_it_has_gone_on(
    server: RedisServer, tmp_path: Path
) -> None:
    async with replica(server.url, tmp_path, tends=False) as here:
        left = await left_by_a_crash(here)
        here.model.may_answer.set()
        live = await here.runs.start(asked(message="next"))
        assert (await live.settled()).status == "completed"
        assert (await here.records.get(left.run_id)).status == "completed"


async def test_a_run_that_a_crash_left_can_be_cancelled(server: RedisServer, tmp_path: Path) -> None:
    async with replica(server.url, tmp_path) as here:
        left = await left_by_a_crash(here)
        assert (await here.runs.cancel(left.run_id, owner=None)).status == "cancelled"
        assert here.model.times == 0


async def test_a_run_whose_waking_failed_goes_on_later(server: RedisServer, tmp_path: Path) -> None:
    async with replica(server.url, tmp_path) as here:
        here.model.may_answer.set()
        run = asked().run(now())
        await here.records.add(run)
        await here.records.leave(run, "awaiting_approval", at=now())
        await here.runs.catch_up()
        async with asyncio.timeout(5):
            while (await here.records.get(run.run_id)).status != "completed":  # noqa: ASYNC110  # it runs by itself
                await asyncio.sleep(0.02)


async def test_an_action_is_not_begun_under_a_lease_that_is_over(tmp_path: Path) -> None:
    order = record_of("act_1")
    async with open_documents(tmp_path / "documents.sqlite") as database, Locks().hold("t", wait_seconds=0) as lease:
        ledger = Ledger(database)
        with writing_under(lease):
            lease.lose()
            with pytest.raises(StoreUnavailable):
                await ledger.begin(order, at=now())
        assert (await ledger.begin(order, at=now())).may_send


async def test_a_lease_of_a_dead_holder_is_taken_as_soon_as_it_lapses(server: RedisServer) -> None:
    async with (
        open_redis(server.url, max_connections=8, manner=PATIENT) as client,
        open_redis_locks(client, lease_seconds=LEASE_SECONDS) as locks,
    ):
        await client.set("lease:{t}", "somebody.dead/7", px=round(LEASE_SECONDS * 1000))
        begun_at = asyncio.get_running_loop().time()
        async with locks.hold("t", wait_seconds=None):
            took = asyncio.get_running_loop().time() - begun_at
    assert LEASE_SECONDS - 0.1 < took < LEASE_SECONDS + 0.3
