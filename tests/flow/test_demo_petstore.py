"""The demo's petstore over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.services import DemoServices, demo_services

NEW_PET = {"name": "Fido", "photoUrls": [], "category": {"id": 1, "name": "Dogs"}}


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[DemoServices]:
    async with demo_services(tmp_path, only=("petstore",)) as running:
        yield running


@pytest.fixture
async def petstore(services: DemoServices) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{services['petstore']}/api/v3") as client:
        yield client


async def test_the_document_is_the_public_petstores_as_far_as_it_goes(petstore: httpx2.AsyncClient) -> None:
    document = (await petstore.get("/openapi.json")).json()
    offered = {
        operation["operationId"]: f"{method} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert document["servers"] == [{"url": "/api/v3"}]
    assert offered == {
        "addPet": "post /pet",
        "updatePet": "put /pet",
        "findPetsByStatus": "get /pet/findByStatus",
        "findPetsByTags": "get /pet/findByTags",
        "getPetById": "get /pet/{petId}",
        "updatePetWithForm": "post /pet/{petId}",
        "deletePet": "delete /pet/{petId}",
        "getInventory": "get /store/inventory",
        "placeOrder": "post /store/order",
        "getOrderById": "get /store/order/{orderId}",
        "deleteOrder": "delete /store/order/{orderId}",
        "createUser": "post /user",
        "getUserByName": "get /user/{username}",
        "updateUser": "put /user/{username}",
        "deleteUser": "delete /user/{username}",
    }


async def test_pets_are_found_by_status_available_by_default(petstore: httpx2.AsyncClient) -> None:
    async def found(**query: str) -> list[int]:
        return [pet["id"] for pet in (await petstore.get("/pet/findByStatus", params=query)).json()]

    assert await found() == await found(status="available") == [1, 3, 5, 7, 9, 10]
    assert (await found(status="pending"), await found(status="sold")) == ([2, 6], [4, 8])
    assert (await petstore.get("/pet/findByStatus", params={"status": "lost"})).status_code == 422


async def test_pets_are_found_by_any_of_several_tags(petstore: httpx2.AsyncClient) -> None:
    answer = await petstore.get("/pet/findByTags", params={"tags": ["talks", "guard"]})
    assert [pet["name"] for pet in answer.json()] == ["Polly", "Max"]


async def test_a_pet_is_added_read_changed_and_deleted(petstore: httpx2.AsyncClient) -> None:
    added = (await petstore.post("/pet", json=NEW_PET)).json()
    assert added == {**NEW_PET, "id": 11, "tags": [], "status": "available"}
    sold = (await petstore.post("/pet/11", params={"status": "sold"})).json()
    assert sold == {**added, "status": "sold"} == (await petstore.get("/pet/11")).json()
    renamed = {**sold, "name": "Rover"}
    assert (await petstore.put("/pet", json=renamed)).json() == renamed
    assert (await petstore.delete("/pet/11")).status_code == 200
    assert (await petstore.get("/pet/11")).status_code == 404


async def test_the_number_of_a_deleted_pet_is_not_given_again(petstore: httpx2.AsyncClient) -> None:
    await petstore.post("/pet", json=NEW_PET)
    await petstore.delete("/pet/11")
    assert (await petstore.post("/pet", json=NEW_PET)).json()["id"] == 12
    assert (await petstore.post("/pet", json={**NEW_PET, "id": 500})).json()["id"] == 500
    assert (await petstore.post("/pet", json=NEW_PET)).json()["id"] == 501


async def test_what_contradicts_the_store_is_refused(petstore: httpx2.AsyncClient) -> None:
    assert (await petstore.post("/pet", json={**NEW_PET, "id": 3})).status_code == 409
    assert (await petstore.put("/pet", json=NEW_PET)).status_code == 400
    assert (await petstore.put("/pet", json={**NEW_PET, "id": 99})).status_code == 404
    assert (await petstore.delete("/pet/99")).status_code == 404
    assert (await petstore.post("/store/order", json={"petId": 99})).status_code == 400
    assert (await petstore.delete("/store/order/99")).status_code == 404
    assert (await petstore.get("/pet/abc")).status_code == 422


async def test_an_order_is_placed_read_and_deleted(petstore: httpx2.AsyncClient) -> None:
    placed = (await petstore.post("/store/order", json={"petId": 3})).json()
    assert placed == {"id": 3, "petId": 3, "quantity": 1, "status": "placed", "complete": False}
    assert (await petstore.get("/store/order/3")).json() == placed
    assert (await petstore.delete("/store/order/3")).status_code == 200
    assert (await petstore.get("/store/order/3")).status_code == 404


async def test_the_inventory_counts_pets_by_status(petstore: httpx2.AsyncClient) -> None:
    await petstore.post("/pet/3", params={"status": "sold"})
    assert (await petstore.get("/store/inventory")).json() == {"available": 5, "pending": 2, "sold": 3}


async def test_a_user_lives_without_the_password(petstore: httpx2.AsyncClient) -> None:
    created = (await petstore.post("/user", json={"username": "grace", "password": "secret"})).json()
    assert created == {"id": 2, "username": "grace", "userStatus": 0}
    assert (await petstore.post("/user", json={"username": "grace"})).status_code == 409
    changed = (await petstore.put("/user/grace", json={"username": "hopper", "email": "h@example.com"})).json()
    assert (await petstore.get("/user/hopper")).json() == changed
    assert (await petstore.put("/user/hopper", json={"username": "ada"})).status_code == 409
    assert (await petstore.delete("/user/hopper")).status_code == 200
    assert (await petstore.get("/user/hopper")).status_code == 404


async def test_fifty_orders_at_once_with_one_key_are_one_order(
    services: DemoServices, petstore: httpx2.AsyncClient
) -> None:
    headers = {"Idempotency-Key": "one"}
    asked = (petstore.post("/store/order", json={"petId": 3}, headers=headers) for _ in range(50))
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert await services.count("petstore", "orders") == 3


async def test_a_key_is_good_for_one_operation_only(petstore: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "one"}
    assert (await petstore.post("/pet", json=NEW_PET, headers=headers)).json()["id"] == 11
    assert (await petstore.post("/pet", json=NEW_PET, headers=headers)).json()["id"] == 11
    assert (await petstore.post("/store/order", json={"petId": 3}, headers=headers)).status_code == 422


async def test_writes_deletions_and_keys_survive_a_restart(
    services: DemoServices, petstore: httpx2.AsyncClient
) -> None:
    headers = {"Idempotency-Key": "one"}
    added = (await petstore.post("/pet", json=NEW_PET, headers=headers)).json()
    await petstore.delete("/pet/1")
    await services.restart("petstore")
    assert (await petstore.get("/pet/11")).json() == added
    assert (await petstore.post("/pet", json=NEW_PET, headers=headers)).json() == added
    assert (await petstore.get("/pet/1")).status_code == 404
