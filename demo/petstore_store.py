"""The petstore's orders and its inventory."""

from collections import Counter
from functools import partial

from fastapi import APIRouter, HTTPException, Response

from demo.database import Transaction
from demo.documents import Documents
from demo.idempotency import Key, Once
from demo.petstore_pets import PETS
from demo.petstore_schemas import Order, OrderId
from demo.web import Store, because, found

ORDERS = Documents("orders", Order)
NOT_FOUND = because(404, "Order not found")
REFUSED = because(400, "There is no such pet") | because(409, "There is an order of that id already")

routes = APIRouter(prefix="/store", tags=["store"])


@routes.get("/inventory", operation_id="getInventory", summary="Count pets by status")
async def get_inventory(store: Store) -> dict[str, int]:
    """Count how many pets are available, pending and sold."""
    return Counter(pet.status.value for pet in await PETS.all(store))


@routes.post(
    "/order", operation_id="placeOrder", summary="Place an order for a pet", response_model=Order, responses=REFUSED
)
async def place_order(order: Order, store: Store, key: Key = None) -> Response:
    """Order (buy) a pet by its number; the answer holds the order's id."""
    return await Once("placeOrder", order, key, status=200).answer(store, partial(_placed, store, order))


@routes.get(
    "/order/{orderId}",
    operation_id="getOrderById",
    summary="Find purchase order by ID",
    response_model_exclude_none=True,
    responses=NOT_FOUND,
)
async def get_order_by_id(order_id: OrderId, store: Store) -> Order:
    """Get one order of a pet by the order's number."""
    return found(await ORDERS.get(store, order_id), f"order {order_id}")


@routes.delete("/order/{orderId}", operation_id="deleteOrder", summary="Delete purchase order", responses=NOT_FOUND)
async def delete_order(order_id: OrderId, store: Store) -> None:
    """Delete one order of a pet by the order's number."""
    found(await ORDERS.remove(store, order_id) or None, f"order {order_id}")


async def _placed(store: Transaction, order: Order) -> Order:
    if await PETS.get(store, order.pet_id) is None:
        raise HTTPException(400, f"There is no pet {order.pet_id} to order.")
    numbered = order if order.id else order.model_copy(update={"id": await ORDERS.next_number(store)})
    if not await ORDERS.add(store, numbered.id or 0, numbered):
        raise HTTPException(409, f"There is an order {numbered.id} already.")
    return numbered
