"""The demo's cloudapp over real HTTP, once on a SQLite file and once on a PostgreSQL server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from demo.database import DatabaseUnavailable
from demo.postgres import PostgresDatabase
from tests.postgres import postgres_server
from tests.services import DemoServices, demo_services


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
async def services(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DemoServices]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    async with demo_services(tmp_path, only=("cloudapp",), postgres_url=url) as running:
        yield running
    if url:
        await _drop_schema(url)


@pytest.fixture
async def cloudapp(services: DemoServices) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=services["cloudapp"]) as client:
        yield client


async def _drop_schema(url: str) -> None:
    async with PostgresDatabase(url, schema="cloudapp") as database, database.transaction() as transaction:
        await transaction.rows("DROP SCHEMA cloudapp CASCADE")


async def refund(client: httpx2.AsyncClient, amount: object, key: str | None = None, **more: str) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key is not None else {}
    return await client.post("/orders/1001/refunds", json={"amount": amount, **more}, headers=headers)


async def refunded(client: httpx2.AsyncClient) -> list[float]:
    order = (await client.get("/orders/1001")).json()
    assert order["refunded"] == pytest.approx(sum(one["amount"] for one in order["refunds"]))
    return [one["amount"] for one in order["refunds"]]


async def test_order_1001_belongs_to_ada_and_has_no_refunds_at_first(cloudapp: httpx2.AsyncClient) -> None:
    order = (await cloudapp.get("/orders/1001")).json()
    customer = (await cloudapp.get(f"/customers/{order['customer_id']}")).json()
    assert (customer["name"], order["total"], order["refunds"]) == ("Ada Lovelace", 1249, [])


async def test_orders_are_filtered_by_customer_and_status(cloudapp: httpx2.AsyncClient) -> None:
    async def numbers(**filters: str | int) -> list[int]:
        return [order["order_id"] for order in (await cloudapp.get("/orders", params=filters)).json()]

    assert await numbers(customer_id=1) == [1001, 1002]
    assert await numbers(status="shipped") == [1003, 1007]
    assert await numbers(customer_id=2, status="shipped") == [1003]
    assert len(await numbers()) == 10


async def test_a_refund_is_recorded_to_the_cent(cloudapp: httpx2.AsyncClient) -> None:
    answer = await refund(cloudapp, 19.99, reason="scratched")
    body = answer.json()
    assert answer.status_code == 201
    assert (body["order_id"], body["amount"], body["currency"], body["reason"]) == (1001, 19.99, "EUR", "scratched")
    assert await refunded(cloudapp) == [19.99]


async def test_the_same_key_and_body_give_the_first_answer_again(cloudapp: httpx2.AsyncClient) -> None:
    first, second = await refund(cloudapp, 10, "k1"), await refund(cloudapp, 10, "k1", reason="")
    assert (first.status_code, first.headers["Idempotency-Replayed"]) == (201, "false")
    assert (second.status_code, second.headers["Idempotency-Replayed"]) == (201, "true")
    assert first.content == second.content
    assert await refunded(cloudapp) == [10]


async def test_fifty_requests_at_once_with_one_key_make_one_refund(cloudapp: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(refund(cloudapp, 7.5, "storm") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await refunded(cloudapp) == [7.5]


async def test_fifty_requests_at_once_cannot_refund_more_than_the_total(cloudapp: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(refund(cloudapp, 100, f"key-{number}") for number in range(50)))
    assert sorted(answer.status_code for answer in answers) == [201] * 12 + [409] * 38
    assert await refunded(cloudapp) == [100] * 12


async def test_a_key_used_for_another_body_is_refused(cloudapp: httpx2.AsyncClient) -> None:
    await refund(cloudapp, 10, "k1")
    assert (await refund(cloudapp, 11, "k1")).status_code == 422
    assert (await refund(cloudapp, 10, "k1", reason="other")).status_code == 422
    assert await refunded(cloudapp) == [10]


async def test_a_key_used_for_another_order_is_refused(cloudapp: httpx2.AsyncClient) -> None:
    await refund(cloudapp, 10, "k1")
    answer = await cloudapp.post("/orders/1002/refunds", json={"amount": 10}, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 422
    assert (await cloudapp.get("/refunds", params={"order_id": 1002})).json() == []


async def test_a_refused_refund_leaves_its_key_free(cloudapp: httpx2.AsyncClient) -> None:
    assert (await refund(cloudapp, 1249.01, "k1")).status_code == 409
    assert (await refund(cloudapp, 1249, "k1")).status_code == 201
    assert (await refund(cloudapp, 0.01)).json() == {"detail": "Only 0.00 EUR are left to refund."}


async def test_an_amount_that_is_no_money_is_refused(cloudapp: httpx2.AsyncClient) -> None:
    for amount in (0, -1, 1.005, 1e10, "much", None, True):
        assert (await refund(cloudapp, amount)).status_code == 422, amount
    assert await refunded(cloudapp) == []


async def test_a_body_that_is_no_refund_is_refused(cloudapp: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b'{"amount": NaN}', b'{"amount": 1e999}', b'{"amount": 1, "\\ud800": 2}', b"", b"[]"):
        answer = await cloudapp.post("/orders/1001/refunds", content=body, headers=headers)
        assert (answer.status_code, answer.json()["detail"][0]["loc"][0]) == (422, "body"), body


async def test_characters_no_database_can_store_are_refused(cloudapp: httpx2.AsyncClient) -> None:
    assert (await refund(cloudapp, 1, reason="a\0b")).status_code == 422
    assert (await cloudapp.get("/refunds", params={"idempotency_key": "\0"})).status_code == 422


async def test_what_does_not_exist_is_not_found(cloudapp: httpx2.AsyncClient) -> None:
    for path in ("/orders/999", "/customers/999", f"/orders/{2**53 - 1}"):
        assert (await cloudapp.get(path)).status_code == 404, path
    assert (await cloudapp.post("/orders/999/refunds", json={"amount": 1})).status_code == 404


async def test_a_number_beyond_every_database_is_refused(cloudapp: httpx2.AsyncClient) -> None:
    assert (await cloudapp.get(f"/orders/{10**30}")).status_code == 422
    assert (await cloudapp.get("/orders", params={"customer_id": 10**30})).status_code == 422


async def test_what_became_of_a_key_can_be_looked_up(cloudapp: httpx2.AsyncClient) -> None:
    made = (await refund(cloudapp, 3, "mine")).json()
    await refund(cloudapp, 3, "other")
    assert (await cloudapp.get("/refunds", params={"idempotency_key": "mine"})).json() == [made]
    assert (await cloudapp.get("/refunds", params={"idempotency_key": "never"})).json() == []


async def test_refunds_and_keys_survive_a_restart(services: DemoServices, cloudapp: httpx2.AsyncClient) -> None:
    first = await refund(cloudapp, 5, "before")
    await services.restart("cloudapp")
    assert (await refund(cloudapp, 5, "before")).content == first.content
    assert await refunded(cloudapp) == [5]


async def test_a_lost_connection_to_postgres_is_replaced(postgres_url: str) -> None:
    async with PostgresDatabase(postgres_url, schema="lost") as database:
        async with PostgresDatabase(postgres_url, schema="lost") as other, other.transaction() as transaction:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            await transaction.rows(others + " AND datname = current_database()")
        async with database.transaction() as transaction:
            assert await transaction.rows("SELECT 1 AS one") == [{"one": 1}]


async def test_a_postgres_that_does_not_answer_stops_the_start() -> None:
    database = PostgresDatabase("postgresql://nobody@127.0.0.1:1/nothing", schema="cloudapp")
    with pytest.raises(DatabaseUnavailable):
        async with database:
            pass


FAIL_AT_COMMIT = [
    "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'shutting down' USING ERRCODE = '57P01'; END $$",
    "CREATE CONSTRAINT TRIGGER failing AFTER INSERT ON refunds DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION fail()",
]


async def test_a_database_that_dies_at_the_commit_gives_503_and_no_refund(postgres_url: str, tmp_path: Path) -> None:
    async with (
        demo_services(tmp_path, only=("cloudapp",), postgres_url=postgres_url) as services,
        httpx2.AsyncClient(base_url=services["cloudapp"]) as client,
    ):
        async with PostgresDatabase(postgres_url, schema="cloudapp") as database, database.transaction() as transaction:
            for statement in FAIL_AT_COMMIT:
                await transaction.rows(statement)
        answer = await refund(client, 10, "k1")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert await refunded(client) == []
    await _drop_schema(postgres_url)
