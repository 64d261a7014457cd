"""The petstore's operations on pets."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic.json_schema import SkipJsonSchema

from demo.database import Transaction
from demo.documents import Documents
from demo.idempotency import Key, Once
from demo.petstore_schemas import OptionalWords, Pet, PetId, PetStatus, Words
from demo.web import Store, because, found

PETS = Documents("pets", Pet)
NOT_FOUND = because(404, "Pet not found")
TAKEN = because(409, "There is a pet of that id already")

routes = APIRouter(prefix="/pet", tags=["pet"])


@routes.get(
    "/findByStatus", operation_id="findPetsByStatus", summary="Find pets by status", response_model_exclude_none=True
)
async def find_pets_by_status(
    store: Store,
    status: Annotated[PetStatus, Query(description="Whether the pets can be bought.")] = PetStatus.available,
) -> list[Pet]:
    """Find the dogs, cats, birds and other pets that are available, pending or sold."""
    return [pet for pet in await PETS.all(store) if pet.status == status]


@routes.get("/findByTags", operation_id="findPetsByTags", summary="Find pets by tags", response_model_exclude_none=True)
async def find_pets_by_tags(
    store: Store,
    tags: Annotated[list[Words], Query(description="Words such as friendly, small or indoor.")],
) -> list[Pet]:
    """Find the pets that carry at least one of the tags."""
    return [pet for pet in await PETS.all(store) if {tag.name for tag in pet.tags} & set(tags)]


@routes.get(
    "/{petId}",
    operation_id="getPetById",
    summary="Find pet by ID",
    response_model_exclude_none=True,
    responses=NOT_FOUND,
)
async def get_pet_by_id(pet_id: PetId, store: Store) -> Pet:
    """Get one pet by number: name, category, tags, and whether it is available."""
    return await _pet(store, pet_id)


@routes.post("", operation_id="addPet", summary="Add a new pet to the store", response_model=Pet, responses=TAKEN)
async def add_pet(pet: Pet, store: Store, key: Key = None) -> Response:
    """Add a new pet to the store; the answer holds its id."""
    return await Once("addPet", pet, key, status=200).answer(store, partial(_added, store, pet))


@routes.put(
    "",
    operation_id="updatePet",
    summary="Update an existing pet",
    response_model_exclude_none=True,
    responses=NOT_FOUND | because(400, "The pet has no id"),
)
async def update_pet(pet: Pet, store: Store) -> Pet:
    """Replace a pet that the store has by the one given, which carries its id."""
    if pet.id is None:
        raise HTTPException(400, "A pet to update needs its id.")
    return await _replaced(store, pet.id, pet)


@routes.post(
    "/{petId}",
    operation_id="updatePetWithForm",
    summary="Update a pet's name or status",
    response_model_exclude_none=True,
    responses=NOT_FOUND,
)
async def update_pet_with_form(
    pet_id: PetId,
    store: Store,
    name: Annotated[OptionalWords, Query(description="The pet's new name.")] = None,
    status: Annotated[PetStatus | SkipJsonSchema[None], Query(description="The pet's new status.")] = None,
) -> Pet:
    """Change the name or the status of a pet, and nothing else."""
    pet = await _pet(store, pet_id)
    change = {"name": name or pet.name, "status": status or pet.status}
    return await _replaced(store, pet_id, pet.model_copy(update=change))


@routes.delete("/{petId}", operation_id="deletePet", summary="Delete a pet", responses=NOT_FOUND)
async def delete_pet(pet_id: PetId, store: Store) -> None:
    """Take a pet out of the store."""
    found(await PETS.remove(store, pet_id) or None, f"pet {pet_id}")


async def _pet(store: Transaction, number: int) -> Pet:
    return found(await PETS.get(store, number), f"pet {number}")


async def _added(store: Transaction, pet: Pet) -> Pet:
    numbered = pet if pet.id else pet.model_copy(update={"id": await PETS.next_number(store)})
    if not await PETS.add(store, numbered.id or 0, numbered):
        raise HTTPException(409, f"There is a pet {numbered.id} already.")
    return numbered


async def _replaced(store: Transaction, number: int, pet: Pet) -> Pet:
    found(await PETS.replace(store, number, pet) or None, f"pet {number}")
    return pet
