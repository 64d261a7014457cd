"""Customers, orders and refunds in the cloudapp's database."""

from datetime import datetime

from fastapi import HTTPException

from demo.cloudapp_schemas import Customer, Order, OrderSummary, Refund, RefundRequest
from demo.database import Row, Transaction, prepare, single
from demo.idempotency import SCHEMA as IDEMPOTENCY_SCHEMA
from demo.money import from_cents, to_cents
from demo.seeds import CUSTOMERS, ORDERS
from demo.web import found

SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    customer_id BIGINT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, tier TEXT NOT NULL,
    country TEXT NOT NULL, since TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    order_id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL REFERENCES customers, item TEXT NOT NULL,
    status TEXT NOT NULL, total_cents BIGINT NOT NULL, refunded_cents BIGINT NOT NULL DEFAULT 0,
    currency TEXT NOT NULL, ordered_on TEXT NOT NULL, CHECK (refunded_cents BETWEEN 0 AND total_cents)
);
CREATE TABLE IF NOT EXISTS refunds (
    refund_id BIGINT PRIMARY KEY, order_id BIGINT NOT NULL REFERENCES orders, cents BIGINT NOT NULL,
    reason TEXT NOT NULL, idempotency_key TEXT, created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, last BIGINT NOT NULL);
"""
ORDER_QUERY = "SELECT orders.*, customers.name AS customer_name FROM orders JOIN customers USING (customer_id)"
REFUND_QUERY = "SELECT refunds.*, orders.currency FROM refunds JOIN orders USING (order_id)"


async def seed(transaction: Transaction) -> None:
    """Create the tables, and fill them when they are new."""
    await prepare(transaction, SCHEMA + IDEMPOTENCY_SCHEMA)
    new = "INSERT INTO counters (name, last) VALUES ('refunds', 0) ON CONFLICT DO NOTHING RETURNING name"
    if await single(transaction, new):
        for customer in CUSTOMERS:
            await transaction.rows("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", *customer)
        for order in ORDERS:
            await transaction.rows("INSERT INTO orders VALUES (?, ?, ?, ?, ?, 0, ?, ?)", *order)


async def customers(transaction: Transaction) -> list[Customer]:
    """Return every customer."""
    return [Customer.model_validate(row) for row in await transaction.rows("SELECT * FROM customers ORDER BY 1")]


async def customer(transaction: Transaction, customer_id: int) -> Customer:
    """Return one customer; raises `HTTPException` 404."""
    row = await single(transaction, "SELECT * FROM customers WHERE customer_id = ?", customer_id)
    return Customer.model_validate(found(row, f"customer {customer_id}"))


async def orders(transaction: Transaction, *, customer_id: int | None, status: str | None) -> list[OrderSummary]:
    """Return the orders that fit every filter given, lowest number first."""
    rows = await transaction.rows(
        ORDER_QUERY + " WHERE (CAST(? AS BIGINT) IS NULL OR customer_id = ?)"
        " AND (CAST(? AS TEXT) IS NULL OR status = ?) ORDER BY order_id",
        customer_id,
        customer_id,
        status,
        status,
    )
    return [OrderSummary.model_validate(_amounts(row)) for row in rows]


async def order(transaction: Transaction, order_id: int) -> Order:
    """Return one order with its refunds; raises `HTTPException` 404."""
    row = found(await single(transaction, ORDER_QUERY + " WHERE order_id = ?", order_id), f"order {order_id}")
    given = await refunds(transaction, order_id=order_id)
    return Order.model_validate({**_amounts(row), "refunds": given})


async def refunds(
    transaction: Transaction, *, order_id: int | None = None, idempotency_key: str | None = None
) -> list[Refund]:
    """Return the refunds that fit every filter given, oldest first."""
    rows = await transaction.rows(
        REFUND_QUERY + " WHERE (CAST(? AS BIGINT) IS NULL OR order_id = ?)"
        " AND (CAST(? AS TEXT) IS NULL OR idempotency_key = ?) ORDER BY refund_id",
        order_id,
        order_id,
        idempotency_key,
        idempotency_key,
    )
    return [Refund.model_validate(_amounts(row)) for row in rows]


async def refund(
    transaction: Transaction, order_id: int, wanted: RefundRequest, *, key: str | None, at: datetime
) -> Refund:
    """Give money back for an order; raises `HTTPException` 404, or 409 when too little is left.

    Args:
        transaction: Holds the refund and the order's new sum together.
        order_id: The order.
        wanted: How much, and why.
        key: The idempotency key it was asked for with.
        at: When it was asked for.
    """
    cents = to_cents(wanted.amount)
    await _withdraw(transaction, order_id, cents)
    number = await single(transaction, "UPDATE counters SET last = last + 1 WHERE name = 'refunds' RETURNING last")
    row = found(number, "counter of refunds")["last"], order_id, cents, wanted.reason, key, at.isoformat()
    await transaction.rows("INSERT INTO refunds VALUES (?, ?, ?, ?, ?, ?)", *row)
    return (await refunds(transaction, order_id=order_id))[-1]


async def _withdraw(transaction: Transaction, order_id: int, cents: int) -> None:
    """Take the amount from what is left of the order.

    Test and change are one statement, so that two refunds at once cannot both have the last cent.
    """
    sql = (
        "UPDATE orders SET refunded_cents = refunded_cents + ? "
        "WHERE order_id = ? AND refunded_cents + ? <= total_cents RETURNING order_id"
    )
    if not await single(transaction, sql, cents, order_id, cents):
        whole = await order(transaction, order_id)
        raise HTTPException(409, f"Only {whole.total - whole.refunded} {whole.currency} are left to refund.")


def _amounts(row: Row) -> dict[str, object]:
    """Return a row with its cents as amounts."""
    names = {"total_cents": "total", "refunded_cents": "refunded", "cents": "amount"}
    amounts = {names[column]: from_cents(int(row[column] or 0)) for column in names.keys() & row.keys()}
    return {**row, **amounts}
