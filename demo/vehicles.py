"""The demo's vehicle dealer: cars, trucks, vans and motorcycles, and reservations of them."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request, Response
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema, WithJsonSchema

from demo import lot
from demo.database import Database
from demo.idempotency import Key, Once
from demo.vehicles_schemas import Kind, Reservation, ReservationRequest, Vehicle, VehicleChange
from demo.web import Id, OptionalId, OptionalText, Store, because, create_shell, utc_now

DESCRIPTION = "Vehicles for sale: cars, trucks, vans and motorcycles."
NOT_FOUND = because(404, "There is none of that number")
NOT_AVAILABLE = because(409, "The vehicle is reserved already")
Year = Annotated[int, Field(ge=1886, le=2100)]
Price = Annotated[
    Decimal, Field(ge=0, max_digits=9, decimal_places=2), WithJsonSchema({"type": "number", "minimum": 0})
]

routes = APIRouter()


def create_app(database: Database, *, now: Callable[[], datetime] = utc_now) -> FastAPI:
    """Return the service.

    Args:
        database: Opened and closed with the server.
        now: The clock that dates reservations.
    """
    app = FastAPI(title="Vehicles", version="1.0.0", description=DESCRIPTION)
    app.include_router(routes)
    app.state.now = now
    return create_shell(app, database, lot.seed)


@routes.get("/vehicles", operation_id="searchVehicles", summary="Search vehicles")
async def search_vehicles(
    store: Store,
    kind: Annotated[Kind | SkipJsonSchema[None], Query(description="Cars, trucks, vans or motorcycles only.")] = None,
    make: Annotated[OptionalText, Query(description="The maker, such as Toyota.")] = None,
    model: Annotated[OptionalText, Query(description="The maker's name for it, such as Corolla.")] = None,
    color: Annotated[OptionalText, Query(description="Such as red, blue, white, black.")] = None,
    year: Annotated[Year | SkipJsonSchema[None], Query(description="Year it was built.")] = None,
    max_price: Annotated[Price | SkipJsonSchema[None], Query(description="Highest price in euros.")] = None,
    available: Annotated[bool | SkipJsonSchema[None], Query(description="Whether it can be reserved.")] = None,
) -> list[Vehicle]:
    """Search the cars, trucks, vans and motorcycles for sale by kind, make, model, color, year and price."""
    wanted = lot.Wanted(kind, make, model, color, year, max_price, available)
    return [vehicle for vehicle in await lot.VEHICLES.all(store) if wanted.fits(vehicle)]


@routes.get("/vehicles/{vehicle_id}", operation_id="getVehicle", summary="Get a vehicle", responses=NOT_FOUND)
async def get_vehicle(vehicle_id: Id, store: Store) -> Vehicle:
    """Get one car, truck, van or motorcycle by number: make, model, color, price, availability."""
    return await lot.vehicle(store, vehicle_id)


@routes.patch("/vehicles/{vehicle_id}", operation_id="updateVehicle", summary="Update a vehicle", responses=NOT_FOUND)
async def update_vehicle(vehicle_id: Id, wanted: VehicleChange, store: Store) -> Vehicle:
    """Change a vehicle's price, color or mileage; what is left out stays."""
    return await lot.change(store, vehicle_id, wanted)


@routes.post(
    "/vehicles/{vehicle_id}/reservations",
    operation_id="reserveVehicle",
    summary="Reserve a vehicle",
    status_code=201,
    response_model=Reservation,
    responses=NOT_FOUND | NOT_AVAILABLE,
)
async def reserve_vehicle(
    vehicle_id: Id, wanted: ReservationRequest, store: Store, request: Request, key: Key = None
) -> Response:
    """Reserve (book) a car, truck, van or motorcycle for a customer for some days."""
    effect = partial(lot.reserve, store, vehicle_id, wanted, at=request.app.state.now())
    return await Once(f"reserveVehicle {vehicle_id}", wanted, key, status=201).answer(store, effect)


@routes.get("/reservations", operation_id="listReservations", summary="List reservations")
async def list_reservations(
    store: Store, vehicle_id: Annotated[OptionalId, Query(description="Reservations of this vehicle only.")] = None
) -> list[Reservation]:
    """List which vehicles are reserved for whom and for how long."""
    return await lot.reservations(store, vehicle_id)


@routes.delete(
    "/reservations/{reservation_id}",
    operation_id="cancelReservation",
    summary="Cancel a reservation",
    status_code=204,
    responses=NOT_FOUND,
)
async def cancel_reservation(reservation_id: Id, store: Store) -> None:
    """Cancel the reservation of a vehicle, which is available again afterwards."""
    await lot.cancel(store, reservation_id)
