"""Experiments as tests write them, in one line each."""

import asyncio
from datetime import datetime
from typing import Any

import httpx2

from checkpoints.assignments import Observation
from domain.assignment import Who
from domain.experiments import Design, Experiment, Variant, VariantConfig
from domain.lifecycle import started
from tests.records import NOON
from tests.running import Served

type Json = dict[str, Any]


def variant(name: str, percentage: float = 50, *, control: bool = False, **config: Any) -> Variant:
    kind = "control" if control else "treatment"
    return Variant.model_validate(
        {"name": name, "type": kind, "traffic_percentage": percentage, "config": VariantConfig(**config)}
    )


def design(**changes: Any) -> Design:
    variants = (variant("control", control=True, temperature=0.7), variant("calm", temperature=0.2))
    return Design(**{"name": "calmer answers", "metric": "conversion", "variants": variants, **changes})


def draft(experiment_id: str = "exp_1", **changes: Any) -> Experiment:
    return Experiment(
        **{**design().model_dump(), **changes},
        experiment_id=experiment_id,
        created_by="oli",
        created_at=NOON,
        updated_at=NOON,
    )


def running(experiment_id: str = "exp_1", *, at: datetime = NOON, **changes: Any) -> Experiment:
    return started(draft(experiment_id, **changes), at=at, others=())


def body(**changes: Any) -> Json:
    return {**design().model_dump(mode="json", exclude_unset=True, exclude_none=True), **changes}


async def created(client: httpx2.AsyncClient, **changes: Any) -> str:
    """Record a draft and return its id."""
    answer = await client.post("/experiments", json=body(**changes))
    assert answer.status_code == 201, answer.text
    experiment_id: str = answer.json()["experiment_id"]
    return experiment_id


async def begun(client: httpx2.AsyncClient, **changes: Any) -> str:
    """Record an experiment, start it, and return its id."""
    experiment_id = await created(client, **changes)
    answer = await client.post(f"/experiments/{experiment_id}/start")
    assert answer.status_code == 200, answer.text
    return experiment_id


async def variant_of(client: httpx2.AsyncClient, experiment_id: str, user_id: int, **query: Any) -> Json:
    """Return what a user gets."""
    answer = await client.get(f"/experiments/{experiment_id}/variant/{user_id}", params=query)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def user_on(client: httpx2.AsyncClient, experiment_id: str, name: str, *, start: int = 1) -> int:
    """Return the first user, counting on from a number, who gets a variant."""
    for user_id in range(start, start + 200):
        if (await variant_of(client, experiment_id, user_id, expose="false"))["variant_name"] == name:
            return user_id
    raise AssertionError("nobody gets it")


async def get(client: httpx2.AsyncClient, path: str) -> Json:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def converted(client: httpx2.AsyncClient, experiment_id: str, user_id: int, **more: Any) -> httpx2.Response:
    return await client.post(f"/experiments/{experiment_id}/track/conversion", json={"user_id": user_id, **more})


async def spoke(client: httpx2.AsyncClient, user_id: int, message: str = "hello there") -> Json:
    answer = await client.post("/orchestrate", json={"user_id": user_id, "session_id": "s1", "message": message})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def of_variant(details: Json, name: str) -> Json:
    found: Json = next(each for each in details["results"]["variants"] if each["name"] == name)
    return found


async def observed(server: Served, experiment_id: str, *, users: int, **rates: dict[str, float]) -> None:
    """Let users be exposed and do things at a rate that depends on their variant."""
    assignments = server.container.trials.assignments
    experiment = await server.container.trials.experiments.get(experiment_id)
    seen = {each.name: 0 for each in experiment.variants}

    async def one(number: int) -> None:
        who = Who("anonymous", number)
        placed = await server.container.trials.variants.place(experiment, who)
        assert placed.variant
        place = seen[placed.variant]
        seen[placed.variant] += 1
        sums = {name: (1.0, float(place % 100 < rate[placed.variant] * 100)) for name, rate in rates.items()}
        did = {name: pair for name, pair in sums.items() if name != "conversion" or pair[1]}
        observation = Observation(f"run_{number}", did, exposures=1)
        await assignments.observe(experiment_id, who.unit, observation, at=server.container.clock())

    for start in range(0, users, 250):
        await asyncio.gather(*(one(number) for number in range(start, min(start + 250, users))))
