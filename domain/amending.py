"""Amending: what becomes of a request when a human puts other arguments into its action."""

from collections.abc import Mapping
from datetime import datetime

from domain.actions import Action, Call
from domain.approvals import Approval, Verdict
from domain.canonical import JSON, canonical, parsed
from domain.deciding import Person, edited, may_edit, voted
from domain.policy import Policy
from domain.ports import Toolbox


def amended(
    record: Approval,
    arguments: dict[str, JSON],
    *,
    who: Person,
    seen: str | None,
    at: datetime,
    toolbox: Toolbox,
    policy: Policy,
) -> Approval:
    """Return the record with these arguments in its action; with those that it has, the record as it is.

    The operation's schema and the policy have their say. Raises `InvalidArguments` and what `domain.deciding.edited`
    does.

    Args:
        seen: The digest of the action that the human saw.
    """
    if canonical(arguments) == record.action.arguments:
        return record
    may_edit(record, who=who, seen=seen, at=at)
    action = _in_its_place(record, arguments, toolbox, policy)
    if action.arguments == record.action.arguments:
        return record
    rule = policy.judge(action, requester=record.requester)
    return edited(record, action, rule, policy_version=policy.version, who=who, seen=seen, at=at)


def decided(
    record: Approval,
    verdict: Verdict,
    arguments: dict[str, JSON] | None,
    *,
    who: Person,
    seen: str | None,
    toolbox: Toolbox,
    policy: Policy,
) -> Approval:
    """Return the record with one more vote, on other arguments where some come with it.

    Raises what `amended` and `domain.deciding.voted` do.
    """
    after = record
    if arguments is not None:
        at = verdict.decided_at
        after = amended(record, arguments, who=who, seen=seen, at=at, toolbox=toolbox, policy=policy)
        seen = after.action.digest  # whoever wrote the arguments has seen them
    return voted(after, verdict, who=who, seen=seen)


def schema_of(action: Action, toolbox: Toolbox) -> Mapping[str, JSON] | None:
    """Return the schema of an action's arguments; None where its operation is not offered any more."""
    wanted = (action.service, action.operation)
    return next((each.arguments for each in toolbox.operations() if (each.service, each.name) == wanted), None)


def _in_its_place(record: Approval, arguments: dict[str, JSON], toolbox: Toolbox, policy: Policy) -> Action:
    """Return the same operation's action with other arguments, in the same place of its run."""
    before = record.action
    action = toolbox.propose(
        Call(service=before.service, operation=before.operation, arguments=arguments),
        run_id=record.orchestration_id,
        step=before.step,
        index=0,
        thread_id=record.thread_id,
        requester=record.requester,
        policy=policy.version,
    )
    old, new = _members(before), _members(action)
    origins = {name: before.origins.get(name, "user") if old.get(name) == new[name] else "user" for name in new}
    return action.model_copy(update={"action_id": before.action_id, "origins": origins})


def _members(action: Action) -> dict[str, JSON]:
    value = parsed(action.arguments)
    return value if isinstance(value, dict) else {}
