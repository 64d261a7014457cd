"""Which requests somebody may decide, and how requests were decided: asked of the store, not read one by one."""

from datetime import datetime
from typing import Any

from checkpoints.collections import Collection, Database, Filter
from domain.approval_stats import Counted, Stats, stats_of
from domain.deciding import Person

NONE: dict[str, Any] = {"$in": [[], None]}


def decidable_by(who: Person) -> dict[str, Any]:
    """Return the condition for what somebody may decide and has not voted on: as `domain.deciding.barred` has it."""
    principal, number = who.principal, who.approver_id
    wanted: list[dict[str, Any]] = [
        {"delegators": {"$nin": sorted(who.names)}},
        {"votes.approver_id": {"$ne": number}},
        {"$or": [{"requester_may_approve": {"$ne": False}}, _asked_by_others(who)]},
    ]
    if principal.approver_id not in (None, number):
        return {"_id": {"$in": []}}
    if not principal.is_anybody:
        handed = [f"group:{group}" for group in sorted(principal.groups)]
        handed += [f"approver:{number}"] if principal.approver_id is not None else []
        mine = [{"groups": NONE}, {"groups": {"$in": sorted(principal.groups)}}, {"delegates": {"$in": handed}}]
        wanted += [{"votes.decided_by": {"$ne": principal.name}}, {"$or": mine}]
    return {"$and": wanted}


def _asked_by_others(who: Person) -> dict[str, Any]:
    asked_by: dict[str, Any] = {"user_id": {"$ne": str(who.approver_id)}}
    return asked_by if who.principal.is_anybody else {**asked_by, "owner": {"$ne": who.principal.name}}


class ApprovalStats:
    """The approval records, counted."""

    def __init__(self, database: Database) -> None:
        self._approvals: Collection = database["approvals"]

    async def since(self, since: datetime, *, owner: str | None) -> Stats:
        """Return how the requests asked since then were decided."""
        asked: dict[str, Any] = {"created_at": {"$gte": since}, **({} if owner is None else {"owner": owner})}
        fields = ("state", "approval_type", "risk_level", "policy_rule")
        kind: dict[str, Any] = {**{name: f"${name}" for name in fields}, "approved": "$verdict.approved"}
        plain = await self._counted(asked, kind)
        edited = await self._counted({**asked, "revision": {"$gt": 0}}, kind)
        decided = {**asked, "seconds_to_decide": {"$gte": 0}}
        count = await self._approvals.count_documents(decided)
        p50, p95 = [await self._at(decided, count, share) for share in (0.5, 0.95)]
        return stats_of(plain, edited, since=since, p50=p50, p95=p95)

    async def _counted(self, where: Filter, kind: dict[str, Any]) -> list[Counted]:
        groups = await self._approvals.aggregate([{"$match": where}, {"$group": {"_id": kind, "count": {"$sum": 1}}}])
        return [Counted(**{"approved": None, **each["_id"]}, count=each["count"]) for each in await groups.to_list()]

    async def _at(self, where: Filter, count: int, share: float) -> float | None:
        """Return the value below which this share of the decided requests lies (nearest rank)."""
        if not count:
            return None
        rank = min(count - 1, int(share * count))
        found = self._approvals.find(where, ["seconds_to_decide"]).sort("seconds_to_decide", 1).skip(rank).limit(1)
        documents = await found.to_list()
        return float(documents[0]["seconds_to_decide"]) if documents else None
