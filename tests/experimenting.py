"""Experiments as tests write them, in one line each."""

from datetime import datetime
from typing import Any

import httpx2

from domain.experiments import Design, Experiment, Variant, VariantConfig
from domain.lifecycle import started
from tests.records import NOON

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
