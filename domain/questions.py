"""Questions: an action as humans are shown it, in the words of several tools at once.

One object holds LangChain's batched request (`action_requests`, `review_configs`), its request for one call (`type`,
`name`, `args`, with a response schema beside the object), and Agent Inbox's (`action_request`, `config`).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domain.actions import Action
from domain.amending import schema_of
from domain.approvals import Approval, one_line
from domain.canonical import JSON, parsed
from domain.ports import Toolbox

SCHEMA_CHARS = 16_000
"""Longest schema of arguments that goes along with a question."""

NOTE_CHARS = 4_000
"""Longest note that comes with an answer; `Note` in `api/approval_shapes.py` agrees."""

DECISIONS = ("approve", "edit", "reject", "respond")
"""What LangChain's tools may offer a human; `domain.dialects` reads it."""


def name_of(action: Action) -> str:
    """Return the name by which other tools know what an action does."""
    return f"{action.service}.{action.operation}"


def question(
    action: Action, *, approval_id: str, reason: str = "", facts: Iterable[str] = (), words: str = ""
) -> dict[str, Any]:
    """Return what a human is shown: the frozen action as the control plane has it.

    Args:
        facts: What else the control plane knows, as `facts_of` has it.
        words: What the model said; it stands in the description alone, apart and marked.
    """
    name, args, description = name_of(action), parsed(action.arguments), _described(action, reason, facts, words)
    allowed = {f"allow_{what}": True for what in ("accept", "edit", "respond", "ignore")}
    return {
        "approval_id": approval_id,
        "proposed_action": one_line(action),
        "service": action.service,
        "operation": action.operation,
        "arguments": args,
        "digest": action.digest,
        "type": "tool_approval",
        "tool_call_id": action.action_id,
        "name": name,
        "args": args,
        "description": description,
        **_batched([(name, args, description)]),
        "action_request": {"action": name, "args": args},
        "config": allowed,
    }


def facts_of(record: Approval) -> list[str]:
    """Return what the control plane knows of a request beside its action and reason, a line for each."""
    rule = f"{record.policy_rule} of policy {record.policy_version}"
    facts = [f"Rule: {rule}", f"Risk: {record.risk_level} ({record.risk_score:g})"]
    facts.append(f"To be decided before: {record.expires_at.isoformat(timespec='seconds')}")
    if record.quorum > 1:
        facts.append(f"Votes: {len(record.votes)} of {record.quorum}")
    if record.groups:
        facts.append(f"Decided by: {', '.join(record.groups)}")
    if health := record.service_health:
        state = f"{health.status}, its circuit breaker {health.breaker.replace('_', ' ')}"
        facts.append(f"Service when this was asked: {state}. {health.detail}".rstrip(". "))
    return facts


def asking(record: Approval, toolbox: Toolbox) -> dict[str, Any]:
    """Return a request as people and programs see it, with the interrupt that other tools know how to answer.

    The interrupt's id is the request's, by which an answer to the run names it.
    """
    if record.state != "pending" or record.kind != "graph":
        return {**record.shown(), "interrupt": None}
    interrupt = {
        "id": record.request_id,
        "value": _question_of(record),
        "response_schema": response_schema(record.action, schema_of(record.action, toolbox)),
    }
    return {**record.shown(), "interrupt": interrupt}


def batch(asked: Sequence[Approval]) -> dict[str, Any] | None:
    """Return what a run waits for as LangChain's one request for all of it, in the order in which it is answered.

    There is none once the run has asked before: the same batch of answers could be meant for what was asked then.

    Args:
        asked: Every request of the run.
    """
    if not asked or any(each.state != "pending" for each in asked):
        return None
    questions = map(_question_of, asked)
    return _batched([(each["name"], each["args"], each["description"]) for each in questions])


def _question_of(record: Approval) -> dict[str, Any]:
    return question(
        record.action,
        approval_id=record.request_id,
        reason=record.reason,
        facts=facts_of(record),
        words=record.model_words,
    )


def _batched(shown: list[tuple[str, JSON, str]]) -> dict[str, Any]:
    return {
        "action_requests": [
            {"name": name, "args": args, "description": description} for name, args, description in shown
        ],
        "review_configs": [{"action_name": name, "allowed_decisions": list(DECISIONS)} for name, _, _ in shown],
    }


def response_schema(action: Action, arguments: Mapping[str, JSON] | None) -> dict[str, Any]:
    """Return the JSON Schema of an answer to one action, in LangChain's words.

    Args:
        arguments: The schema of the operation's arguments; None, or one that is very large, takes any object.
    """
    fits = arguments is not None and len(json.dumps(arguments)) <= SCHEMA_CHARS
    args: JSON = dict(arguments or {}) if fits else {"type": "object"}
    edited = _object(name={"const": name_of(action)}, args=args)
    message: JSON = {"type": "string", "maxLength": NOTE_CHARS}
    forms = {
        "ApproveDecision": _object(type={"const": "approve"}),
        "EditDecision": _object(type={"const": "edit"}, edited_action=edited),
        "RejectDecision": _object("message", type={"const": "reject"}, message=message),
        "RespondDecision": _object(type={"const": "respond"}, message=message),
    }
    return {
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in forms],
        "discriminator": {"propertyName": "type"},
        "$defs": forms,
    }


def _object(*optional: str, **properties: JSON) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _described(action: Action, reason: str, facts: Iterable[str], words: str) -> str:
    """Return the question in Markdown; neither what is in the arguments nor what a model said can leave its block."""
    lines = [f"**{name_of(action)}** waits for approval.", *([reason] if reason else [])]
    if known := "\n".join(f"- {fact}" for fact in facts):
        lines.append(known)
    lines += [_block(f"{action.method} {action.url}\n{action.arguments}"), f"Digest {action.digest}"]
    if words:
        lines += ["What the model said, which nobody has checked:", _block(words)]
    return "\n\n".join(lines)


def _block(text: str) -> str:
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
