"""The policy in force: read whole from its file, swapped whole when the file changes, or refused whole."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
import yaml

from checkpoints.collections import Database
from checkpoints.policies import Policies, Recorded
from domain.errors import ConfigurationError, InvalidPolicy, StoreError
from domain.policy import Policy, read_policy
from tools.catalogue import UniqueKeys

log = structlog.get_logger("boot")

LOOK_SECONDS = 1.0
MAX_BYTES = 1_000_000
"""The largest policy file."""


@dataclass(frozen=True)
class Refusal:
    """Why the file as it is now is not in force.

    Args:
        detail: One sentence.
        problems: Every mistake found, with its place, the rule's name and the reason.
        since: When that was noticed.
    """

    detail: str
    problems: tuple[Mapping[str, object], ...]
    since: datetime


def policy_of(text: str) -> Policy:
    """Return the policy of a YAML text; raises `InvalidPolicy` that says where it is wrong."""
    try:
        document = yaml.load(text, UniqueKeys)  # noqa: S506 # a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidPolicy(f"It is not YAML: {place}{error.problem or 'it cannot be read'}.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        raise InvalidPolicy("It is not YAML.") from error
    return read_policy(document)


def proposed_policy(given: str | dict[str, Any]) -> Policy:
    """Return the policy of a YAML text or of a document; raises `InvalidPolicy` that says where it is wrong."""
    return policy_of(given) if isinstance(given, str) else read_policy(given)


class PolicyFile:
    """The policy of a file, as it is in force: `current` never waits and never changes half.

    Args:
        humans: Whether approvals are switched on; otherwise what would ask is denied.
    """

    def __init__(self, path: Path, records: Policies, *, humans: bool, clock: Callable[[], datetime]) -> None:
        self.path = path
        self.refusal: Refusal | None = None
        self._records = records
        self._humans = humans
        self._clock = clock
        self._in_force: tuple[Policy, datetime] | None = None
        self._unrecorded: list[tuple[Policy, datetime]] = []
        self._seen: bytes | None = None
        self._judged: bytes | None = None

    @property
    def since(self) -> datetime:
        """When the policy in force came in force on this server."""
        return self._now[1]

    def current(self) -> Policy:
        """Return the policy in force."""
        return self._now[0]

    def as_here(self, policy: Policy) -> Policy:
        """Return another policy as it would be in force on this server."""
        return policy if self._humans else policy.without_humans()

    async def recorded(self, version: str) -> Recorded:
        """Return a version that is or was in force; raises `NotFound`."""
        return await self._records.get(version)

    def shown(self) -> dict[str, Any]:
        """Return the policy in force as JSON, with what is wrong with the file."""
        policy, since = self._now
        refusal = self.refusal
        return {
            "version": policy.version,
            "since": since.isoformat(),
            "file": self.path.name,
            "problem": {**asdict(refusal), "since": refusal.since.isoformat()} if refusal else None,
            **policy.model_dump(mode="json"),
        }

    async def open(self) -> None:
        """Read the file; raises `ConfigurationError` naming what is wrong with it."""
        try:
            content = await asyncio.to_thread(_content, self.path)
            policy = await asyncio.to_thread(_policy_in, content)
        except InvalidPolicy as error:
            raise ConfigurationError(f"POLICY_FILE {self.path}: {error.detail}") from error
        self._seen = self._judged = content
        self._put_in_force(policy)
        await self._record()

    async def watch(self) -> None:
        """Look after the file until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Put the file in force if it has changed and is whole.

        It has to be the same at two looks in a row: half a file that is being written may be a policy, too.
        """
        try:
            content = await asyncio.to_thread(_content, self.path)
            settled, self._seen = content == self._seen, content
            if settled and content != self._judged:
                self._judged = content
                self._put_in_force(await asyncio.to_thread(_policy_in, content))
        except Unreadable as error:
            self._seen = self._judged = None
            self._refuse(error)
        except InvalidPolicy as error:
            self._refuse(error)
        await self._record()

    @property
    def _now(self) -> tuple[Policy, datetime]:
        if self._in_force is None:
            raise ConfigurationError(f"POLICY_FILE {self.path} has not been read yet.")
        return self._in_force

    def _put_in_force(self, given: Policy) -> None:
        policy, self.refusal = self.as_here(given), None
        before = self._in_force[0].version if self._in_force else None
        if policy.version != before:
            self._in_force = (policy, self._clock())
            self._unrecorded.append(self._in_force)
            log.info("policy_in_force", version=policy.version, before=before)

    def _refuse(self, error: InvalidPolicy) -> None:
        if self.refusal is None or self.refusal.detail != error.detail:
            self.refusal = Refusal(error.detail, error.problems, self._clock())
            log.warning("policy_refused", file=str(self.path), detail=error.detail, in_force=self.current().version)

    async def _record(self) -> None:
        """Record what came in force; what the store does not take now is recorded at a later look."""
        try:
            while self._unrecorded:
                policy, since = self._unrecorded[0]
                await self._records.record(policy, at=since)
                self._unrecorded.pop(0)
        except StoreError as error:
            log.warning("policy_not_recorded", error=type(error).__name__, detail=error.detail)


@asynccontextmanager
async def open_policy(
    path: Path, database: Database, *, humans: bool, clock: Callable[[], datetime]
) -> AsyncIterator[PolicyFile]:
    """Put a file's policy in force and watch the file; raises `ConfigurationError` naming what is wrong with it."""
    policies = PolicyFile(path, Policies(database), humans=humans, clock=clock)
    await policies.open()
    watching = asyncio.create_task(policies.watch())
    try:
        yield policies
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        if not watching.cancelled():
            watching.result()


def load_policy(path: Path) -> Policy:
    """Return the policy of a file; raises `InvalidPolicy` naming what is wrong."""
    return _policy_in(_content(path))


class Unreadable(InvalidPolicy):
    """The policy's file cannot be read."""


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"It cannot be read: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise Unreadable(f"It is larger than {MAX_BYTES:,} bytes.")
    return content


def _policy_in(content: bytes) -> Policy:
    try:
        return policy_of(content.decode())
    except UnicodeDecodeError as error:
        raise InvalidPolicy("It is not YAML: it is not UTF-8.") from error
