"""What the petstore holds when it is new."""

from demo.petstore_schemas import Category, Order, OrderStatus, Pet, PetStatus, Tag, User

_DOG, _CAT = Category(id=1, name="Dogs"), Category(id=2, name="Cats")
_BIRD, _FISH, _RABBIT = Category(id=3, name="Birds"), Category(id=4, name="Fish"), Category(id=5, name="Rabbits")


def _pet(number: int, name: str, category: Category, status: PetStatus, *tags: str) -> Pet:
    labels = [Tag(id=place, name=tag) for place, tag in enumerate(tags, start=1)]
    return Pet(id=number, name=name, category=category, photo_urls=[], tags=labels, status=status)


def first_pets() -> dict[int, Pet]:
    """Return the first pets by their numbers."""
    pets = [
        _pet(1, "Rex", _DOG, PetStatus.available, "friendly", "large"),
        _pet(2, "Bella", _DOG, PetStatus.pending, "puppy"),
        _pet(3, "Whiskers", _CAT, PetStatus.available, "friendly", "indoor"),
        _pet(4, "Luna", _CAT, PetStatus.sold, "indoor"),
        _pet(5, "Tweety", _BIRD, PetStatus.available, "small", "loud"),
        _pet(6, "Polly", _BIRD, PetStatus.pending, "talks"),
        _pet(7, "Nemo", _FISH, PetStatus.available, "small"),
        _pet(8, "Bubbles", _FISH, PetStatus.sold, "small"),
        _pet(9, "Thumper", _RABBIT, PetStatus.available, "friendly", "small"),
        _pet(10, "Max", _DOG, PetStatus.available, "large", "guard"),
    ]
    return {pet.id or 0: pet for pet in pets}


def first_orders() -> dict[int, Order]:
    """Return the first orders by their numbers."""
    return {
        1: Order(id=1, pet_id=4, status=OrderStatus.delivered, complete=True),
        2: Order(id=2, pet_id=2, status=OrderStatus.approved),
    }


def first_users() -> dict[int, User]:
    """Return the first accounts by their numbers."""
    return {1: User(id=1, username="ada", first_name="Ada", last_name="Lovelace", email="ada@example.com")}
