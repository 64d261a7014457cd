"""A thing is opened once, whoever asks at the same time and however the first one ends."""

import asyncio

import pytest

from domain.errors import StoreUnavailable
from tools.knowledge.once import Once


class Store:
    """Counts how often it is opened; fails while told to, and waits where told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.begun = failures, 0
        self.may_go_on = asyncio.Event()

    async def __call__(self) -> object:
        self.begun += 1
        await self.may_go_on.wait()
        if self.begun <= self.failures:
            raise StoreUnavailable("not yet")
        return object()


async def test_fifty_who_ask_at_once_get_the_same_one() -> None:
    store = Store()
    once = Once(store)
    asking = [asyncio.create_task(once.get()) for _ in range(50)]
    await asyncio.sleep(0)
    store.may_go_on.set()
    assert len({id(thing) for thing in await asyncio.gather(*asking)}) == 1
    assert (store.begun, once.times) == (1, 1)


async def test_a_first_opening_that_fails_is_told_to_all_who_waited_and_tried_again_by_the_next() -> None:
    store = Store(failures=1)
    once = Once(store)
    store.may_go_on.set()
    told = await asyncio.gather(*(once.get() for _ in range(50)), return_exceptions=True)
    assert all(isinstance(each, StoreUnavailable) for each in told)
    assert await once.get() is await once.get()
    assert (store.begun, once.times) == (2, 1)


async def test_a_first_caller_who_leaves_takes_nothing_from_the_others() -> None:
    store = Store()
    once = Once(store)
    asking = [asyncio.create_task(once.get()) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
    store.may_go_on.set()
    assert len({id(thing) for thing in await asyncio.gather(*asking[1:])}) == 1
    assert store.begun == 1


async def test_when_everybody_leaves_the_opening_goes_on_and_the_next_finds_it_done() -> None:
    store = Store()
    once = Once(store)
    asking = [asyncio.create_task(once.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    store.may_go_on.set()
    await once.settle()
    assert once.opened() is await once.get()
    assert store.begun == 1


async def test_a_failure_nobody_waits_for_disturbs_nobody() -> None:
    once = Once(Store(failures=1))
    once.begin().cancel()
    await once.settle()
    assert once.opened() is None
