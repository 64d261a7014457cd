"""The demo's petstore: the public Petstore's paths and bodies under `/api/v3`, so that the real one can take its place.

Left out are uploads, lists of users, logins and passwords: what a caller sends as `password` is not kept.
"""

from fastapi import FastAPI

from demo import petstore_pets, petstore_store, petstore_users
from demo.database import Database, Transaction, prepare
from demo.idempotency import SCHEMA
from demo.pets import first_orders, first_pets, first_users
from demo.web import create_shell, with_store

PREFIX = "/api/v3"
DESCRIPTION = "Pets for sale, orders for them, and the store's users."


def create_app(database: Database) -> FastAPI:
    """Return the service; the database is opened and closed with the server."""
    petstore = FastAPI(title="Petstore", version="1.0.0", description=DESCRIPTION, servers=[{"url": PREFIX}])
    petstore.include_router(petstore_pets.routes)
    petstore.include_router(petstore_store.routes)
    petstore.include_router(petstore_users.routes)
    outside = FastAPI(openapi_url=None)
    outside.mount(PREFIX, with_store(petstore, database))
    return create_shell(outside, database, seed)


async def seed(transaction: Transaction) -> None:
    """Create the tables, and fill them when they are new."""
    await prepare(transaction, SCHEMA)
    await petstore_pets.PETS.seed(transaction, first_pets())
    await petstore_store.ORDERS.seed(transaction, first_orders())
    await petstore_users.USERS.seed(transaction, first_users())
