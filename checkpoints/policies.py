"""Policies as they were: every version that was ever in force, so that a decision's version can be read later."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from checkpoints.collections import Collection, Database
from domain.errors import NotFound
from domain.policy import Policy


@dataclass(frozen=True)
class Recorded:
    """A version of the policy.

    Args:
        document: The rules as they were judged by, with every default filled in; `version` is its hash.
        first_seen_at: When a server first had it in force.
    """

    version: str
    document: dict[str, Any]
    first_seen_at: datetime

    def shown(self) -> dict[str, Any]:
        """Return the version as JSON."""
        return {"version": self.version, "first_seen_at": self.first_seen_at.isoformat(), **self.document}


class Policies:
    """The records of the versions."""

    def __init__(self, database: Database) -> None:
        self._policies: Collection = database["policies"]

    async def record(self, policy: Policy, *, at: datetime) -> None:
        """Keep a version that is in force from now on; one that is there stays as it is."""
        entry = {"_id": policy.version, "document": policy.model_dump(mode="json"), "first_seen_at": at}
        try:
            await self._policies.insert_one(entry)
        except DuplicateKeyError:
            return  # another replica, or this one before

    async def get(self, version: str) -> Recorded:
        """Return a version; raises `NotFound`."""
        found = await self._policies.find_one({"_id": version})
        if found is None:
            raise NotFound("No policy of this version was ever in force here.")
        return Recorded(version, found["document"], found["first_seen_at"])
