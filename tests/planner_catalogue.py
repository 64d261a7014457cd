"""Operations of several invented companies, shaped as toolboxes read them from OpenAPI documents."""

import asyncio
import json
from functools import cache
from typing import Any

from domain.actions import Action, Call, Operation, Outcome, Place, Result
from domain.canonical import JSON, canonical
from domain.conversation import Decision, Done, Message, Turn
from tools.planner import EmbeddedPlanner

INTEGER: dict[str, Any] = {"type": "integer"}
NUMBER: dict[str, Any] = {"type": "number"}
TEXT: dict[str, Any] = {"type": "string"}
YES_NO: dict[str, Any] = {"type": "boolean"}
DAY: dict[str, Any] = {"type": "string", "format": "date"}
STATUS = {"type": "string", "enum": ["available", "pending", "sold"]}
MONEY = {"type": "number", "exclusiveMinimum": 0, "maximum": 9999999.99}


def operation(service: str, request: str, name: str, summary: str = "", **arguments: dict[str, Any]) -> Operation:
    """Return an operation; a trailing `_` on an argument's name makes it required, path arguments always are."""
    method, path = request.split(" ")
    required = [key.rstrip("_") for key in arguments if key.endswith("_") or "{" + key + "}" in path]
    properties = {key.rstrip("_"): schema for key, schema in arguments.items()}
    body: Place = "query" if method == "GET" else "body"
    return Operation(
        service=service,
        name=name,
        method=method,
        path=path,
        summary=summary,
        arguments={"type": "object", "properties": properties, "required": required, "additionalProperties": False},
        places={key: "path" if "{" + key + "}" in path else body for key in properties},
        effect="read" if method == "GET" else "write",
    )


PETSTORE = (
    operation("petstore", "GET /pet/findByStatus", "findPetsByStatus", "Finds Pets by status.", status_=STATUS),
    operation(
        "petstore",
        "GET /pet/findByTags",
        "findPetsByTags",
        "Finds Pets by tags.",
        tags_={"type": "array", "items": TEXT},
    ),
    operation("petstore", "GET /pet/{petId}", "getPetById", "Find pet by ID.", petId=INTEGER),
    operation("petstore", "POST /pet", "addPet", "Add a new pet to the store.", id=INTEGER, name_=TEXT, status=STATUS),
    operation("petstore", "DELETE /pet/{petId}", "deletePet", "Deletes a pet.", petId=INTEGER),
    operation("petstore", "GET /store/inventory", "getInventory", "Returns pet inventories by status."),
    operation(
        "petstore",
        "POST /store/order",
        "placeOrder",
        "Place an order for a pet.",
        petId=INTEGER,
        quantity=INTEGER,
        complete=YES_NO,
    ),
)
VEHICLES = (
    operation(
        "vehicles",
        "GET /vehicles",
        "listVehicles",
        "List vehicles",
        color=TEXT,
        make=TEXT,
        model=TEXT,
        year=INTEGER,
        max_price=NUMBER,
    ),
    operation("vehicles", "GET /vehicles/{vehicle_id}", "getVehicle", "Get a vehicle", vehicle_id=INTEGER),
    operation(
        "vehicles",
        "POST /vehicles/{vehicle_id}/reservations",
        "reserveVehicle",
        "Reserve a vehicle",
        vehicle_id=INTEGER,
        reserved_for=TEXT,
    ),
)
ORDER_STATUS = {"type": "string", "enum": ["open", "shipped", "delivered", "cancelled"]}
CLOUDAPP = (
    operation("cloudapp", "GET /customers", "listCustomers", "List all customers"),
    operation("cloudapp", "GET /customers/{customer_id}", "getCustomer", "Get a customer", customer_id=INTEGER),
    operation("cloudapp", "GET /orders", "listOrders", "List orders", customer_id=INTEGER, status=ORDER_STATUS),
    operation("cloudapp", "GET /orders/{order_id}", "getOrder", "Get an order", order_id=INTEGER),
    operation(
        "cloudapp",
        "POST /orders/{order_id}/refunds",
        "refundOrder",
        "Refund an order",
        order_id=INTEGER,
        amount_=MONEY,
        reason=TEXT,
    ),
    operation(
        "cloudapp",
        "GET /refunds",
        "findRefunds",
        "Find refunds by idempotency key",
        idempotency_key_={"type": "string", "minLength": 1},
    ),
)
ML = (
    operation("ml", "GET /segments", "segmentCustomers", "Group all customers into segments"),
    operation(
        "ml",
        "GET /customers/{customer_id}/segment",
        "getCustomerSegment",
        "Get a customer's segment",
        customer_id=INTEGER,
    ),
)
DEMO = PETSTORE + VEHICLES + CLOUDAPP + ML
LIBRARY = (
    operation("library", "GET /books", "searchBooks", "Search the catalogue", q=TEXT, author=TEXT, limit=INTEGER),
    operation("library", "GET /books/{isbn}", "getBook", "Get a book", isbn=TEXT),
    operation("library", "GET /members", "listMembers", "List members"),
    operation("library", "GET /members/{member_id}/loans", "listLoans", "List a member's loans", member_id=INTEGER),
    operation("library", "POST /loans", "lendBook", "Lend a book to a member", isbn_=TEXT, member_id_=INTEGER),
    operation("library", "POST /loans/{loan_id}/renew", "renewLoan", "Renew a loan", loan_id=INTEGER),
)
HOTEL = (
    operation(
        "hotel",
        "GET /rooms",
        "listRooms",
        "List rooms",
        kind={"type": "string", "enum": ["single", "double", "suite"]},
        min_price=NUMBER,
        max_price=NUMBER,
        balcony=YES_NO,
    ),
    operation(
        "hotel",
        "POST /rooms/{room_number}/bookings",
        "bookRoom",
        "Book a room",
        room_number=INTEGER,
        check_in_=DAY,
        check_out_=DAY,
        guests={"type": "integer", "minimum": 1, "maximum": 4},
        breakfast=YES_NO,
    ),
    operation("hotel", "DELETE /bookings/{booking_id}", "cancelBooking", "Cancel a booking", booking_id=INTEGER),
)
HR = (
    operation("hr", "GET /employees", "list_employees", "List employees", department=TEXT),
    operation("hr", "GET /employees/{id}", "get_employee", "Get an employee", id=INTEGER),
    operation(
        "hr", "PATCH /employees/{id}", "update_employee", "Update an employee", id=INTEGER, salary=NUMBER, title=TEXT
    ),
    operation(
        "hr",
        "POST /leave-requests",
        "create_leave_request",
        "Create a leave request",
        employee_id_=INTEGER,
        start_date_=DAY,
        end_date_=DAY,
        note=TEXT,
    ),
)
BILLING = (
    operation(
        "billing",
        "GET /invoices",
        "invoices_list",
        "List invoices",
        state={"type": "string", "enum": ["draft", "in_progress", "paid", "overdue"]},
        issued_after=DAY,
    ),
    operation("billing", "GET /invoices/{invoice_id}", "invoices_get", "Get an invoice", invoice_id=TEXT),
    operation(
        "billing", "POST /invoices/{invoice_id}/send", "invoices_send", "Send an invoice", invoice_id=TEXT, email_=TEXT
    ),
    operation(
        "billing",
        "POST /invoices",
        "invoices_create",
        "Create an invoice",
        customer_=TEXT,
        amount_=NUMBER,
        currency={"type": "string", "enum": ["EUR", "USD"]},
        tags={"type": "array", "items": TEXT},
    ),
)
OTHERS = LIBRARY + HOTEL + HR + BILLING
ALL = DEMO + OTHERS


async def no_token(_: str) -> None:
    """Swallow the streamed pieces."""


def decided(message: str, *, operations: tuple[Operation, ...] = ALL, **turn: Any) -> Decision:
    """Return what the planner decides."""
    given = Turn(message=message, operations=operations, **turn)
    return asyncio.run(shared_planner().decide(given, on_token=no_token))


@cache
def shared_planner() -> EmbeddedPlanner:
    """Return one planner for all tests: it remembers operations, and nothing else."""
    return EmbeddedPlanner()


def said(decision: Decision) -> list[tuple[str, dict[str, Any]]]:
    """Return a decision's calls as pairs of operation and arguments."""
    return [(call.operation, dict(call.arguments)) for call in decision.calls]


def earlier_call(service: str, name: str, arguments: dict[str, Any], body: Any = None) -> Message:
    """Return a window entry of a call that was executed."""
    told: dict[str, JSON] = {
        "service": service,
        "operation": name,
        "arguments": arguments,
        "outcome": "executed",
        "http_status": 200,
    }
    return Message(role="action", content=canonical({**told, "body": json.dumps(body)}))


def finished(call: Call, body: Any, *, outcome: Outcome = "executed", status: int | None = 200) -> Done:
    """Return an action and what came of it; a body that is a string stays as it is."""
    found = next(one for one in ALL if (one.service, one.name) == (call.service, call.operation))
    action = Action(
        action_id=f"act_{call.operation}_{canonical(call.arguments)}",
        service=call.service,
        operation=call.operation,
        method=found.method,
        url="http://127.0.0.1/",
        arguments=canonical(call.arguments),
        digest="0",
        effect=found.effect,
        step=1,
    )
    text = body if isinstance(body, str) else json.dumps(body)
    return Done(
        action=action, result=Result(action_id=action.action_id, outcome=outcome, http_status=status, body=text)
    )


def replied(message: str, *bodies: Any, outcome: Outcome = "executed", status: int | None = 200) -> str:
    """Return the reply to a message whose calls came back with these bodies, in order."""
    calls = decided(message).calls
    done = tuple(finished(call, body, outcome=outcome, status=status) for call, body in zip(calls, bodies, strict=True))
    decision = decided(message, done=done)
    assert decision.calls == ()
    return decision.text
