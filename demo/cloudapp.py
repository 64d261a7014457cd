"""The demo's shop back office: customers, their orders, and refunds that are made once per idempotency key."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request, Response
from pydantic.json_schema import SkipJsonSchema

from demo import orders
from demo.cloudapp_schemas import Customer, Order, OrderStatus, OrderSummary, Refund, RefundRequest
from demo.database import Database
from demo.idempotency import Key, Once
from demo.web import Id, OptionalId, OptionalText, Store, because, create_shell, utc_now

DESCRIPTION = "Customers, orders and refunds of a small shop."
NOT_FOUND = because(404, "There is none of that number")
TOO_MUCH = because(409, "More than what is left to refund")

routes = APIRouter()


def create_app(database: Database, *, now: Callable[[], datetime] = utc_now) -> FastAPI:
    """Return the service.

    Args:
        database: Opened and closed with the server.
        now: The clock that dates refunds.
    """
    app = FastAPI(title="Cloudapp", version="1.0.0", description=DESCRIPTION)
    app.include_router(routes)
    app.state.now = now
    return create_shell(app, database, orders.seed)


@routes.get("/customers", operation_id="listCustomers", summary="List customers")
async def list_customers(store: Store) -> list[Customer]:
    """List every customer of the shop with name, email address, tier and country."""
    return await orders.customers(store)


@routes.get("/customers/{customer_id}", operation_id="getCustomer", summary="Get a customer", responses=NOT_FOUND)
async def get_customer(customer_id: Id, store: Store) -> Customer:
    """Get one customer by number: name, email address, tier, country."""
    return await orders.customer(store, customer_id)


@routes.get("/orders", operation_id="listOrders", summary="List orders")
async def list_orders(
    store: Store,
    customer_id: Annotated[OptionalId, Query(description="Orders of this customer only.")] = None,
    status: Annotated[OrderStatus | SkipJsonSchema[None], Query(description="Orders in this state only.")] = None,
) -> list[OrderSummary]:
    """List the orders customers made, with status, total and the amount refunded so far."""
    return await orders.orders(store, customer_id=customer_id, status=status)


@routes.get("/orders/{order_id}", operation_id="getOrder", summary="Get an order", responses=NOT_FOUND)
async def get_order(order_id: Id, store: Store) -> Order:
    """Get one order by number: customer, item, status, total, and every refund made for it."""
    return await orders.order(store, order_id)


@routes.post(
    "/orders/{order_id}/refunds",
    operation_id="refundOrder",
    summary="Refund an order",
    status_code=201,
    response_model=Refund,
    responses=NOT_FOUND | TOO_MUCH,
)
async def refund_order(
    order_id: Id, wanted: RefundRequest, store: Store, request: Request, key: Key = None
) -> Response:
    """Give a customer money back for an order, all of it or a part."""
    at: datetime = request.app.state.now()
    effect = partial(orders.refund, store, order_id, wanted, key=key, at=at)
    return await Once(f"refundOrder {order_id}", wanted, key, status=201).answer(store, effect)


@routes.get("/refunds", operation_id="findRefunds", summary="Find refunds")
async def find_refunds(
    store: Store,
    order_id: Annotated[OptionalId, Query(description="Refunds of this order only.")] = None,
    idempotency_key: Annotated[
        OptionalText, Query(description="The refund that was asked for with this key only.")
    ] = None,
) -> list[Refund]:
    """Find refunds that were made, of one order or under one idempotency key, oldest first."""
    return await orders.refunds(store, order_id=order_id, idempotency_key=idempotency_key)
