"""Deciding: what becomes of a request when somebody votes, edits or hands it on, or when nobody does in time.

Pure rules: each returns the record as it is afterwards, the very same one where nothing changes, or raises why not.
`checkpoints.approvals` stores what they return, if the record is still the one they were given.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

from domain.actions import Action
from domain.approvals import NOBODY, Approval, Happening, Step, Verdict, Vote, one_line
from domain.errors import AlreadyDecided, AlreadyVoted, Conflict, DigestChanged, EditDenied, NotEligible
from domain.policy import OnExpiry, RiskLevel, Rule
from domain.principals import RESERVED, Principal

MOST_EDITS = 20
"""A request that was edited so often is to be rejected; it also bounds the record."""

MOST_STEPS = 200
"""Longest trail of a request that votes, edits and delegations may make."""

RISKS: tuple[RiskLevel, ...] = ("low", "medium", "high", "critical")

NOT_HANDED_ON: dict[str, Any] = {"delegates": (), "delegators": (), "delegated_to": None}
"""A request whose groups are others than those that handed it on: everybody has their say."""

NUMBERLESS = -1
"""Stands for whatever number a key gives that speaks for no particular person."""

ENDINGS: tuple[OnExpiry, ...] = ("reject", "escalate", "cancel")
"""What may happen when nobody decides in time, from what asks for least: more people are asked, the whole run ends."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who decides: the principal whose key it came with, and the number it gives for the person."""

    principal: Principal
    approver_id: int

    @property
    def names(self) -> frozenset[str]:
        """What the person is known by."""
        return names(self.principal.name, self.approver_id)


def names(principal: str, approver_id: int) -> frozenset[str]:
    """Return what a person is known by: two who share one of them count once.

    A key is one person, whatever numbers it gives; without keys there is only the number to tell them apart.
    """
    known = {f"approver:{approver_id}"}
    return frozenset(known if principal in RESERVED else {*known, f"principal:{principal}"})


def barred(record: Approval, who: Person) -> str | None:
    """Return why somebody may not decide a request, or None."""
    principal, number = who.principal, who.approver_id
    if principal.approver_id not in (None, number):
        return f"This key speaks for approver {principal.approver_id} only."
    own = principal.name == record.owner and not principal.is_anybody
    if not record.requester_may_approve and (own or record.user_id == str(number)):
        return "Whoever asked for this may not decide it."
    if not who.names.isdisjoint(record.delegators):
        return "This approver has handed the decision on."
    if record.groups and not principal.belongs_to(record.groups) and not _stands_in(record, who):
        return f"Only members of {', '.join(record.groups)} may decide this."
    return None


def _stands_in(record: Approval, who: Person) -> bool:
    """Return whether it was handed to this person; whose key vouches for no number is nobody's delegate by number."""
    groups = [each.removeprefix("group:") for each in record.delegates if each.startswith("group:")]
    vouched = who.principal.approver_id is not None
    return who.principal.belongs_to(groups) or (vouched and f"approver:{who.approver_id}" in record.delegates)


def voted(record: Approval, verdict: Verdict, *, who: Person, seen: str | None) -> Approval:
    """Return the record with one more vote: the last yes of the quorum approves, the first no rejects.

    The same vote again changes nothing. Raises `DigestChanged`, `AlreadyDecided`, `AlreadyVoted` and `NotEligible`.

    Args:
        seen: The digest the human saw; once a request was edited, nobody approves without it.
    """
    if seen not in (None, record.action.digest):
        _refuse(record, DigestChanged, "The request holds another action by now than the one that was seen.")
    if record.verdict and record.verdict.agrees_with(verdict):
        return record
    if any(vote.agrees_with(verdict) for vote in record.votes):
        return record
    _must_be_open(record, verdict.decided_at)
    if why := barred(record, who):
        raise NotEligible(why)
    if any(not names(vote.decided_by, vote.approver_id).isdisjoint(who.names) for vote in record.votes):
        _refuse(record, AlreadyVoted, "This person has voted already, and counts once.")
    if verdict.approved and seen is None and record.revision:
        _refuse(record, DigestChanged, "The request was edited: send the digest of what you approve.")
    return _counted(record, verdict)


def _counted(record: Approval, verdict: Verdict) -> Approval:
    digest, at = record.action.digest, verdict.decided_at
    votes = (*record.votes, Vote(**verdict.model_dump(), digest=digest))
    is_last = not verdict.approved or len(votes) >= record.quorum
    said = {"approved": verdict.approved, "approval_notes": verdict.approval_notes, "round": record.round}
    step = Step(
        what="decided" if is_last else "voted",
        at=at,
        by=verdict.decided_by,
        approver_id=verdict.approver_id,
        digest=digest,
        said=said,
    )
    changes: dict[str, Any] = {"votes": votes, "trail": (*record.trail, step)}
    if is_last:
        until = at + timedelta(seconds=record.execute_within_seconds)
        changes |= {
            "state": "approved" if verdict.approved else "rejected",
            "verdict": verdict,
            "decided_at": at,
            "seconds_to_decide": (at - record.created_at).total_seconds(),
            "execute_by": until if verdict.approved and record.kind == "graph" else None,
            "remind_at": None,
        }
    return record.model_copy(update=changes)


def edited(
    record: Approval, action: Action, rule: Rule, *, policy_version: str, who: Person, seen: str | None, at: datetime
) -> Approval:
    """Return the record with another action in the place of the one before, and no vote on it yet.

    Policy has its say again: what it denies is not taken, and of what it asks for the stricter counts. Raises
    `EditDenied`, `DigestChanged`, `AlreadyDecided`, `NotEligible` and `Conflict`.

    Args:
        rule: What policy says of the edited action.
    """
    may_edit(record, who=who, seen=seen, at=at)
    same = ("action_id", "service", "operation", "method", "effect")
    if any(getattr(action, name) != getattr(record.action, name) for name in same):
        raise Conflict("An edit changes an action's arguments, never what it does.")
    if rule.then == "deny":
        raise EditDenied(f"Policy denies the edited action: {rule.reason or rule.name}")
    said = {"arguments": action.arguments, "previous_digest": record.action.digest, "policy_rule": rule.name}
    step = Step(
        what="edited", at=at, by=who.principal.name, approver_id=who.approver_id, digest=action.digest, said=said
    )
    changes: dict[str, Any] = {
        "action": action,
        "proposed_action": one_line(action),
        "original_digest": record.proposed_digest,
        "policy_version": policy_version,
        "revision": record.revision + 1,
        "votes": (),
        "trail": (*record.trail, step),
    }
    return record.model_copy(update=changes | (_stricter(record, rule, at) if rule.then == "ask" else {}))


def may_edit(record: Approval, *, who: Person, seen: str | None, at: datetime) -> None:
    """Return if somebody may edit the request now; raises what `edited` does."""
    _must_be_open(record, at)
    if why := barred(record, who):
        raise NotEligible(why)
    if seen not in (None, record.action.digest):
        _refuse(record, DigestChanged, "The request holds another action by now than the one that was seen.")
    if record.kind == "external":
        raise Conflict("What another system asks about cannot be edited here: reject it, and say why.")
    if record.revision >= MOST_EDITS or len(record.trail) >= MOST_STEPS:
        raise Conflict(f"It was edited {record.revision} times: reject it, and let it be asked anew.")


def _stricter(record: Approval, rule: Rule, at: datetime) -> dict[str, Any]:
    """Return what holds when a request falls under another rule: of both, what binds more."""
    is_second_round = record.round > 1 and rule.name == record.policy_rule
    groups = record.groups if is_second_round else rule.groups or record.groups
    moved = NOT_HANDED_ON if groups != record.groups else {}
    return {
        "policy_rule": rule.name,
        "approval_type": rule.approval_type,
        "reason": rule.reason,
        "risk_level": max(record.risk_level, rule.risk_level, key=RISKS.index),
        "risk_score": max(record.risk_score, rule.risk_score),
        "quorum": max(record.quorum, rule.quorum),
        "groups": groups,
        "requester_may_approve": record.requester_may_approve and rule.requester_may_approve,
        "execute_within_seconds": min(record.execute_within_seconds, rule.execute_within_seconds),
        "on_expiry": max(record.on_expiry, rule.on_expiry, key=ENDINGS.index),
        "escalate_to": rule.escalate_to or record.escalate_to,
        **_earlier(record, rule, at),
        **moved,
    }


def _earlier(record: Approval, rule: Rule, at: datetime) -> dict[str, Any]:
    """Return the clock of a request that falls under another rule: its own, or the rule's from now if that ends first.

    The reminders of both are given, as far as they come before the end.
    """
    seconds = record.expires_in_seconds or int((record.expires_at - record.created_at).total_seconds())
    since, ends = record.expires_at - timedelta(seconds=seconds), record.expires_at
    if at + timedelta(seconds=rule.expires_in_seconds) < ends:
        seconds, since = rule.expires_in_seconds, at
        ends = at + timedelta(seconds=seconds)
    after = tuple(sorted(each for each in {*record.remind_after_seconds, *rule.remind_after_seconds} if each < seconds))
    is_due = record.remind_at is not None and record.remind_at <= at
    return {
        "expires_at": ends,
        "expires_in_seconds": seconds,
        "remind_after_seconds": after,
        "remind_at": record.remind_at if is_due else next_reminder(after, since=since, now=at),
    }


def delegated(
    record: Approval, to: str, *, who: Person, note: str, at: datetime, people: Collection[Principal] = ()
) -> Approval:
    """Return the record handed on: the delegate may decide, whoever handed it on no longer does; the same again, as is.

    Everybody else keeps their say, so that a quorum stays within reach. Raises `AlreadyDecided`, `NotEligible` and
    `Conflict`, also where the delegate could not decide, or too few would be left who can.

    Args:
        to: `group:NAME` or `approver:NUMBER`.
        people: Everybody there is a key for; none where anybody may be anybody.
    """
    if to == record.delegated_to and who.names <= set(record.delegators):
        return record
    _must_be_open(record, at)
    if why := barred(record, who):
        raise NotEligible(why)
    if any(not names(vote.decided_by, vote.approver_id).isdisjoint(who.names) for vote in record.votes):
        _refuse(record, AlreadyVoted, "This person has voted already, and has nothing left to hand on.")
    if not record.requester_may_approve and to == f"approver:{record.user_id}":
        raise NotEligible("Whoever asked for this may not decide it.")
    if to in who.names or len(record.trail) >= MOST_STEPS:
        raise Conflict("It can be handed to somebody else only, and not for ever.")
    said = {"to": to, "note": note}
    step = Step(
        what="delegated",
        at=at,
        by=who.principal.name,
        approver_id=who.approver_id,
        digest=record.action.digest,
        said=said,
    )
    changes = {
        "delegates": tuple(dict.fromkeys((*record.delegates, to))),
        "delegators": tuple(sorted({*record.delegators, *who.names})),
        "delegated_to": to,
        "trail": (*record.trail, step),
    }
    after = record.model_copy(update=changes)
    if people:
        _must_be_decidable(record, after, to, people)
    return after


def _must_be_decidable(before: Approval, after: Approval, to: str, people: Collection[Principal]) -> None:
    able = _able(after, people)
    group, number = to.removeprefix("group:"), to.removeprefix("approver:")
    if not any(str(each.approver_id) == number or (group != to and group in each.groups) for each in able):
        raise Conflict(f"Nobody's key could decide this as {to}, or only one that has voted or handed it on.")
    if len(able) < min(after.quorum - len(after.votes), len(_able(before, people))):
        raise Conflict("Too few would be left who may decide this.")


def _able(record: Approval, people: Collection[Principal]) -> list[Principal]:
    """Return whose keys may decide a request and have not voted on it."""
    voters = {name for vote in record.votes for name in names(vote.decided_by, vote.approver_id)}
    known = [Person(principal=each, approver_id=_number(each)) for each in people]
    return [
        who.principal
        for who in known
        if who.principal.decides and voters.isdisjoint(who.names) and not barred(record, who)
    ]


def _number(principal: Principal) -> int:
    return NUMBERLESS if principal.approver_id is None else principal.approver_id


def lapsed(record: Approval, now: datetime) -> Approval:
    """Return what becomes of a record by the clock alone: nothing, a reminder, a second round, or its end."""
    if record.state == "approved" and record.execute_by and record.execute_by <= now:
        return _ended(record, "execution_expired", record.execute_by)
    if record.state != "pending":
        return record
    if record.expires_at > now:
        return _reminded(record, now)
    if record.on_expiry == "escalate" and record.round == 1:
        return _escalated(record, now)
    return _ended(record, "expired", record.expires_at)


def superseded(record: Approval, now: datetime) -> Approval:
    """Return the record as it is once another request has taken its place."""
    return _ended(record, "superseded", now) if record.state == "pending" else record


def _ended(record: Approval, state: Happening, at: datetime) -> Approval:
    step = Step(what=state, at=at, by=NOBODY, digest=record.action.digest)
    return record.model_copy(update={"state": state, "remind_at": None, "trail": (*record.trail, step)})


def _escalated(record: Approval, now: datetime) -> Approval:
    seconds = record.expires_in_seconds or (record.expires_at - record.created_at).total_seconds()
    said = {"groups": list(record.escalate_to), "from_groups": list(record.groups), "votes": len(record.votes)}
    step = Step(what="escalated", at=now, by=NOBODY, digest=record.action.digest, said=said)
    changes: dict[str, Any] = {
        "round": record.round + 1,
        "groups": record.escalate_to,
        **NOT_HANDED_ON,
        "votes": (),
        "expires_at": now + timedelta(seconds=seconds),
        "remind_at": next_reminder(record.remind_after_seconds, since=now, now=now),
        "trail": (*record.trail, step),
    }
    return record.model_copy(update=changes)


def _reminded(record: Approval, now: datetime) -> Approval:
    if record.remind_at is None or record.remind_at > now:
        return record
    step = Step(what="reminded", at=now, by=NOBODY, digest=record.action.digest)
    seconds = record.expires_in_seconds or 0
    since = record.expires_at - timedelta(seconds=seconds)
    later = next_reminder(record.remind_after_seconds, since=since, now=now)
    return record.model_copy(update={"remind_at": later, "trail": (*record.trail, step)})


def next_reminder(after_seconds: tuple[int, ...], *, since: datetime, now: datetime) -> datetime | None:
    """Return when the next reminder is due; those that nobody gave in time are not made up for."""
    due = (since + timedelta(seconds=each) for each in sorted(after_seconds))
    return next((at for at in due if at > now), None)


def _must_be_open(record: Approval, at: datetime) -> None:
    if record.state != "pending":
        _refuse(record, AlreadyDecided, f"The request is {record.state} already.")
    if at >= record.expires_at:
        _refuse(record, AlreadyDecided, "The request is expired already.")


def _refuse(record: Approval, error: type[Conflict], detail: str) -> NoReturn:
    raise error(detail, extra={"approval": record.shown()})
