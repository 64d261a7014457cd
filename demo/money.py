"""Amounts of money: whole cents in storage, exact decimals in the program, numbers in JSON."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, PlainSerializer, WithJsonSchema

LARGEST = Decimal("9999999.99")

Money = Annotated[
    Decimal,
    Field(max_digits=9, decimal_places=2),
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
PositiveMoney = Annotated[
    Decimal,
    Field(gt=0, max_digits=9, decimal_places=2),
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": float(LARGEST)}),
]


def to_cents(amount: Decimal) -> int:
    """Return an amount in whole cents."""
    return int(amount * 100)


def from_cents(cents: int) -> Decimal:
    """Return the amount that whole cents stand for."""
    return Decimal(cents).scaleb(-2)
