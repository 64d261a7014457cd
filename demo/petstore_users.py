"""The petstore's users."""

from functools import partial

from fastapi import APIRouter, HTTPException, Response

from demo.database import Transaction
from demo.documents import Documents
from demo.idempotency import Key, Once
from demo.petstore_schemas import User, Username
from demo.web import Store, because, found

USERS = Documents("users", User)
NOT_FOUND = because(404, "User not found")
TAKEN = because(409, "The name is taken")

routes = APIRouter(prefix="/user", tags=["user"])


@routes.post("", operation_id="createUser", summary="Create user", response_model=User, responses=TAKEN)
async def create_user(user: User, store: Store, key: Key = None) -> Response:
    """Create an account in the petstore."""
    return await Once("createUser", user, key, status=200).answer(store, partial(_created, store, user))


@routes.get(
    "/{username}",
    operation_id="getUserByName",
    summary="Get user by user name",
    response_model_exclude_none=True,
    responses=NOT_FOUND,
)
async def get_user_by_name(username: Username, store: Store) -> User:
    """Get one account of the petstore by its user name."""
    return found(await _named(store, username), f"user {username}")


@routes.put(
    "/{username}",
    operation_id="updateUser",
    summary="Update user",
    response_model_exclude_none=True,
    responses=NOT_FOUND | TAKEN,
)
async def update_user(username: Username, user: User, store: Store) -> User:
    """Replace an account of the petstore."""
    known = found(await _named(store, username), f"user {username}")
    if user.username != username and await _named(store, user.username):
        raise HTTPException(409, f"The name {user.username} is taken.")
    renewed = user.model_copy(update={"id": known.id})
    await USERS.replace(store, known.id or 0, renewed)
    return renewed


@routes.delete("/{username}", operation_id="deleteUser", summary="Delete user", responses=NOT_FOUND)
async def delete_user(username: Username, store: Store) -> None:
    """Delete an account of the petstore."""
    known = found(await _named(store, username), f"user {username}")
    await USERS.remove(store, known.id or 0)


async def _named(store: Transaction, username: str) -> User | None:
    return next((user for user in await USERS.all(store) if user.username == username), None)


async def _created(store: Transaction, user: User) -> User:
    if await _named(store, user.username):
        raise HTTPException(409, f"The name {user.username} is taken.")
    numbered = user.model_copy(update={"id": await USERS.next_number(store)})
    await USERS.add(store, numbered.id or 0, numbered)
    return numbered
