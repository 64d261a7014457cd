"""The demo's customer segmentation over real HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.services import DemoServices, demo_services


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[DemoServices]:
    async with demo_services(tmp_path, only=("ml", "cloudapp")) as running:
        yield running


@pytest.fixture
async def ml(services: DemoServices) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=services["ml"]) as client:
        yield client


async def test_every_customer_of_the_shop_has_a_segment(services: DemoServices, ml: httpx2.AsyncClient) -> None:
    customers = (await ml.get(f"{services['cloudapp']}/customers")).json()
    segments = (await ml.get("/segments")).json()
    assert [one["customer_id"] for one in segments] == [one["customer_id"] for one in customers]
    assert (await ml.get("/customers/1/segment")).json() == segments[0]
    assert segments[0]["segment"] == "champions"


async def test_given_figures_are_segmented_in_their_order(ml: httpx2.AsyncClient) -> None:
    figures = [(9, 400, 1, 50.0), (4, 10, 12, 2000)]
    names = ("customer_id", "recency_days", "frequency", "monetary")
    wanted = {"customers": [dict(zip(names, row, strict=True)) for row in figures]}
    answer = (await ml.post("/segmentations", json=wanted)).json()["segments"]
    assert [(one["customer_id"], one["segment"]) for one in answer] == [(9, "lost"), (4, "champions")]
    assert answer[1]["scores"] == {"recency": 5, "frequency": 5, "monetary": 5}


async def test_figures_that_make_no_sense_are_refused(ml: httpx2.AsyncClient) -> None:
    customer = {"customer_id": 1, "recency_days": 1, "frequency": 1, "monetary": 1}
    for wrong in ({"recency_days": -1}, {"frequency": 1.5}, {"monetary": "a"}, {"customer_id": 0}, {"color": 1}):
        answer = await ml.post("/segmentations", json={"customers": [{**customer, **wrong}]})
        assert answer.status_code == 422, wrong
    assert (await ml.post("/segmentations", json={"customers": []})).status_code == 422
    assert (await ml.get("/customers/99/segment")).status_code == 404


async def test_the_model_card_names_every_segment_and_threshold(ml: httpx2.AsyncClient) -> None:
    card = (await ml.get("/model")).json()
    assert [one["segment"] for one in card["segments"]] == ["champions", "loyal", "promising", "at_risk", "lost"]
    assert card["thresholds"]["recency_days_at_most_for_5_4_3_2"] == [30, 60, 120, 240]


async def test_recorded_figures_survive_a_restart(services: DemoServices, ml: httpx2.AsyncClient) -> None:
    figures = {"recency_days": 500, "frequency": 0, "monetary": 0}
    for customer_id in (1, 77):
        recorded = (await ml.put(f"/customers/{customer_id}/features", json=figures)).json()
        assert recorded["segment"] == "lost"
    await services.restart("ml")
    assert (await ml.get("/customers/1/segment")).json()["segment"] == "lost"
    assert (await ml.get("/customers/77/segment")).json() == recorded
