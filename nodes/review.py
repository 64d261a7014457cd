"""Review: apply the policy to every open action, and ask humans where it says so. No effect besides the requests."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from domain.actions import Action
from domain.approvals import RELEASED, Approval, one_line, request_id_of
from domain.deciding import next_reminder
from domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from domain.hearing import answered
from domain.policy import Policy, Rule
from domain.ports import Approvals, Policies, Toolbox, Vitals
from domain.questions import facts_of
from domain.state import Entry, State, Update, open_actions


async def review(
    state: State,
    *,
    policies: Policies,
    approvals: Approvals,
    toolbox: Toolbox,
    clock: Callable[[], datetime],
    vitals: Vitals | None = None,
) -> Update:
    """Return a verdict for every open action: released, waits, denied, or what a human said.

    It runs before the gates and again after them: the second time it finds the humans' answers in the records. What was
    asked once stays asked, whatever the policy says by then: nothing runs that somebody has said no to. An action that
    a human edited takes the place of the one proposed.

    Args:
        vitals: Tells how the services are, so that nobody is asked about one that is down without being told.
    """
    policy, before = policies.current(), state.get("verdicts", {})
    verdicts, edited = {}, {}
    for action in open_actions(state):
        rule = policy.judge(action, requester=state["requester"])
        asked = before.get(action.action_id, {}).get("approval_id")
        if rule.then != "ask" and not asked and action.effect == "write":
            asked = await _asked_before_a_crash(state["run_id"], action, approvals)
        if rule.then == "ask" or asked:
            request = asked or await _request(state, action, rule, policy, clock(), vitals)
            record = await (approvals.get(request) if isinstance(request, str) else approvals.ask(request))
            record, complaint = await _heard(
                state, record, action, toolbox=toolbox, policy=policy, approvals=approvals, now=clock()
            )
            verdicts[action.action_id] = _verdict_of(record, complaint)
            edited[action.action_id] = record.action.model_dump()
        else:
            outcome = "released" if rule.then == "run" else "denied"
            verdicts[action.action_id] = {"outcome": outcome, "message": rule.reason, "rule": rule.name}
    return {"verdicts": verdicts, "actions": [edited.get(each["action_id"], each) for each in state["actions"]]}


async def _asked_before_a_crash(run_id: str, action: Action, approvals: Approvals) -> str | None:
    """Return the request for an action that is on record although no checkpoint knows of it, if there is one."""
    with suppress(NotFound):
        return (await approvals.get(request_id_of(run_id=run_id, action=action))).request_id
    return None


async def _heard(
    state: State,
    record: Approval,
    action: Action,
    *,
    toolbox: Toolbox,
    policy: Policy,
    approvals: Approvals,
    now: datetime,
) -> tuple[Approval, str]:
    """Return the record with the answer that was given straight to the graph, if one was, and why it does not count."""
    answers, complaint = state.get("answers", {}), ""
    if record.state != "pending" or action.action_id not in answers:
        return record, complaint
    answer = answers[action.action_id]
    try:
        change = partial(answered, given=answer, shown=action, toolbox=toolbox, policy=policy, now=now)
        await approvals.change(record.request_id, change)
    except (Conflict, Forbidden, InvalidInput) as error:  # it is asked once more, and told why
        complaint = f"The answer did not count: {error.detail} "
    # One that came too late leaves it to the clock: asking the same again would never end.
    return await approvals.lapse(record.request_id, now), complaint


def _verdict_of(record: Approval, complaint: str) -> Entry:
    verdict = {
        "outcome": _outcome(record),
        "approval_id": record.request_id,
        "message": f"{complaint if record.state == 'pending' else ''}{record.message}",
        "rule": record.policy_rule,
        **({"facts": facts_of(record)} if record.state == "pending" else {}),
    }
    return {**verdict, "edited": True} if record.revision else verdict


def _outcome(record: Approval) -> str:
    if record.state in RELEASED:
        return "released"
    return "waits" if record.state == "pending" else record.state


async def _request(
    state: State, action: Action, rule: Rule, policy: Policy, now: datetime, vitals: Vitals | None
) -> Approval:
    return Approval(
        request_id=request_id_of(run_id=state["run_id"], action=action),
        orchestration_id=state["run_id"],
        thread_id=state["thread_id"],
        owner=state["requester"].rpartition("/")[0],
        requester=state["requester"],
        approval_type=rule.approval_type,
        proposed_action=one_line(action),
        action=action,
        risk_level=rule.risk_level,
        risk_score=rule.risk_score,
        policy_rule=rule.name,
        policy_version=policy.version,
        reason=rule.reason,
        quorum=rule.quorum,
        groups=rule.groups,
        requester_may_approve=rule.requester_may_approve,
        on_expiry=rule.on_expiry,
        escalate_to=rule.escalate_to,
        remind_after_seconds=rule.remind_after_seconds,
        expires_in_seconds=rule.expires_in_seconds,
        execute_within_seconds=rule.execute_within_seconds,
        model_words=state.get("said", ""),
        service_health=await vitals.of(action.service) if vitals else None,
        created_at=now,
        remind_at=next_reminder(rule.remind_after_seconds, since=now, now=now),
        expires_at=now + timedelta(seconds=rule.expires_in_seconds),
    )
