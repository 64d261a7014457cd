"""Runs: one turn of a thread, from a message to a reply or a pause."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from domain.actions import Action, Frozen, Result
from domain.approvals import RELEASED, Approval
from domain.canonical import digest, parsed
from domain.conversation import Notice
from domain.experiments import Scalar
from domain.ledger import Entry
from domain.ports import Toolbox
from domain.questions import asking, batch
from domain.state import State, result_of

type RunStatus = Literal["running", "awaiting_approval", "completed", "failed", "cancelled"]

ACTIVE: tuple[RunStatus, ...] = ("running", "awaiting_approval")

LATER = {
    "executed": "was carried out",
    "failed": "was not carried out",
    "denied": "was not allowed any more and not sent",
}
"""What is said of an action whose outcome was unknown in the reply."""

PAUSE_SECONDS, PAUSE_MAX_SECONDS = 0.5, 30.0
"""The first and the longest pause before a run that was left in the middle is picked up once more."""


class Run(Frozen):
    """The record of one run; its message and reply are a turn of the thread's transcript.

    Args:
        attempt: How often a process has set out to execute it: starts, resumes and recoveries.
        reply: The reply as it was given to the caller, once there is one.
        error: The problem document of a failed run.
        attributes: What the caller told of the user, for the targeting of experiments.
        cancel_requested: Whether somebody asked a server that does not execute it to stop it.
    """

    run_id: str
    thread_id: str
    owner: str
    user_id: int
    session_id: str
    message: str
    status: RunStatus = "running"
    attempt: int = 1
    created_at: datetime
    updated_at: datetime
    reply: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    cancel_requested: bool = False
    attributes: dict[str, Scalar] = Field(default_factory=dict)

    def is_due(self, now: datetime) -> bool:
        """Return whether its last attempt is long enough ago for another: a lost store must not use them all up.

        The pause doubles with every attempt.
        """
        pause = min(PAUSE_SECONDS * 2.0 ** (self.attempt - 1), PAUSE_MAX_SECONDS)
        return (now - self.updated_at).total_seconds() >= pause

    @property
    def requester(self) -> str:
        """Who asks, as it enters an action's digest."""
        return f"{self.owner}/{self.user_id}"

    def shown(self) -> dict[str, Any]:
        """Return the run as its caller sees it before there is a reply."""
        return {
            "orchestration_id": self.run_id,
            "thread_id": self.thread_id,
            "user_id": self.user_id,
            "session_id": self.session_id,
            "status": self.status,
            "message": self.message,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }


def thread_id_of(*, owner: str, user_id: int, session_id: str) -> str:
    """Return the one thread of a principal's user and session."""
    return "thr_" + digest({"owner": owner, "user": user_id, "session": session_id})[:32]


def _actions_shown(run: Run, state: State) -> list[dict[str, Any]]:
    """Return a run's actions in the order proposed, each with what came of it."""
    return [_action_shown(run, Action(**entry), state) for entry in state.get("actions", [])]


def _action_shown(run: Run, action: Action, state: State) -> dict[str, Any]:
    result = result_of(state, action.action_id)
    verdict = state.get("verdicts", {}).get(action.action_id, {})
    return {
        **_proposal(action),
        "status": "awaiting_approval" if run.status in ACTIVE else "cancelled",
        **_came(result),
        "approval_id": verdict.get("approval_id"),
        "edited": verdict.get("edited", False),
    }


def _proposal(action: Action) -> dict[str, Any]:
    return {
        "action_id": action.action_id,
        "service": action.service,
        "operation": action.operation,
        "method": action.method,
        "url": action.url,
        "arguments": parsed(action.arguments),
        "digest": action.digest,
        "effect": action.effect,
        "reversibility": action.reversibility,
        "origins": action.origins,
    }


def under_way(run: Run, entries: Iterable[Entry], *, edited: Collection[str]) -> dict[str, Any]:
    """Return how a run stands that has no reply yet: what it has sent, what it is sending, and what waits and why.

    Args:
        edited: The approvals whose action a human changed.
    """
    actions = [
        {
            **_proposal(entry.action),
            **_sent(entry),
            "approval_id": entry.approval_id,
            "edited": entry.approval_id in edited,
        }
        for entry in entries
    ]
    return {**run.shown(), "actions": actions, "error": run.error}


def _sent(entry: Entry) -> dict[str, Any]:
    return {
        "status": "sending" if entry.state == "intent" else entry.state,
        **_came(entry.result),
        **({"result": entry.reason} if entry.state == "waiting" else {}),
    }


def paused(run: Run, asked: Sequence[Approval], entries: Iterable[Entry], toolbox: Toolbox) -> dict[str, Any]:
    """Return the reply of a run that waits for humans, with what they and the services have said since it was given.

    Args:
        asked: Every request of the run.
        entries: Of the ledger.
        toolbox: Knows the operations' schemas, for whoever answers in another tool's words.
    """
    reply = run.reply or {**run.shown(), "error": run.error}
    requests = {each.request_id: each for each in asked}
    sent = {(entry.action.action_id, entry.action.digest): entry for entry in entries}
    waiting = [asking(each, toolbox) for each in asked if each.state == "pending"]
    actions = []
    for each in reply.get("actions", []):
        shown = each | _answered(requests.get(each["approval_id"]))
        entry = sent.get((shown["action_id"], shown["digest"]))
        actions.append(shown | _sent(entry) if entry else shown)
    _, _, beside = reply.get("reply", "").partition("\n\n")
    now = {"reply": _waits(len(waiting), beside), "actions": actions, "approvals": waiting, "interrupt": batch(asked)}
    return {**reply, **now}


def _answered(request: Approval | None) -> dict[str, Any]:
    """Return what an action's request says of it by now."""
    if request is None:
        return {}
    edited = {**_proposal(request.action), "edited": True} if request.revision else {}
    if request.state == "pending":
        return edited
    if request.state in RELEASED:
        return {**edited, "status": "waiting", "result": "It is approved, and sent when the run goes on."}
    return {**edited, "status": "rejected", "result": request.message}


def for_approver(run: Run, asked: Sequence[Approval], entries: Iterable[Entry], toolbox: Toolbox) -> dict[str, Any]:
    """Return how a run stands for an approver who may not read its conversation: what waits, and what was sent.

    Args:
        asked: Every request of the run.
        entries: Of the ledger.
        toolbox: Knows the operations' schemas.
    """
    shown = under_way(run, entries, edited={each.request_id for each in asked if each.revision})
    waiting = [asking(each, toolbox) for each in asked if each.state == "pending"]
    withheld = {"session_id": "", "message": "", "error": None}
    return {**shown, **withheld, "approvals": waiting, "interrupt": batch(asked)}


def reply_shown(
    run: Run, state: State, *, approvals: list[dict[str, Any]], standing: tuple[Notice, ...] = ()
) -> dict[str, Any]:
    """Return the reply a caller gets: what was said, what was done, and what was degraded.

    Args:
        standing: What is degraded whatever the run did.
    """
    return {
        **run.shown(),
        "reply": _words(run, state, len(approvals)),
        "answered_by": state.get("answered_by", ""),
        "actions": _actions_shown(run, state),
        "approvals": approvals,
        "sources": state.get("sources", []),
        "degraded": [*state.get("notices", []), *(notice.model_dump() for notice in standing)],
    }


def amended(reply: dict[str, Any], result: Result) -> dict[str, Any] | None:
    """Return a reply with what came of one of its actions after it was given; None where it says so already.

    What was said stays; what has been found out stands behind it.
    """
    before: list[dict[str, Any]] = reply.get("actions", [])
    actions = [each | _came(result) if each["action_id"] == result.action_id else each for each in before]
    if actions == before:
        return None
    known = [
        f"Found out later: {now['operation']} of {now['service']} {LATER[now['status']]}."
        for was, now in zip(before, actions, strict=True)
        if was["status"] != now["status"] and now["status"] in LATER
    ]
    return {**reply, "reply": "\n\n".join([reply["reply"], *known]), "actions": actions}


def _came(result: Result | None) -> dict[str, Any]:
    return {
        **({"status": result.outcome} if result else {}),
        "http_status": result.http_status if result else None,
        "duration_ms": round(result.duration_ms, 1) if result else None,
        "result": result.body if result else None,
    }


def _words(run: Run, state: State, waiting: int) -> str:
    if run.status == "completed":
        return state.get("reply", "")
    if run.status == "awaiting_approval":
        said = state.get("said", "")
        return _waits(waiting, said and f"Beside it the model said: {said}")
    ended = "was cancelled" if run.status == "cancelled" else "failed"
    sent = sum(_was_sent(result) for result in state.get("results", {}).values())
    return f"This run {ended}. {f'{sent} of its actions had been sent before.' if sent else 'Nothing was changed.'}"


def _was_sent(result: dict[str, Any]) -> bool:
    return result["outcome"] in ("executed", "unknown") or result.get("http_status") is not None


def _waits(count: int, beside: str) -> str:
    """Return how many actions wait for a human, and behind it in a paragraph of its own what else is to be said."""
    if count == 0:
        words = "Every action is decided, and the run goes on."
    else:
        what, have = ("An action waits", "has") if count == 1 else (f"{count} actions wait", "have")
        words = f"{what} for a human's approval and {have} not been sent."
    return f"{words}\n\n{beside}" if beside else words
