"""What the vehicles service takes and gives."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from demo.money import Money, PositiveMoney
from demo.web import Strict, Text

Mileage = Annotated[int, Field(ge=0, le=10_000_000)]


class Kind(StrEnum):
    """What sort of vehicle it is."""

    car = "car"
    truck = "truck"
    van = "van"
    motorcycle = "motorcycle"


class Vehicle(BaseModel):
    """A vehicle for sale."""

    vehicle_id: int
    kind: Kind
    make: str
    model: str
    year: int
    color: str
    price: Money
    currency: str = "EUR"
    mileage_km: Mileage
    available: Annotated[bool, Field(description="Whether it can be reserved.")] = True


class VehicleChange(Strict):
    """What to change about a vehicle; what is left out stays."""

    price: Annotated[PositiveMoney | SkipJsonSchema[None], Field(description="The new price.")] = None
    color: Annotated[Text | SkipJsonSchema[None], Field(description="The new color.")] = None
    mileage_km: Annotated[Mileage | SkipJsonSchema[None], Field(description="As driven so far.")] = None


class ReservationRequest(Strict):
    """A wish to keep a vehicle for somebody."""

    customer_name: Annotated[Text, Field(description="Who the vehicle is kept for.", examples=["Ada Lovelace"])]
    days: Annotated[int, Field(ge=1, le=30, description="For how many days.")] = 3
    start_date: Annotated[date | SkipJsonSchema[None], Field(description="First day; today when left out.")] = None


class Reservation(BaseModel):
    """A vehicle that is kept for somebody."""

    reservation_id: int
    vehicle_id: int
    customer_name: str
    start_date: date
    days: int
    created_at: datetime
