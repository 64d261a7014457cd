"""What the experiments' records promise, in both forms of the document store."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checkpoints.collections import Database
from checkpoints.trials import Trials, open_trials
from domain.assignment import Who
from domain.errors import Conflict, NotFound, Outdated
from domain.experiments import Conclusion, Condition, Namespace
from domain.lifecycle import stopped
from domain.variants import given_of
from tests.documents import OPENERS, Opener
from tests.experimenting import design, variant
from tests.records import after

END = Conclusion(winner=None, reason="", by="oli", supported=False, evidence={})


@pytest.fixture(params=OPENERS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opener: Opener = request.param
    async with opener(tmp_path) as opened:
        yield opened


async def process(database: Database) -> Trials:
    """Return the experiments as another process has them."""
    seconds = itertools.count()
    return await open_trials(database, clock=lambda: after(next(seconds)))


def live(trials: Trials) -> list[str]:
    return [each.experiment_id for each in trials.experiments.live]


async def begun(trials: Trials, **changes: object) -> str:
    experiment = await trials.design(design(**changes), by="oli")
    await trials.start(experiment.experiment_id, operations=())
    return experiment.experiment_id


async def test_an_experiment_comes_back_as_it_was_recorded(database: Database) -> None:
    trials = await process(database)
    targeting = (Condition(attribute="country", operator="in", values=("DE", 1, True, 0.5)),)
    experiment = await trials.design(design(targeting=targeting, seed="s"), by="oli")
    assert await trials.experiments.get(experiment.experiment_id) == experiment
    started, _ = await trials.start(experiment.experiment_id, operations=())
    assert await (await process(database)).experiments.get(experiment.experiment_id) == started


async def test_experiments_are_listed_newest_first_in_pages(database: Database) -> None:
    trials = await process(database)
    made = sorted([(await trials.design(design(), by="oli")).experiment_id for _ in range(3)], reverse=True)
    await trials.start(made[1], operations=())
    page = await trials.experiments.listed(limit=2)
    rest = await trials.experiments.listed(before=page[-1].experiment_id)
    running = await trials.experiments.listed(statuses=["running"])
    assert [[each.experiment_id for each in found] for found in (page, rest, running)] == [
        made[:2],
        made[2:],
        made[1:2],
    ]


async def test_a_start_elsewhere_is_known_after_a_look(database: Database) -> None:
    one, other = await process(database), await process(database)
    experiment_id = await begun(one)
    assert live(other) == []
    await other.experiments.refresh()
    assert live(other) == [experiment_id]
    await other.kill(experiment_id, on=True)
    await one.experiments.refresh()
    assert live(one) == []


async def test_a_change_of_what_somebody_else_has_changed_is_refused(database: Database) -> None:
    trials = await process(database)
    experiment = await trials.design(design(), by="oli")
    await trials.edit(experiment.experiment_id, {"description": "first"}, version=1)
    with pytest.raises(Outdated) as caught:
        await trials.edit(experiment.experiment_id, {"description": "second"}, version=1)
    assert caught.value.extra == {"version": 2}
    assert (await trials.experiments.get(experiment.experiment_id)).description == "first"


async def test_of_many_starts_at_once_one_succeeds(database: Database) -> None:
    trials = await process(database)
    experiment = await trials.design(design(), by="oli")
    starts = [trials.start(experiment.experiment_id, operations=()) for _ in range(10)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    assert Counter(type(each) for each in results) == {tuple: 1, Conflict: 9}


async def on_chat(trials: Trials, *, start: float = 0, end: float = 1) -> str:
    """Record a draft on a part of a namespace."""
    namespace = Namespace(name="chat", start=start, end=end)
    return (await trials.design(design(namespace=namespace), by="oli")).experiment_id


async def test_of_experiments_started_at_once_on_one_part_of_a_namespace_one_starts(database: Database) -> None:
    servers = [await process(database) for _ in range(4)]
    drafts = [await on_chat(each) for each in servers] + [await on_chat(servers[0], start=0.9)]
    starts = [each.start(name, operations=()) for each in servers for name in drafts]
    results = await asyncio.gather(*starts, return_exceptions=True)
    assert Counter(type(each) for each in results) == {tuple: 1, Conflict: 19}
    assert len(await servers[0].experiments.listed(statuses=["running"])) == 1


async def test_experiments_started_at_once_on_different_parts_all_start(database: Database) -> None:
    servers = [await process(database) for _ in range(4)]
    drafts = [await on_chat(each, start=place / 4, end=(place + 1) / 4) for place, each in enumerate(servers)]
    await asyncio.gather(*(each.start(name, operations=()) for each, name in zip(servers, drafts, strict=True)))
    assert len(await servers[0].experiments.listed(statuses=["running"])) == 4


async def test_a_start_that_was_killed_is_in_nobodys_way_for_long_and_cannot_wake_up(database: Database) -> None:
    seconds = 0.0
    trials = await open_trials(database, clock=lambda: after(seconds))
    killed, other = await on_chat(trials), await on_chat(trials)
    draft = await trials.experiments.get(killed)
    assert draft.namespace
    await trials.namespaces.claim(killed, draft.namespace, version=1)
    with pytest.raises(Conflict, match="is being started"):
        await trials.start(other, operations=())
    seconds = 11
    await trials.start(other, operations=())
    with pytest.raises(Outdated):
        await trials.start(killed, operations=(), version=1)
    with pytest.raises(Conflict, match=f"{other} runs"):
        await trials.start(killed, operations=())
    await trials.experiments.change(other, lambda each: stopped(each, END, at=after(seconds)))
    await trials.start(killed, operations=())
    claims = await database["experiment_namespaces"].find().to_list()
    assert [each["experiment_id"] for each in claims[0]["claims"]] == [killed]


async def test_a_killed_experiment_keeps_its_part_of_the_namespace(database: Database) -> None:
    trials = await process(database)
    killed, other = await on_chat(trials), await on_chat(trials)
    await trials.start(killed, operations=())
    await trials.kill(killed, on=True)
    with pytest.raises(Conflict, match=f"{killed} runs"):
        await trials.start(other, operations=())
    await trials.kill(killed, on=False)
    assert live(trials) == [killed]


async def test_changes_at_once_are_all_made(database: Database) -> None:
    trials = await process(database)
    experiment_id = await begun(trials)
    await asyncio.gather(*(trials.force(experiment_id, number, "calm") for number in range(8)))
    assert len((await trials.experiments.get(experiment_id)).forced) == 8


async def test_only_drafts_are_deleted(database: Database) -> None:
    trials = await process(database)
    experiment = await trials.design(design(), by="oli")
    await trials.experiments.delete_draft(experiment.experiment_id)
    with pytest.raises(NotFound):
        await trials.experiments.delete_draft(experiment.experiment_id)
    with pytest.raises(Conflict, match="running"):
        await trials.experiments.delete_draft(await begun(trials))


async def test_two_thousand_first_requests_of_one_user_give_one_assignment(database: Database) -> None:
    one, other = await process(database), await process(database)
    experiment_id = await begun(one)
    who = Who("ann", 42)
    asks = [trials.variant(experiment_id, who, expose=True) for trials in (one, other) for _ in range(1_000)]
    variants = {placed.variant for _, placed in await asyncio.gather(*asks)}
    stored = await database["user_assignments"].find({"experiment_id": experiment_id}).to_list()
    assert len(variants) == len(stored) == 1
    assert (stored[0]["user"], stored[0]["variant"], stored[0]["exposures"]) == ("ann/42", variants.pop(), 1)


async def test_an_assignment_stays_whatever_becomes_of_weights_targeting_and_pauses(database: Database) -> None:
    trials = await process(database)
    variants = (variant("control", 99, control=True, temperature=0.7), variant("calm", 1, temperature=0.2))
    experiment_id = await begun(trials, variants=variants)
    first = [(await trials.variant(experiment_id, Who("ann", each), expose=False))[1].variant for each in range(20)]
    await trials.rephase(experiment_id, {"control": 1, "calm": 99}, user_percentage=100, reason="")
    later = await process(database)
    again = [(await later.variant(experiment_id, Who("ann", each), expose=False))[1].variant for each in range(20)]
    new = [(await later.variant(experiment_id, Who("bob", each), expose=False))[1] for each in range(20)]
    await later.pause(experiment_id)
    on_pause = [(await trials.variant(experiment_id, Who("ann", each), expose=False))[1].variant for each in range(20)]
    assert first == again == on_pause
    assert ({each.phase for each in new}, sum(each.variant == "calm" for each in new) > 15) == ({2}, True)
    assert (await trials.variant(experiment_id, Who("cat", 1), expose=False))[1].reason == "not_running"


async def test_the_same_number_under_another_owner_is_somebody_else(database: Database) -> None:
    trials = await process(database)
    experiment_id = await begun(trials)
    for owner in ("ann", "bob"):
        await trials.variant(experiment_id, Who(owner, 42), expose=True)
    stored = await database["user_assignments"].find({"experiment_id": experiment_id}).to_list()
    assert {each["user"] for each in stored} == {"ann/42", "bob/42"}


async def test_nobody_keeps_a_variant_of_a_killed_experiment(database: Database) -> None:
    trials = await process(database)
    experiment_id = await begun(trials)
    before = (await trials.variant(experiment_id, Who("ann", 1), expose=True))[1].variant
    await trials.kill(experiment_id, on=True)
    assert (await trials.variant(experiment_id, Who("ann", 1), expose=True))[1].reason == "killed"
    await trials.kill(experiment_id, on=False)
    assert (await trials.variant(experiment_id, Who("ann", 1), expose=True))[1].variant == before


async def test_a_run_is_in_one_of_two_experiments_that_vary_the_same(database: Database) -> None:
    trials = await process(database)
    first = await begun(trials)
    experiment = await trials.design(design(), by="oli")
    _, warnings = await trials.start(experiment.experiment_id, operations=())
    third = await begun(trials, variants=(variant("few", control=True, max_steps=1), variant("many", max_steps=9)))
    given = (await trials.variants.freeze(Who("ann", 1)))["given"]
    assert isinstance(given, list)
    assert [each["experiment_id"] for each in given if isinstance(each, dict)] == [first, third]
    assert first in warnings[0]
    assert "varies temperature too" in warnings[0]


async def test_a_tester_gets_the_variant_also_beside_an_experiment_that_started_before(database: Database) -> None:
    trials = await process(database)
    first = await begun(trials)
    hot = (variant("cold", control=True, temperature=0.1), variant("hot", temperature=1.5))
    second = await begun(trials, variants=hot)
    await trials.force(second, 1, "hot")
    tester, other = await trials.variants.freeze(Who("ann", 1)), await trials.variants.freeze(Who("ann", 2))
    given = [given_of(each)[0] for each in (tester, other)]
    assert [(each.experiment_id, each.counted) for each in given] == [(second, False), (first, True)]
    assert (len(given_of(tester)), tester["config"]) == (1, {"temperature": 1.5})
    assert await trials.assignments.find(first, Who("ann", 1)) is None
