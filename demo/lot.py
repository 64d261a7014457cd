"""The vehicles on the lot, and the rules of searching and reserving them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from fastapi import HTTPException

from demo.database import Transaction, prepare
from demo.documents import Documents
from demo.idempotency import SCHEMA
from demo.vehicles_schemas import Kind, Reservation, ReservationRequest, Vehicle, VehicleChange
from demo.web import found

VEHICLES = Documents("vehicles", Vehicle)
RESERVATIONS = Documents("reservations", Reservation)

type VehicleRow = tuple[Kind, str, str, int, str, str, int]
FIRST: list[VehicleRow] = [
    (Kind.car, "Mazda", "MX-5", 2021, "red", "23900.00", 31_000),
    (Kind.car, "Volkswagen", "Golf", 2020, "blue", "17450.00", 58_200),
    (Kind.car, "Toyota", "Corolla", 2022, "white", "19990.00", 22_400),
    (Kind.truck, "Ford", "F-150", 2019, "black", "31500.00", 84_000),
    (Kind.van, "Mercedes-Benz", "Sprinter", 2021, "white", "36800.00", 71_300),
    (Kind.car, "Tesla", "Model 3", 2023, "red", "33200.00", 15_100),
    (Kind.van, "Renault", "Kangoo", 2018, "yellow", "9900.00", 112_000),
    (Kind.motorcycle, "BMW", "R 1250 GS", 2022, "green", "15750.00", 12_800),
    (Kind.truck, "Toyota", "Hilux", 2020, "silver", "27300.00", 66_700),
    (Kind.car, "Fiat", "500", 2019, "red", "10450.00", 47_900),
]
"""Kind, make, model, year, color, price in euros, mileage in kilometres; numbered from 1."""


@dataclass(frozen=True)
class Wanted:
    """What a vehicle must be like; None means that it does not matter, upper and lower case do not."""

    kind: Kind | None
    make: str | None
    model: str | None
    color: str | None
    year: int | None
    max_price: Decimal | None
    available: bool | None

    def fits(self, vehicle: Vehicle) -> bool:
        """Return whether the vehicle is like this."""
        pairs = [
            (self.kind, vehicle.kind),
            (_lower(self.make), _lower(vehicle.make)),
            (_lower(self.model), _lower(vehicle.model)),
            (_lower(self.color), _lower(vehicle.color)),
            (self.year, vehicle.year),
            (self.available, vehicle.available),
        ]
        alike = all(wanted is None or wanted == actual for wanted, actual in pairs)
        return alike and (self.max_price is None or vehicle.price <= self.max_price)


async def seed(transaction: Transaction) -> None:
    """Create the tables, and fill them when they are new."""
    await prepare(transaction, SCHEMA)
    await VEHICLES.seed(transaction, {number: _vehicle(number, row) for number, row in enumerate(FIRST, start=1)})
    await RESERVATIONS.seed(transaction, {})


async def vehicle(transaction: Transaction, vehicle_id: int) -> Vehicle:
    """Return one vehicle; raises `HTTPException` 404."""
    return found(await VEHICLES.get(transaction, vehicle_id), f"vehicle {vehicle_id}")


async def change(transaction: Transaction, vehicle_id: int, wanted: VehicleChange) -> Vehicle:
    """Return the vehicle as changed; raises `HTTPException` 404."""
    old = await vehicle(transaction, vehicle_id)
    new = old.model_copy(update=wanted.model_dump(exclude_none=True))
    await VEHICLES.replace(transaction, vehicle_id, new)
    return new


async def reserve(
    transaction: Transaction, vehicle_id: int, wanted: ReservationRequest, *, at: datetime
) -> Reservation:
    """Keep a vehicle for somebody; raises `HTTPException` 404, or 409 when it is not available."""
    kept = await vehicle(transaction, vehicle_id)
    if not kept.available:
        raise HTTPException(409, f"Vehicle {vehicle_id} is not available.")
    reservation = Reservation(
        reservation_id=await RESERVATIONS.next_number(transaction),
        vehicle_id=vehicle_id,
        customer_name=wanted.customer_name,
        start_date=wanted.start_date or at.date(),
        days=wanted.days,
        created_at=at,
    )
    await VEHICLES.replace(transaction, vehicle_id, kept.model_copy(update={"available": False}))
    await RESERVATIONS.add(transaction, reservation.reservation_id, reservation)
    return reservation


async def reservations(transaction: Transaction, vehicle_id: int | None = None) -> list[Reservation]:
    """Return the reservations, of one vehicle or of all."""
    every = await RESERVATIONS.all(transaction)
    return [reservation for reservation in every if vehicle_id in (None, reservation.vehicle_id)]


async def cancel(transaction: Transaction, reservation_id: int) -> None:
    """Give a reserved vehicle free again; raises `HTTPException` 404."""
    reservation = found(await RESERVATIONS.get(transaction, reservation_id), f"reservation {reservation_id}")
    kept = await vehicle(transaction, reservation.vehicle_id)
    await VEHICLES.replace(transaction, kept.vehicle_id, kept.model_copy(update={"available": True}))
    await RESERVATIONS.remove(transaction, reservation_id)


def _vehicle(number: int, row: VehicleRow) -> Vehicle:
    kind, make, model, year, color, price, mileage = row
    return Vehicle(
        vehicle_id=number,
        kind=kind,
        make=make,
        model=model,
        year=year,
        color=color,
        price=Decimal(price),
        mileage_km=mileage,
    )


def _lower(text: str | None) -> str | None:
    return text.casefold() if text is not None else None
