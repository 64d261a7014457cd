"""What nodes can reach: the operations of all services, as proposals first and as calls later."""

import asyncio
import json
from collections.abc import Callable, Mapping

from domain.actions import Action, Call, Lookup, Operation, Result, action_digest
from domain.canonical import JSON, canonical, digest, parsed
from domain.errors import InvalidArguments, InvalidInput, ResponseRejected, ServiceRefused, ServiceUnavailable
from tools.arguments import Check, checker, nearest
from tools.http_answers import Answer
from tools.lookups import filled, says_yes
from tools.services import Services
from tools.wire import Wire, placed

KEPT_BYTES = 64_000
NOT_FOUND = 404
JSON_BODY = {"Content-Type": "application/json"}


class Toolbox:
    """The one way to propose and execute calls."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._checks: dict[tuple[str, str], tuple[Operation, Check]] = {}

    def operations(self) -> tuple[Operation, ...]:
        """Return every operation on offer, in the order of the services file; the same tuple until one changes."""
        return self._services.operations()

    def unknown(self) -> tuple[str, ...]:
        """Return the services of which no operation is known."""
        return self._services.unknown()

    def propose(
        self, call: Call, *, run_id: str, step: int, index: int, thread_id: str, requester: str, policy: str
    ) -> Action:
        """Return a call as a frozen, validated action; the same call at the same place gives the same action.

        Raises `InvalidArguments` with words a model or a person can act on: for services and operations there are
        none of, and for arguments that do not fit.

        Args:
            step: The round of the run, from 1.
            index: The call's place within the step, from 0.
            policy: The version of the policy in force.
        """
        operation = self._wanted(call)
        text, arguments = _frozen(self._check(operation)(call.arguments))
        wire = self._placed(operation, arguments)
        return Action(
            action_id=f"act_{digest([run_id, step, index])[:24]}",
            service=operation.service,
            operation=operation.name,
            method=operation.method,
            url=wire.url,
            arguments=text,
            digest=action_digest(
                service=operation.service,
                operation=operation.name,
                method=operation.method,
                url=wire.url,
                arguments=arguments,
                thread_id=thread_id,
                requester=requester,
                policy=policy,
            ),
            effect=operation.effect,
            step=step,
            idempotency_key=operation.idempotency_key,
            reversibility=operation.reversibility,
        )

    async def execute(
        self, action: Action, *, idempotency_key: str | None, before_send: Callable[[], None] = lambda: None
    ) -> Result:
        """Send exactly what the action holds, if the service's breaker lets it, and return the service's 2xx answer.

        Raises the `ServiceError` that says what happened otherwise; `ServiceRefused` without a status when the service
        no longer offers the operation as it was proposed, in which case nothing was sent.

        Args:
            idempotency_key: Sent with the call, and allows retries where the operation honours it.
            before_send: Called right before the first byte of every attempt; what it raises keeps it from being sent.
        """
        operation, wire = self._as_proposed(action)
        keyed = operation.idempotency_key
        headers = dict(JSON_BODY) if wire.content is not None else {}
        if idempotency_key and not keyed:  # harmless where it is not understood, and no licence to send twice
            headers["Idempotency-Key"] = idempotency_key
        answer = await self._services.request(
            action.service,
            action.method,
            action.url,
            content=wire.content,
            headers={"Accept": "application/json", **headers},
            idempotency_key=idempotency_key if keyed else None,
            before_send=before_send,
        )
        return _executed(action, answer)

    def honours_key(self, action: Action) -> bool:
        """Return whether sending the action twice under one key acts once, as far as is known now."""
        operation = self._services.operation(action.service, action.operation)
        return operation.idempotency_key if operation else action.idempotency_key

    def lookup(self, action: Action) -> Lookup | None:
        """Return how the service is asked whether the action happened, if it can be."""
        operation = self._services.operation(action.service, action.operation)
        return operation.lookup if operation else None

    async def look_up(self, action: Action, lookup: Lookup, *, idempotency_key: str) -> Result | None:
        """Ask the service whether an action happened under a key: what it has of it, or None where it has nothing.

        Raises `ServiceError` where it does not tell.
        """
        operation = self._services.operation(action.service, lookup.operation)
        given = parsed(action.arguments)
        if operation is None:
            detail = f"{action.service} does not offer {lookup.operation} now, which tells what happened."
            raise ServiceUnavailable(detail, service=action.service)
        arguments = filled(lookup, key=idempotency_key, arguments=given if isinstance(given, dict) else {})
        try:
            answer = await self._read(operation, arguments)
            known = says_yes(lookup, parsed(answer.text))
        except ServiceRefused as error:
            if error.status == NOT_FOUND:
                return None
            raise
        except (InvalidInput, ValueError, RecursionError) as error:
            detail = f"{action.service}.{lookup.operation} cannot be asked, or its answer cannot be read."
            raise ResponseRejected(detail, service=action.service) from error
        return _executed(action, answer) if known else None

    async def _read(self, operation: Operation, arguments: dict[str, JSON]) -> Answer:
        """Call a read operation. Raises `InvalidArguments` and `ServiceError`."""
        wire = self._placed(operation, self._check(operation)(arguments))
        return await self._services.request(
            operation.service,
            operation.method,
            wire.url,
            content=wire.content,
            headers={"Accept": "application/json", **(JSON_BODY if wire.content is not None else {})},
        )

    async def warm(self) -> None:
        """Load the schema library and compile every operation beforehand, off the event loop."""
        for operation in self.operations():
            await asyncio.to_thread(self._check, operation)

    def _wanted(self, call: Call) -> Operation:
        operation = self._services.operation(call.service, call.operation)
        if operation is not None:
            return operation
        if call.service not in self._services.names:
            raise InvalidArguments(
                f'There is no service "{call.service[:80]}". Services: {nearest(call.service, self._services.names)}.'
            )
        known = [each.name for each in self.operations() if each.service == call.service]
        raise InvalidArguments(
            f'{call.service} has no operation "{call.operation[:80]}". Operations: {nearest(call.operation, known)}.'
        )

    def _check(self, operation: Operation) -> Check:
        name = (operation.service, operation.name)
        compiled = self._checks.get(name)
        if compiled is None or compiled[0] is not operation:
            compiled = self._checks[name] = (operation, checker(operation))
        return compiled[1]

    def _placed(self, operation: Operation, arguments: Mapping[str, JSON]) -> Wire:
        return placed(operation, self._services.client(operation.service).base_url, arguments)

    def _as_proposed(self, action: Action) -> tuple[Operation, Wire]:
        """Return the operation and what to send, if both are still what was approved."""
        operation = self._services.operation(action.service, action.operation)
        if operation is None and all(each.service != action.service for each in self.operations()):
            detail = f"{action.service} is down, and what it offers is not known; nothing was sent."
            raise ServiceUnavailable(detail, service=action.service)
        wire = self._same(action, operation) if operation is not None else None
        if operation is None or wire is None:
            detail = f"{action.service} no longer offers {action.operation} as it was proposed; nothing was sent."
            raise ServiceRefused(detail, service=action.service)
        return operation, wire

    def _same(self, action: Action, operation: Operation) -> Wire | None:
        arguments = parsed(action.arguments)
        if not isinstance(arguments, dict) or not arguments.keys() <= operation.places.keys():
            return None
        try:
            wire = self._placed(operation, arguments)
        except InvalidArguments:
            return None
        now, then = (operation.method, wire.url, operation.effect), (action.method, action.url, action.effect)
        return wire if now == then else None


def _executed(action: Action, answer: Answer) -> Result:
    return Result(
        action_id=action.action_id,
        outcome="executed",
        http_status=answer.status,
        duration_ms=answer.duration_ms,
        body=_told(answer),
    )


def _frozen(arguments: dict[str, JSON]) -> tuple[str, dict[str, JSON]]:
    """Return arguments as canonical text, and as `execute` will read them back from it: in the same order."""
    text = canonical(arguments)
    again = parsed(text)
    return text, again if isinstance(again, dict) else {}


def _told(answer: Answer) -> str:
    """Return an answer's text as it is kept: JSON in its canonical form, bounded."""
    text = answer.text
    if len(text) <= KEPT_BYTES and "json" in answer.headers.get("content-type", "").lower():
        try:
            text = canonical(json.loads(text))
        except (ValueError, RecursionError, InvalidInput):  # not JSON after all, or numbers it cannot carry exactly
            text = answer.text
    raw = text.encode(errors="replace")
    if len(raw) <= KEPT_BYTES:
        return text
    return f"{raw[:KEPT_BYTES].decode(errors='ignore')}… [truncated: {KEPT_BYTES} of {len(raw)} bytes]"
