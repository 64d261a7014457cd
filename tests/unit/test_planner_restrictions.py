"""Restrictions that no argument expresses are named, never answered by their opposite or a part of them."""

from typing import Any

import pytest

from tests.planner_catalogue import ALL, DEMO, decided, said

NOT_UNDERSTOOD = [
    ("cars not red", "“not red”"),
    ("cars that are not red", "“not red”"),
    ("cars that aren't red", "“aren't red”"),
    ("cars but not red", "“not red”"),
    ("cars with color not red", "“not red”"),
    ("vehicles without red color", "“without red”"),
    ("cars except red", "“except red”"),
    ("cars other than red", "“other than red”"),
    ("any color but red cars", "“color but red”"),
    ("don't show red cars", "“don't show red”"),
    ("non-red cars", "“non-red”"),
    ("cars not from 2021", "“not from 2021”"),
    ("cars not under 20000", "“not under 20000”"),
    ("orders not of customer 1", "“not of customer 1”"),
    ("which pets are not sold?", "“not sold”"),
    ("pets which aren't sold", "“aren't sold”"),
    ("pets not currently available", "“not currently available”"),
    ("list pets that have not been sold", "“not been sold”"),
    ("red or blue cars", "“red or blue”"),
    ("either red or blue cars", "“red or blue”"),
    ("cars with color red or blue", "“red or blue”"),
    ("are there red cars, or blue ones?", "“or blue”"),
    ("red cars or vans", "“cars or vans”"),
    ("customers or orders", "“customers or orders”"),
    ("sold or pending pets", "“sold or pending”"),
    ("red and blue cars", "“blue”"),
    ("cars red/blue", "“blue”"),
    ("vehicles newer than 2019", "“2019”"),
    ("vehicles older than 2019", "“2019”"),
    ("cars since 2019", "“2019”"),
    ("cars before 2019", "“2019”"),
    ("cars from 2020 to 2021", "“2021”"),
    ("orders above 1001", "“1001”"),
]


@pytest.mark.parametrize("operations", [DEMO, ALL], ids=["demo", "all"])
@pytest.mark.parametrize(("sentence", "named"), NOT_UNDERSTOOD)
def test_a_restriction_that_is_not_understood_is_named(sentence: str, named: str, operations: Any) -> None:
    decision = decided(sentence, operations=operations)
    assert decision.calls == ()
    assert decision.text.startswith(f"I did not understand {named} for ")


@pytest.mark.parametrize(
    ("sentence", "named"),
    [
        ("rooms bigger than 20", "“20”"),
        ("rooms from 80 to 150", "“80”, “150”"),
        ("books about war or peace", "“war or peace”"),
        ("add a pet named Rex or Max", "“Rex or Max”"),
    ],
)
def test_other_services_are_held_to_the_same(sentence: str, named: str) -> None:
    decision = decided(sentence)
    assert decision.calls == ()
    assert decision.text.startswith(f"I did not understand {named} for ")


UNDERSTOOD: list[tuple[str, list[tuple[str, dict[str, Any]]]]] = [
    ("isn't there a red car", [("listVehicles", {"color": "red"})]),
    ("aren't there any red cars?", [("listVehicles", {"color": "red"})]),
    ("no, show red cars", [("listVehicles", {"color": "red"})]),
    ("do you have red cars or not?", [("listVehicles", {"color": "red"})]),
    ("cars for no more than 20000", [("listVehicles", {"max_price": 20000})]),
    ("vehicles from 2021", [("listVehicles", {"year": 2021})]),
    ("pet no 5", [("getPetById", {"petId": 5})]),
    ("is pet 3 not sold?", [("getPetById", {"petId": 3})]),
    ("is pet 3 available or sold?", [("getPetById", {"petId": 3})]),
    ("find pets with tags red or blue", [("findPetsByTags", {"tags": ["red", "blue"]})]),
    ("rooms without balcony", [("listRooms", {"balcony": False})]),
    ("rooms between 80 and 150", [("listRooms", {"min_price": 80, "max_price": 150})]),
    (
        "is there a red car and is there a blue car?",
        [("listVehicles", {"color": "red"}), ("listVehicles", {"color": "blue"})],
    ),
    (
        "sold and pending pets",
        [("findPetsByStatus", {"status": "sold"}), ("findPetsByStatus", {"status": "pending"})],
    ),
]


@pytest.mark.parametrize(("sentence", "calls"), UNDERSTOOD)
def test_a_restriction_that_is_understood_is_kept(sentence: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    assert said(decided(sentence)) == calls


def test_the_other_service_is_still_asked() -> None:
    decision = decided("red or blue cars, and is pet 3 still available?", operations=DEMO)
    assert said(decision) == [("getPetById", {"petId": 3})]
    assert decision.text.startswith("I did not understand “red or blue” for listVehicles")
