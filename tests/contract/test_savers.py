"""Every saver we open: LangGraph's conformance suite, our own probe, and what comes back."""

import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES, BASE_CAPABILITIES, Capability
from langgraph.checkpoint.redis.aio import AsyncRedisSaver

from checkpoints.probe import MARKERS, check_saver
from domain.errors import StoreUnavailable
from tests.redis_server import redis_server
from tests.savers import OURS, PACKAGED, Opener, client_of, history, stored, values_of

OPENERS = [pytest.param(opener, id=name) for name, opener in {**OURS, **PACKAGED}.items()]


async def passed(saver: Any) -> set[Capability]:
    """Return what LangGraph's suite finds right; raises what it finds wrong."""

    @checkpointer_test(name="ours")
    async def same() -> Any:
        yield saver

    report = await validate(same)
    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert failures == {}
    return {Capability(name) for name, result in report.results.items() if result.passed}


@pytest.mark.parametrize("opener", OURS.values(), ids=OURS)
async def test_our_savers_do_everything_langgraph_knows_of(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as saver:
        assert await passed(saver) == ALL_CAPABILITIES


@pytest.mark.parametrize("opener", PACKAGED.values(), ids=PACKAGED)
async def test_packaged_savers_do_what_every_saver_must(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as saver:
        assert await passed(saver) == BASE_CAPABILITIES


@pytest.mark.parametrize("opener", OPENERS)
async def test_values_come_back_with_their_types(opener: Opener, tmp_path: Path) -> None:
    given = {"price": Decimal("1.10"), "at": datetime(2026, 11, 3, tzinfo=UTC), "big": 2**53 + 1, "ids": {7: b"\x00"}}
    async with opener(tmp_path) as saver:
        await stored(saver, "t", **given)
        assert await values_of(saver, "t") == given


@pytest.mark.parametrize("opener", OPENERS)
async def test_what_looks_like_a_serializers_marker_stays_what_it_is(opener: Opener, tmp_path: Path) -> None:
    module = "this"  # prints a poem when it is imported
    given = {"lc": 1, "type": "constructor", "id": [module, "s"], "kwargs": {}}
    async with opener(tmp_path) as saver:
        await stored(saver, "t", answer=[given, MARKERS])
        assert await values_of(saver, "t") == {"answer": [given, MARKERS]}
        assert await history(saver, "t") == [{"answer": [given, MARKERS]}]
    assert module not in sys.modules


@pytest.mark.parametrize("opener", OPENERS)
async def test_the_probe_is_quick_and_leaves_nothing(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as saver:
        took = []
        for _ in range(5):
            begun = time.perf_counter()
            await check_saver(saver)
            took.append(time.perf_counter() - begun)
        assert [each async for each in saver.alist(None)] == []
    assert min(took) < 0.1


async def test_the_probe_refuses_a_saver_that_changes_what_it_gets(tmp_path: Path) -> None:
    async with (
        redis_server(tmp_path / "redis") as server,
        client_of(server) as client,
        AsyncRedisSaver(redis_client=client) as saver,  # the package's own serializer
    ):
        with pytest.raises(StoreUnavailable, match=r"variants"):
            await check_saver(saver)
