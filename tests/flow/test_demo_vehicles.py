"""The demo's vehicle dealer over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.services import DemoServices, demo_services

ADA = {"customer_name": "Ada Lovelace"}


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[DemoServices]:
    async with demo_services(tmp_path, only=("vehicles",)) as running:
        yield running


@pytest.fixture
async def vehicles(services: DemoServices) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=services["vehicles"]) as client:
        yield client


async def test_vehicles_are_found_by_every_filter(vehicles: httpx2.AsyncClient) -> None:
    async def found(**wanted: str | int) -> list[int]:
        return [one["vehicle_id"] for one in (await vehicles.get("/vehicles", params=wanted)).json()]

    assert await found(color="Red") == [1, 6, 10]
    assert await found(kind="van", make="renault") == [7]
    assert await found(make="Toyota", model="COROLLA", year=2022) == [3]
    assert await found(color="red", max_price="23900.00") == [1, 10]
    assert await found(kind="car", available="false") == []
    assert await found() == list(range(1, 11))


async def test_a_search_that_makes_no_sense_is_refused(vehicles: httpx2.AsyncClient) -> None:
    for wanted in ({"kind": "boat"}, {"year": "soon"}, {"max_price": "NaN"}, {"max_price": "-1"}, {"color": ""}):
        assert (await vehicles.get("/vehicles", params=wanted)).status_code == 422, wanted


async def test_a_vehicle_changes_only_where_asked(vehicles: httpx2.AsyncClient) -> None:
    before = (await vehicles.get("/vehicles/1")).json()
    changed = (await vehicles.patch("/vehicles/1", json={"price": 22999.99})).json()
    assert changed == {**before, "price": 22999.99} == (await vehicles.get("/vehicles/1")).json()
    assert (await vehicles.patch("/vehicles/1", json={"wheels": 3})).status_code == 422
    assert (await vehicles.patch("/vehicles/99", json={"price": 1})).status_code == 404


async def test_a_reserved_vehicle_is_not_available_until_the_reservation_is_cancelled(
    vehicles: httpx2.AsyncClient,
) -> None:
    made = await vehicles.post("/vehicles/1/reservations", json=ADA)
    assert (made.status_code, made.json()["days"]) == (201, 3)
    assert (await vehicles.get("/vehicles/1")).json()["available"] is False
    assert (await vehicles.post("/vehicles/1/reservations", json=ADA)).status_code == 409
    assert (await vehicles.get("/reservations", params={"vehicle_id": 1})).json() == [made.json()]
    assert (await vehicles.delete("/reservations/1")).status_code == 204
    assert (await vehicles.get("/vehicles/1")).json()["available"] is True
    assert (await vehicles.delete("/reservations/1")).status_code == 404


async def test_fifty_reservations_at_once_with_one_key_are_one(vehicles: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "one"}
    asked = (vehicles.post("/vehicles/6/reservations", json=ADA, headers=headers) for _ in range(50))
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {201}
    assert (await vehicles.get("/reservations")).json() == [answers[0].json()]
    other = await vehicles.post("/vehicles/6/reservations", json={**ADA, "days": 9}, headers=headers)
    assert other.status_code == 422


async def test_fifty_customers_at_once_get_the_vehicle_once(vehicles: httpx2.AsyncClient) -> None:
    asked = (vehicles.post("/vehicles/6/reservations", json=ADA) for _ in range(50))
    statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
    assert sorted(statuses) == [201] + [409] * 49


async def test_reservations_and_prices_survive_a_restart(services: DemoServices, vehicles: httpx2.AsyncClient) -> None:
    made = (await vehicles.post("/vehicles/1/reservations", json={**ADA, "start_date": "2026-01-31"})).json()
    await vehicles.patch("/vehicles/2", json={"price": 0.1})
    await services.restart("vehicles")
    assert (await vehicles.get("/reservations")).json() == [made]
    assert (await vehicles.get("/vehicles/2")).json()["price"] == 0.1
