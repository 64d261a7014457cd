"""What the approval records promise, in both forms of the document store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checkpoints.approvals import Approvals
from domain.approvals import Approval
from domain.errors import AlreadyDecided, NotFound
from tests.documents import OPENERS, Opener
from tests.records import after, request, verdict


@pytest.fixture(params=OPENERS)
async def approvals(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Approvals]:
    opener: Opener = request.param
    async with opener(tmp_path) as database:
        records = Approvals(database)
        await records.open()
        yield records


def names(records: list[Approval]) -> list[str]:
    return [each.request_id for each in records]


async def test_a_request_comes_back_as_it_was_asked(approvals: Approvals) -> None:
    asked = request("apr_1")
    assert await approvals.ask(asked) == asked
    assert await approvals.get("apr_1") == asked
    assert (await approvals.get("apr_1")).action.arguments == '{"amount":1.10}'


async def test_a_request_is_for_its_owner(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1", owner="ann"))
    assert (await approvals.get("apr_1", owner="ann")).request_id == "apr_1"
    for request_id, owner in (("apr_1", "bob"), ("apr_2", None)):
        with pytest.raises(NotFound):
            await approvals.get(request_id, owner=owner)
    with pytest.raises(NotFound):
        await approvals.decide("apr_1", verdict(), owner="bob")


async def test_asking_again_does_not_forget_the_decision(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1"))
    decided = await approvals.decide("apr_1", verdict(), owner=None)
    assert await approvals.ask(request("apr_1", at=after(5))) == decided


async def test_25_who_ask_at_once_ask_once(approvals: Approvals) -> None:
    asked = await asyncio.gather(*(approvals.ask(request("apr_1", at=after(number))) for number in range(25)))
    assert {each.created_at for each in asked} == {(await approvals.get("apr_1")).created_at}


async def test_25_deciders_make_one_verdict(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1"))
    verdicts = [verdict(approved=number % 2 == 0, approver_id=number) for number in range(25)]
    decided = await asyncio.gather(
        *(approvals.decide("apr_1", each, owner=None) for each in verdicts), return_exceptions=True
    )
    won = [each for each in decided if isinstance(each, Approval)]
    assert [type(each) for each in decided if not isinstance(each, Approval)] == [AlreadyDecided] * 24
    assert won == [await approvals.get("apr_1")]
    assert won[0].state == ("approved" if won[0].verdict and won[0].verdict.approved else "rejected")


async def test_the_same_verdict_again_gives_the_same_record(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1"))
    first = await approvals.decide("apr_1", verdict(at=after(1)), owner=None)
    assert await approvals.decide("apr_1", verdict(at=after(2)), owner=None) == first
    with pytest.raises(AlreadyDecided, match="approved already"):
        await approvals.decide("apr_1", verdict(approved=False), owner=None)


async def test_a_verdict_that_comes_too_late_does_not_count(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1", lasts=60))
    with pytest.raises(AlreadyDecided, match="expired already"):
        await approvals.decide("apr_1", verdict(at=after(60)), owner=None)
    assert (await approvals.get("apr_1")).verdict is None


async def test_what_expires_while_it_is_decided_has_one_outcome(approvals: Approvals) -> None:
    for number in range(25):
        await approvals.ask(request(f"apr_{number:02}", lasts=60))

    async def decided(number: int) -> bool:
        try:
            await approvals.decide(f"apr_{number:02}", verdict(at=after(59)), owner=None)
        except AlreadyDecided:
            return False
        return True

    *said, expired, again = await asyncio.gather(
        *(decided(number) for number in range(25)), approvals.expire(after(60)), approvals.expire(after(60))
    )
    assert isinstance(expired, list)
    assert isinstance(again, list)
    approved = [f"apr_{number:02}" for number in range(25) if said[number]]
    assert sorted(approved + names(expired) + names(again)) == [f"apr_{number:02}" for number in range(25)]
    assert names(await approvals.of_run("run_1")) == sorted(approved + names(expired) + names(again))


async def test_what_nobody_decided_expires_once_the_earliest_first(approvals: Approvals) -> None:
    for number, lasts in enumerate((30, 10, 20, 99)):
        await approvals.ask(request(f"apr_{number}", lasts=lasts))
    assert names(await approvals.expire(after(30))) == ["apr_1", "apr_2", "apr_0"]
    assert await approvals.expire(after(30)) == []
    assert [each.state for each in await approvals.of_run("run_1")] == ["expired", "expired", "expired", "pending"]


async def test_one_of_25_claims_an_approval(approvals: Approvals) -> None:
    await approvals.ask(request("apr_1"))
    await approvals.decide("apr_1", verdict(), owner=None)
    claims = await asyncio.gather(*(approvals.advance("apr_1", of="approved", to="claimed") for _ in range(25)))
    assert sorted(claims) == [False] * 24 + [True]
    assert (await approvals.get("apr_1")).state == "claimed"


async def test_a_cancelled_run_takes_back_what_has_not_begun(approvals: Approvals) -> None:
    for name, run_id in (("a", "run_1"), ("b", "run_1"), ("c", "run_1"), ("d", "run_2")):
        await approvals.ask(request(name, run_id=run_id))
    for name in "bc":
        await approvals.decide(name, verdict(), owner=None)
    await approvals.advance("c", of="approved", to="claimed")
    await approvals.cancel("run_1")
    assert [(await approvals.get(name)).state for name in "abcd"] == ["cancelled", "cancelled", "claimed", "pending"]
    with pytest.raises(AlreadyDecided, match="cancelled already"):
        await approvals.decide("a", verdict(), owner=None)


async def test_what_waits_is_listed_oldest_first_and_counted(approvals: Approvals) -> None:
    for number in (2, 0, 3, 1):
        await approvals.ask(request(f"apr_{number}", owner="ann" if number % 2 else "bob", at=after(number % 3)))
    await approvals.decide("apr_2", verdict(at=after(3)), owner=None)
    everything, count = await approvals.pending(owner=None, skip=1, limit=2)
    own, own_count = await approvals.pending(owner="ann", skip=0, limit=9, approval_type="financial")
    assert (names(everything), count) == (["apr_3", "apr_1"], 3)
    assert (names(own), own_count) == (["apr_3", "apr_1"], 2)
    assert await approvals.pending(owner=None, skip=0, limit=9, approval_type="other") == ([], 0)
