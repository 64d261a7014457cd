"""What the petstore takes and gives, as the public Petstore (version 3) describes it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from demo.web import LARGEST_ID, Storable

Int64 = Annotated[int, Field(ge=0, le=LARGEST_ID, json_schema_extra={"format": "int64"})]
Words = Annotated[Storable, Field(max_length=500)]
OptionalInt64 = Int64 | SkipJsonSchema[None]
OptionalWords = Words | SkipJsonSchema[None]
PetId = Annotated[Int64, Path(alias="petId")]
OrderId = Annotated[Int64, Path(alias="orderId")]
Username = Annotated[Storable, Field(min_length=1, max_length=100)]


class PetStatus(StrEnum):
    """Whether a pet can be bought."""

    available = "available"
    pending = "pending"
    sold = "sold"


class OrderStatus(StrEnum):
    """How far an order is."""

    placed = "placed"
    approved = "approved"
    delivered = "delivered"


class Body(BaseModel):
    """A body whose members are named as the public Petstore names them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Category(Body):
    """A kind of animal, such as dogs or cats."""

    id: OptionalInt64 = None
    name: OptionalWords = None


class Tag(Body):
    """A word to find pets by."""

    id: OptionalInt64 = None
    name: OptionalWords = None


class Pet(Body):
    """An animal of the store."""

    id: Annotated[OptionalInt64, Field(description="Left out for a new pet, the store chooses it.")] = None
    name: Annotated[Words, Field(examples=["Rex"])]
    category: Category | SkipJsonSchema[None] = None
    photo_urls: Annotated[list[Words], Field(max_length=50, description="Addresses of pictures, may be empty.")]
    tags: Annotated[list[Tag], Field(max_length=50)] = []
    status: PetStatus = PetStatus.available


class Order(Body):
    """An order for a pet."""

    id: Annotated[OptionalInt64, Field(description="Left out for a new order, the store chooses it.")] = None
    pet_id: Annotated[Int64, Field(description="The pet to order.")]
    quantity: Annotated[int, Field(ge=1, le=1000, json_schema_extra={"format": "int32"})] = 1
    ship_date: datetime | SkipJsonSchema[None] = None
    status: OrderStatus = OrderStatus.placed
    complete: bool = False


class User(Body):
    """A customer's account."""

    id: OptionalInt64 = None
    username: Username
    first_name: OptionalWords = None
    last_name: OptionalWords = None
    email: OptionalWords = None
    phone: OptionalWords = None
    user_status: Annotated[int, Field(ge=0, le=2**31 - 1, json_schema_extra={"format": "int32"})] = 0
