"""Every error this product raises, in one tree.

OrchestrationError
├── InvalidInput                 the caller's words cannot be used
│   ├── InvalidArguments         an action's arguments do not fit its operation
│   ├── InvalidPolicy            a policy is refused whole
│   └── UnreadableDocument       there is no text to be had from a document
├── Unauthenticated              no key, or one we do not know
├── Forbidden                    the caller's role does not allow it
│   ├── NotEligible              somebody else has to decide this request
│   └── EditDenied               policy denies the action as it was edited
├── NotFound                     it does not exist, or belongs to somebody else
├── Conflict                     it contradicts what is already recorded
│   ├── ApprovalPending          the thread waits for a human
│   ├── ThreadBusy               the thread has a run under way
│   ├── AlreadyDecided           somebody decided otherwise before
│   │   └── AlreadyVoted         the same person said otherwise before
│   ├── DigestChanged            the request holds another action than the human saw
│   ├── KeyReused                the same Idempotency-Key came with another request
│   ├── AlreadyReconciled        the action's outcome is known, or was reconciled otherwise
│   ├── Outdated                 it changed since the caller read it
│   └── Duplicate                a unique index refused a second one
├── ConfigurationError           the server cannot start like this
│   └── FolderHeld               another process uses DATA_DIR
├── VersionNeeded                the caller did not say which version it changes
├── StoreError                   what must survive could not be read or written
│   ├── StoreUnavailable         the store does not answer
│   └── UnsupportedQuery         an operator outside the common subset
├── ModelError                   the language model gave no usable answer
│   ├── ModelUnavailable         it does not answer, or lacks the model
│   └── ModelAnswerIncomplete    the answer was cut off or malformed
└── ServiceError                 a downstream call did not succeed
├── ServiceUnavailable       nothing was sent
│   └── CircuitOpen          its circuit breaker is open
├── ServiceTimeout           no answer in time; it may have been applied
├── ServiceBroke             the connection died; it may have been applied
├── ServiceRefused           4xx: the service said no
├── ServiceFailed            5xx: the service failed; it may have been applied
└── ResponseRejected         the answer was too large, malformed or led elsewhere
"""

from collections.abc import Mapping, Sequence


class OrchestrationError(Exception):
    """The root: catch it where any of ours will do.

    Args:
        detail: One sentence for the caller; never carries secrets or foreign error texts.
        extra: Further JSON members for the problem document.
    """

    def __init__(self, detail: str, *, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = dict(extra or {})


class InvalidInput(OrchestrationError):
    """The caller's words cannot be used."""


class InvalidArguments(InvalidInput):
    """An action's arguments do not fit its operation's schema."""


class InvalidPolicy(InvalidInput):
    """A policy is refused whole; `problems` names each place, its rule and the reason."""

    def __init__(self, detail: str, *, problems: Sequence[Mapping[str, object]] = ()) -> None:
        super().__init__(detail, extra={"problems": list(problems)})
        self.problems = tuple(problems)


class UnreadableDocument(InvalidInput):
    """A document cannot be fetched, or there is no text to be had from it."""


class Unauthenticated(OrchestrationError):
    """The request carries no key, or one that we do not know."""


class Forbidden(OrchestrationError):
    """The caller is known, but its role does not allow this."""


class NotEligible(Forbidden):
    """Somebody else has to decide this request: its groups, its requester or a delegation say who may not."""


class EditDenied(Forbidden):
    """Policy denies the action as it was edited; the request stays as it was."""


class NotFound(OrchestrationError):
    """The thing does not exist, or belongs to somebody else: the caller cannot tell which."""


class Conflict(OrchestrationError):
    """The request contradicts what is already recorded."""


class ApprovalPending(Conflict):
    """The thread waits for a human's decision and takes no new message."""


class ThreadBusy(Conflict):
    """The thread has a run under way, and the caller did not want to wait longer."""


class AlreadyDecided(Conflict):
    """The approval was decided before, and otherwise."""


class AlreadyReconciled(Conflict):
    """The action's outcome is not unknown, or somebody said something else about it before."""


class Outdated(Conflict):
    """The thing has changed since the caller read it: `If-Match` names another version."""


class VersionNeeded(OrchestrationError):
    """The request must say which version it changes: send `If-Match` with the `ETag` that was read."""


class AlreadyVoted(AlreadyDecided):
    """The same person has said otherwise before; one person counts once."""


class DigestChanged(Conflict):
    """The request holds another action than the one the human saw: look again, and send its digest."""


class KeyReused(Conflict):
    """The same `Idempotency-Key` came with another request before."""


class Duplicate(Conflict):
    """A unique index refused a second document with the same key."""


class RunFailed(OrchestrationError):
    """The run ended by a defect of ours; the log tells which."""


class RunInterrupted(OrchestrationError):
    """The server stops while the run is under way; the run goes on when it is back."""


class ConfigurationError(OrchestrationError):
    """The server cannot start with these settings or files."""


class FolderHeld(ConfigurationError):
    """Another process uses DATA_DIR, which is for one at a time."""


class StoreError(OrchestrationError):
    """What must survive a restart could not be read or written."""


class StoreUnavailable(StoreError):
    """The store does not answer; the caller may try again later."""


class UnsupportedQuery(StoreError):
    """A query used an operator outside the subset that every form of the store offers."""


class ModelError(OrchestrationError):
    """The language model gave no usable answer."""


class ModelUnavailable(ModelError):
    """The model server does not answer, or does not hold the model."""


class ModelAnswerIncomplete(ModelError):
    """The model's answer was cut off or malformed."""


class ServiceError(OrchestrationError):
    """A downstream call did not succeed.

    Args:
        status: The HTTP status, where one was received.
        body: The answer's text, bounded, where one was received.
    """

    duration_ms: float | None = None
    """How long the call took with everything it was tried again for; None where nobody measured."""

    may_have_applied = False
    """Whether the service may have carried out the call in spite of this error."""

    def __init__(self, detail: str, *, service: str, status: int | None = None, body: str = "") -> None:
        super().__init__(detail, extra={"service": service})
        self.service = service
        self.status = status
        self.body = body


class ServiceUnavailable(ServiceError):
    """Nothing was sent: no connection, no free slot, or an open circuit."""


class CircuitOpen(ServiceUnavailable):
    """The service's circuit breaker let nothing through; nothing was sent.

    Args:
        retry_after: Seconds after which another call makes sense; None where nobody knows.
    """

    def __init__(self, detail: str, *, service: str, retry_after: int | None) -> None:
        super().__init__(detail, service=service)
        self.retry_after = retry_after
        self.extra["retry_after"] = retry_after


class ServiceTimeout(ServiceError):
    """The request was sent and no answer came in time."""

    may_have_applied = True


class ServiceBroke(ServiceError):
    """The connection died after the request was sent."""

    may_have_applied = True


class ServiceRefused(ServiceError):
    """The service answered 4xx: it understood and said no."""


class ServiceFailed(ServiceError):
    """The service answered 5xx; whether it applied the call is not known."""

    may_have_applied = True


class ResponseRejected(ServiceError):
    """The answer was too large, malformed, or a redirect to another host."""

    may_have_applied = True
