"""What the cloudapp service takes and gives."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from demo.money import Money, PositiveMoney
from demo.web import Storable, Strict


class Tier(StrEnum):
    """What a customer pays for."""

    basic = "basic"
    plus = "plus"
    premium = "premium"


class OrderStatus(StrEnum):
    """How far an order is."""

    open = "open"
    shipped = "shipped"
    delivered = "delivered"
    cancelled = "cancelled"


class Customer(BaseModel):
    """Somebody who buys."""

    customer_id: int
    name: str
    email: str
    tier: Tier
    country: Annotated[str, Field(description="ISO 3166 code of two letters.")]
    since: Annotated[date, Field(description="Day of the first order.")]


class RefundRequest(Strict):
    """Money to give back."""

    amount: Annotated[
        PositiveMoney,
        Field(description="Amount to refund in the order's currency, at most what is left to refund.", examples=[25.5]),
    ]
    reason: Annotated[Storable, Field(max_length=500, description="Why the customer gets money back.")] = ""


class Refund(BaseModel):
    """Money that was given back."""

    refund_id: int
    order_id: int
    amount: Money
    currency: str
    reason: str
    idempotency_key: Annotated[str | None, Field(description="The key the refund was asked for with.")] = None
    created_at: datetime


class OrderSummary(BaseModel):
    """A customer's purchase."""

    order_id: int
    customer_id: int
    customer_name: str
    item: str
    status: OrderStatus
    total: Money
    refunded: Annotated[Money, Field(description="Sum of all refunds so far.")]
    currency: str
    ordered_on: date


class Order(OrderSummary):
    """A customer's purchase with what was given back."""

    refunds: list[Refund]
