"""Which operations a sentence calls, and with which arguments."""

from typing import Any

import pytest

from tests.planner_catalogue import ALL, DEMO, decided, said
from tests.planner_catalogue import operation as make
from tools.words.indexing import entry
from tools.words.wording import example

type Calls = list[tuple[str, dict[str, Any]]]

DEMO_SENTENCES: list[tuple[str, Calls]] = [
    ("which pets are available?", [("findPetsByStatus", {"status": "available"})]),
    ("how many pets are sold?", [("findPetsByStatus", {"status": "sold"})]),
    ("refund order 1001 with $500", [("refundOrder", {"order_id": 1001, "amount": 500})]),
    ("refund $20 for order 1001", [("refundOrder", {"order_id": 1001, "amount": 20})]),
    ("refund 1001 with 500 USD", [("refundOrder", {"order_id": 1001, "amount": 500})]),
    ("Please refund order 1001 with 1,250.00", [("refundOrder", {"order_id": 1001, "amount": 1250.0})]),
    ("refund order 1001, amount: €12,50", [("refundOrder", {"order_id": 1001, "amount": 12.5})]),
    (
        "could you refund order 1001 with €12.50 because it did not arrive?",
        [("refundOrder", {"order_id": 1001, "amount": 12.5, "reason": "it did not arrive"})],
    ),
    (
        "refund order 1001 with $5, reason: if it rains, delete pet 3",
        [("refundOrder", {"order_id": 1001, "amount": 5, "reason": "if it rains, delete pet 3"})],
    ),
    (
        "is there a red car, and is pet 3 still available?",
        [("listVehicles", {"color": "red"}), ("getPetById", {"petId": 3})],
    ),
    ("show order 1001", [("getOrder", {"order_id": 1001})]),
    ("order 1001", [("getOrder", {"order_id": 1001})]),
    ("order #1001", [("getOrder", {"order_id": 1001})]),
    ("list customers", [("listCustomers", {})]),
    ("show me all vehicles under 20000", [("listVehicles", {"max_price": 20000})]),
    ("vehicles for at most $20k", [("listVehicles", {"max_price": 20000})]),
    ("show vehicles with make Toyota and color blue", [("listVehicles", {"make": "Toyota", "color": "blue"})]),
    ("vehicles, color=red", [("listVehicles", {"color": "red"})]),
    ("list vehicles from year 2021", [("listVehicles", {"year": 2021})]),
    ("what segment is customer 2 in?", [("getCustomerSegment", {"customer_id": 2})]),
    ("reserve vehicle 4", [("reserveVehicle", {"vehicle_id": 4})]),
    ('reserve vehicle 4 for "Ann Lee"', [("reserveVehicle", {"vehicle_id": 4, "reserved_for": "Ann Lee"})]),
    ("delete pet 5", [("deletePet", {"petId": 5})]),
    ("remove pet 5 please", [("deletePet", {"petId": 5})]),
    ("delete pet 5 and 6", [("deletePet", {"petId": 5}), ("deletePet", {"petId": 6})]),
    ("delete pet 5 and pet 5", [("deletePet", {"petId": 5})]),
    ("add a pet named Rex", [("addPet", {"name": "Rex"})]),
    ("add pet Rex", [("addPet", {"name": "Rex"})]),
    ("add a pet named Rex and status sold", [("addPet", {"name": "Rex", "status": "sold"})]),
    ("place an order for pet 3, quantity 2", [("placeOrder", {"petId": 3, "quantity": 2})]),
    ("which orders does customer 1 have?", [("listOrders", {"customer_id": 1})]),
    ("are there any cancelled orders for customer 2?", [("listOrders", {"customer_id": 2, "status": "cancelled"})]),
    ("what's in the inventory?", [("getInventory", {})]),
    ("is the customer 3 a good one?", [("getCustomer", {"customer_id": 3})]),
    ("list customers and orders", [("listCustomers", {}), ("listOrders", {})]),
    ("show customer 1 and their orders", [("getCustomer", {"customer_id": 1}), ("listOrders", {"customer_id": 1})]),
    ("hello, list customers!", [("listCustomers", {})]),
    (
        "refund order 1001 with $500 and order 1002 with $7",
        [("refundOrder", {"order_id": 1001, "amount": 500}), ("refundOrder", {"order_id": 1002, "amount": 7})],
    ),
]

OTHER_SENTENCES: list[tuple[str, Calls]] = [
    ("find books about dragons", [("searchBooks", {"q": "dragons"})]),
    ("search for books by author Tolkien", [("searchBooks", {"author": "Tolkien"})]),
    ("show book 978-0-261-10221-7", [("getBook", {"isbn": "978-0-261-10221-7"})]),
    ("book 5", [("getBook", {"isbn": "5"})]),
    ("lend book 978-0-261 to member 12", [("lendBook", {"isbn": "978-0-261", "member_id": 12})]),
    ("renew loan 7", [("renewLoan", {"loan_id": 7})]),
    ("what loans does member 12 have?", [("listLoans", {"member_id": 12})]),
    ("list rooms with balcony", [("listRooms", {"balcony": True})]),
    ("list rooms without balcony", [("listRooms", {"balcony": False})]),
    ("show double rooms under 200", [("listRooms", {"kind": "double", "max_price": 200})]),
    ("rooms between 80 and 150", [("listRooms", {"min_price": 80, "max_price": 150})]),
    ("rooms for no more than 90", [("listRooms", {"max_price": 90})]),
    (
        "book room 12 from 2030-01-03 to 2030-01-05 for 2 guests with breakfast",
        [
            (
                "bookRoom",
                {
                    "room_number": 12,
                    "check_in": "2030-01-03",
                    "check_out": "2030-01-05",
                    "guests": 2,
                    "breakfast": True,
                },
            )
        ],
    ),
    ("cancel booking 44", [("cancelBooking", {"booking_id": 44})]),
    ("who works in department sales?", [("list_employees", {"department": "sales"})]),
    ("change the salary of employee 7 to 5,000.50", [("update_employee", {"id": 7, "salary": 5000.5})]),
    ("change the title of employee 7 to Manager", [("update_employee", {"id": 7, "title": "Manager"})]),
    (
        "create a leave request for employee 7 from 2030-07-01 to 2030-07-14 because family",
        [
            (
                "create_leave_request",
                {"employee_id": 7, "start_date": "2030-07-01", "end_date": "2030-07-14", "note": "family"},
            )
        ],
    ),
    ("list overdue invoices", [("invoices_list", {"state": "overdue"})]),
    ("invoices in progress", [("invoices_list", {"state": "in_progress"})]),
    ("invoices issued after 2029-12-31", [("invoices_list", {"issued_after": "2029-12-31"})]),
    ("send invoice INV-7 to bob@example.org", [("invoices_send", {"invoice_id": "INV-7", "email": "bob@example.org"})]),
    (
        "create an invoice for customer Acme with amount 99.50 EUR and tags: urgent, north",
        [
            (
                "invoices_create",
                {"customer": "Acme", "amount": 99.5, "currency": "EUR", "tags": ["urgent", "north"]},
            )
        ],
    ),
]


@pytest.mark.parametrize(("sentence", "calls"), DEMO_SENTENCES)
def test_a_sentence_becomes_calls_of_the_demo_services(sentence: str, calls: Calls) -> None:
    assert said(decided(sentence, operations=DEMO)) == calls


@pytest.mark.parametrize(("sentence", "calls"), DEMO_SENTENCES + OTHER_SENTENCES)
def test_a_sentence_finds_its_service_among_many(sentence: str, calls: Calls) -> None:
    assert said(decided(sentence, operations=ALL)) == calls


UNCLEAR = [
    ("refund order 1001", "To refund an order I need: amount. For example: refund order 1 with amount 10.5"),
    ("refund order 1001 with $5 and $6", "I did not understand “$6” for refundOrder"),
    ("refund order 1001 with 12,50", "I did not understand “12,50” for refundOrder"),
    ("refund order 99999999999999999999 with $5", "I did not understand “99999999999999999999”"),
    ("refund order 9999999999999999 with $5", "I did not understand “9999999999999999”"),
    ("book room 12", "To book a room I need: check_in (as 2030-01-31), check_out (as 2030-01-31)."),
    ("book room 12 from 2030-02-30 to 2030-03-02", "I did not understand “2030-02-30”"),
    ("list pets", "To find Pets by status I need: status (available | pending | sold)."),
    ("which pets are not sold?", "I did not understand “not sold” for findPetsByStatus"),
    ("show Toyota vehicles", "I did not understand “Toyota” for listVehicles, so I called nothing."),
    ("tell me a joke", "I found no operation for that. I answer without a language model"),
    ("order a pizza", "I found no operation for that."),
    ("", "I found no operation for that."),
    ("hello", "I answer without a language model: I match plain requests"),
    ("help", "I answer without a language model: I match plain requests"),
    ("what can you do?", "I answer without a language model: I match plain requests"),
    ("thanks!", "You are welcome."),
]


@pytest.mark.parametrize(("sentence", "answer"), UNCLEAR)
def test_what_is_unclear_is_asked_or_admitted_and_nothing_is_called(sentence: str, answer: str) -> None:
    decision = decided(sentence)
    assert decision.calls == ()
    assert decision.text.startswith(answer)


def test_at_most_five_requests_are_read_and_it_is_said_so() -> None:
    decision = decided(". ".join(f"show order {number}" for number in range(1, 9)), operations=DEMO)
    assert said(decision) == [("getOrder", {"order_id": number}) for number in range(1, 6)]
    assert decision.text == "I read only the first 5 requests."


def test_arguments_that_do_not_fit_together_are_not_sent() -> None:
    made = make("hr", "PATCH /employees/{id}", "update_employee", id={"type": "integer"}, title={"type": "string"})
    update = made.model_copy(update={"arguments": {**made.arguments, "minProperties": 2}})
    assert said(decided("update employee 7 title to Boss", operations=(update,))) == [
        ("update_employee", {"id": 7, "title": "Boss"})
    ]
    decision = decided("update employee 7", operations=(update,))
    assert (decision.calls, decision.text) == (
        (),
        "That is not enough for update_employee, so I called nothing. It takes: id, title.",
    )


def test_without_any_service_it_says_so() -> None:
    assert decided("list customers", operations=()).text.endswith("No service is connected that I could call for you.")


@pytest.mark.parametrize("operation", ALL, ids=lambda one: one.name)
def test_every_example_it_offers_is_understood_as_that_operation(operation: Any) -> None:
    assert [name for name, _ in said(decided(example(entry(operation))))] == [operation.name]


def test_somebody_something_is_done_for_is_named() -> None:
    text = {"type": "string"}
    path = "POST /vehicles/{vehicle_id}/reservations"
    made = make(
        "v", path, "reserveVehicle", vehicle_id={"type": "integer"}, customer_name_=text, days={"type": "integer"}
    )
    decision = decided("reserve vehicle 4 for Ann Lee for 3 days", operations=(made,))
    assert said(decision) == [("reserveVehicle", {"vehicle_id": 4, "customer_name": "Ann Lee", "days": 3})]


def test_a_word_of_a_description_alone_chooses_nothing() -> None:
    told = make("v", "GET /customers", "listCustomers").model_copy(update={"description": "All of them, by name."})
    assert decided("what is your name?", operations=(told,)).calls == ()


def test_a_list_of_texts_that_may_be_empty_is_left_empty_and_said_so() -> None:
    photos = {"type": "array", "items": {"type": "string"}}
    add = make("petstore", "POST /pet", "addPet", "Add a pet", name_={"type": "string"}, photoUrls_=photos)
    decision = decided("add a pet named Rex", operations=(add,))
    assert said(decision) == [("addPet", {"name": "Rex", "photoUrls": []})]
    assert decision.text == "photoUrls left empty."


@pytest.mark.parametrize("required", [True, False])
def test_a_default_that_chooses_among_the_results_is_said(required: bool) -> None:
    status = {"type": "string", "enum": ["available", "pending", "sold"], "default": "available"}
    sort = {"type": "string", "enum": ["asc", "desc"], "default": "asc"}
    given = {"status_" if required else "status": status, "sort": sort}
    find = make("petstore", "GET /pet/findByStatus", "findPetsByStatus", "Finds Pets by status.", **given)
    decision = decided("list all pets", operations=(find,))
    assert said(decision) == [("findPetsByStatus", {"status": "available"} if required else {})]
    assert decision.text == "status available, the operation's default."
    assert decided("list sold pets", operations=(find,)).text == ""


def test_a_change_asked_for_twice_is_proposed_once_and_said_so() -> None:
    decision = decided("refund order 1001 with $5, refund order 1001 with $5 and refund order 1001 with $5")
    assert said(decision) == [("refundOrder", {"order_id": 1001, "amount": 5})]
    assert decision.text.endswith(": asked for more than once with the same values, taken as once.")
    assert decision.text.count("once.") == 1


def test_a_question_asked_twice_is_asked_once_without_a_word() -> None:
    decision = decided("is pet 3 available and is pet 3 sold?")
    assert said(decision) == [("getPetById", {"petId": 3})]
    assert decision.text == ""
