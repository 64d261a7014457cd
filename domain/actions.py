"""Operations services offer, actions the agent proposes, and what came of them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.canonical import JSON, digest

type Place = Literal["path", "query", "body", "body-whole"]
type Reversibility = Literal["read", "reversible", "irreversible"]
type Origin = Literal["user", "service", "retrieved", "model"]
type Outcome = Literal["executed", "failed", "unknown", "rejected", "denied", "invalid"]


class Frozen(BaseModel):
    """A value: compared by content, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def undeclared(known: dict[str, object]) -> Reversibility:
    """Return how a call counts of which nobody has said whether it can be undone."""
    return "read" if known.get("effect") == "read" else "irreversible"


class Lookup(Frozen):
    """How a service is asked whether something happened under an idempotency key.

    Args:
        operation: The read operation that answers it.
        arguments: Its arguments; `$key` stands for the key, `$arguments.NAME` for an argument of the action.
        found: JSON Pointer (RFC 6901) into the answer; what stands there means yes unless it is absent, null, false, 0
            or empty. A 404 means no.
        settled_after_seconds: How long after the doubt arose a "no" is not believed yet: the request may still be on
            its way or at work, and the service's records may lag behind.
    """

    operation: str = Field(min_length=1)
    arguments: dict[str, JSON]
    found: str = Field(default="", pattern=r"^(/.*)?$")
    settled_after_seconds: float = Field(default=10.0, ge=0, le=86_400)


class Operation(Frozen):
    """One call a service offers, read from its OpenAPI document.

    Args:
        name: The operation's name, unique within its service (the document's `operationId`).
        path: The path template below the service's base URL, such as `/orders/{order_id}`.
        arguments: JSON Schema (2020-12) of one flat object that holds every argument; references are resolved.
        places: Where each argument travels, by its name; `body-whole` means the argument is the whole body.
        idempotency_key: Whether the operation takes an `Idempotency-Key` header and honours it.
        effect: `read` for calls without effects (GET, HEAD), else `write`.
        reversibility: Whether what it does can be undone by another call; a write is `irreversible` unless declared.
    """

    service: str
    name: str
    method: str
    path: str
    summary: str = ""
    description: str = ""
    arguments: dict[str, JSON]
    places: dict[str, Place] = Field(default_factory=dict)
    idempotency_key: bool = False
    effect: Literal["read", "write"]
    reversibility: Reversibility = Field(default_factory=undeclared)
    lookup: Lookup | None = None


class Call(Frozen):
    """What a model asks for, before anybody checked it."""

    service: str
    operation: str
    arguments: dict[str, JSON] = Field(default_factory=dict)


class Action(Frozen):
    """A frozen, validated call the agent proposes.

    Args:
        action_id: Derived from run, step and place in the step, so that a repeated node proposes the same one.
        url: The absolute URL, arguments of the path and the query filled in.
        arguments: Canonical JSON text: what the human sees is byte for byte what is sent.
        digest: sha256 over everything that matters about the action, see `action_digest`.
        step: Which round of the run proposed it, from 1.
        idempotency_key: Whether the service honours an `Idempotency-Key`, so that sending twice acts once.
        origins: Where the value of each argument came from, by the argument's name.
    """

    action_id: str
    service: str
    operation: str
    method: str
    url: str
    arguments: str
    digest: str
    effect: Literal["read", "write"]
    step: int
    idempotency_key: bool = False
    reversibility: Reversibility = Field(default_factory=undeclared)
    origins: dict[str, Origin] = Field(default_factory=dict)


class Result(Frozen):
    """What came of one action.

    Args:
        http_status: The service's status, where it answered.
        duration_ms: From the first byte sent to the last received, in milliseconds; of a call that did not succeed
            all that it took, what it was tried again for included; 0 where nothing was sent.
        body: The service's answer as text (JSON in canonical form), bounded; for the others a sentence that says why.
    """

    action_id: str
    outcome: Outcome
    http_status: int | None = None
    duration_ms: float = 0.0
    body: str = ""


def action_digest(
    *, service: str, operation: str, method: str, url: str, arguments: JSON, thread_id: str, requester: str, policy: str
) -> str:
    """Return the sha256 over the canonical JSON of what an approval of this action would mean."""
    return digest(
        {
            "service": service,
            "operation": operation,
            "method": method,
            "url": url,
            "arguments": arguments,
            "thread": thread_id,
            "requester": requester,
            "policy": policy,
        }
    )
