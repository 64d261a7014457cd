"""The audit log: facts chained by their hashes, so that what is changed, removed, inserted or swapped shows.

Every entry carries the hash of the one before it. What the chain cannot tell by itself is whether its end was cut off:
for that somebody outside has to remember one `Anchor`, the number and the hash of an entry.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError, field_serializer, field_validator

from domain.actions import Frozen
from domain.canonical import canonical, digest
from domain.errors import InvalidInput

FIRST = "0" * 64
"""What the first entry has for the hash of the one before it."""

type Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Fact(Frozen):
    """Something that happened and is to be remembered.

    Args:
        event_id: The same for the same fact, however often it is told.
        event: What happened, such as `approval.decided`.
        at: When; whole milliseconds in UTC are kept of it.
        actor: Who decided or intervened; for an action whom the agent acted for; `server` where nobody did it.
        digest: The action's digest.
        outcome: What came of it, in one word.
        details: Canonical JSON.
    """

    model_config = ConfigDict(strict=True)

    event_id: str
    event: Annotated[str, Field(pattern=r"^[a-z]+\.[a-z_]+$")]
    at: AwareDatetime
    actor: str
    orchestration_id: str | None = None
    request_id: str | None = None
    action_id: str | None = None
    digest: str | None = None
    outcome: str
    details: str = "{}"

    @field_validator("at")
    @classmethod
    def _as_kept(cls, at: datetime) -> datetime:
        """Return what every store keeps of a time: the hash has to fit what is read back."""
        return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)

    @field_serializer("at", when_used="json")
    def _at_shown(self, at: datetime) -> str:
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Anchor(Frozen):
    """A place in the chain: how far it reached, and what the entry there was."""

    seq: Annotated[int, Field(ge=0)]
    hash: Hash

    def __str__(self) -> str:
        """Return `SEQ:HASH`."""
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the anchor of `SEQ:HASH`; raises `InvalidInput`."""
        seq, _, given = text.partition(":")
        if not (seq.isascii() and seq.isdecimal()):
            raise InvalidInput("An anchor reads SEQ:HASH.")
        try:
            return cls(seq=int(seq), hash=given)
        except ValidationError as error:
            raise InvalidInput("An anchor reads SEQ:HASH, the hash as 64 hexadecimal digits.") from error


START = Anchor(seq=0, hash=FIRST)
"""Where the chain begins."""


class Entry(Fact):
    """A fact in its place in the chain.

    Args:
        seq: From 1, without gaps.
        previous: The hash of the entry before it.
        hash: sha256 over the canonical JSON (RFC 8785) of everything else, as `shown`.
    """

    seq: Annotated[int, Field(ge=1)]
    previous: Hash
    hash: Hash

    @property
    def anchor(self) -> Anchor:
        """The place of this entry."""
        return Anchor(seq=self.seq, hash=self.hash)

    def shown(self) -> dict[str, Any]:
        """Return the entry as JSON: without `hash` it is what the hash is made of."""
        return self.model_dump(mode="json")

    def line(self) -> str:
        """Return the entry as one line of an export."""
        return canonical(self.shown())


class Break(Frozen):
    """The first place where the chain does not hold."""

    seq: int
    reason: str


def link(last: Anchor, fact: Fact) -> Entry:
    """Return the fact as the entry behind `last`."""
    fields = {**fact.model_dump(), "seq": last.seq + 1, "previous": last.hash}
    unsigned = Entry(**fields, hash=FIRST)
    return unsigned.model_copy(update={"hash": _hash(unsigned)})


def entry_of(fields: dict[str, Any]) -> Entry:
    """Return the entry that a store read; raises `InvalidInput` for what no entry can look like."""
    try:
        return Entry.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput("What stands there is not an entry.") from error


def entry_of_line(line: str) -> Entry:
    """Return the entry of one line of an export; raises `InvalidInput` where the line is not as it was written."""
    try:
        entry = Entry.model_validate_json(line)
    except ValidationError as error:
        raise InvalidInput("What stands there is not an entry.") from error
    if entry.line() != line:
        raise InvalidInput("The line is not as it was written.")
    return entry


class Verification:
    """Follows a chain entry by entry, from its beginning.

    Args:
        expected: An entry that must be there; the chain may have grown since.
    """

    def __init__(self, expected: Anchor | None = None) -> None:
        self.last = START
        self._expected = expected

    def follow(self, entry: Entry) -> Break | None:
        """Take the next entry, or return what is wrong with it."""
        if reason := self._flaw(entry):
            return Break(seq=self.last.seq + 1, reason=reason)
        self.last = entry.anchor
        return None

    def end(self) -> Break | None:
        """Return what is missing after the last entry."""
        if self._expected is None or self._expected.seq <= self.last.seq:
            return None
        return Break(seq=self.last.seq + 1, reason=f"It is missing: the log reached entry {self._expected.seq} before.")

    def _flaw(self, entry: Entry) -> str | None:
        place = self.last.seq + 1
        if entry.seq != place:
            return f"It is missing: entry {entry.seq} follows entry {self.last.seq}."
        if entry.hash != _hash(entry):
            return "It was changed: its hash does not fit it."
        if entry.previous != self.last.hash:
            return f"It does not continue entry {self.last.seq}: one of them was put in another's place."
        if self._expected and self._expected.seq == place and self._expected != entry.anchor:
            return "It is not the entry that was there before: everything up to here may have been written anew."
        return None


def verify(entries: list[Entry], *, expected: Anchor | None = None) -> Break | None:
    """Return the first broken link of a whole chain, or None."""
    verification = Verification(expected)
    for entry in entries:
        if broken := verification.follow(entry):
            return broken
    return verification.end()


def _hash(entry: Entry) -> str:
    fields = entry.shown()
    del fields["hash"]
    return digest(fields)
