"""Questions: an action as humans are shown it, in the words of several tools at once.

One object holds LangChain's batched request (`action_requests`, `review_configs`), its request for one call (`type`,
`name`, `args`, with a response schema beside the object), and Agent Inbox's (`action_request`, `config`).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from domain.actions import Action
from domain.approvals import one_line
from domain.canonical import JSON, parsed

SCHEMA_CHARS = 16_000
"""Longest schema of arguments that goes along with a question."""

NOTE_CHARS = 4_000
"""Longest note that comes with an answer; `Note` in `api/approval_shapes.py` agrees."""

DECISIONS = ("approve", "edit", "reject", "respond")
"""What LangChain's tools may offer a human; `domain.dialects` reads it."""


def name_of(action: Action) -> str:
    """Return the name by which other tools know what an action does."""
    return f"{action.service}.{action.operation}"


def question(action: Action, *, approval_id: str, reason: str = "") -> dict[str, Any]:
    """Return what a human is shown: the frozen action as the control plane has it, none of a model's words."""
    name, args, description = name_of(action), parsed(action.arguments), _described(action, reason)
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
        "action_requests": [{"name": name, "args": args, "description": description}],
        "review_configs": [{"action_name": name, "allowed_decisions": list(DECISIONS)}],
        "action_request": {"action": name, "args": args},
        "config": allowed,
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


def _described(action: Action, reason: str) -> str:
    """Return the question in Markdown; what is in the arguments cannot leave its block."""
    longest = max(map(len, re.findall("`+", action.arguments)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = [f"**{name_of(action)}** waits for approval.", *([reason] if reason else [])]
    block = f"{fence}\n{action.method} {action.url}\n{action.arguments}\n{fence}"
    return "\n\n".join([*lines, block, f"Digest {action.digest}"])
