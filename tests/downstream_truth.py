"""What really happened at the simulated service: an append-only file of its own, synced before anybody is answered."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from domain.canonical import JSON, canonical

type Kind = Literal["arrived", "effect", "replayed", "looked_up"]


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Args:
        kind: `arrived`: a write came in; `effect`: it was carried out; `replayed`: it was recognised by its key and
            not carried out again; `looked_up`: somebody asked what was made under a key.
        realm: Whose service it was: every test has a realm of its own, whose state no other shares.
        key: The `Idempotency-Key` the request came with.
        arguments: Canonical JSON of all arguments, of the path and of the body, as an action has them.
        number: What the service calls the effect, from 1 in every realm; 0 where there is none.
    """

    kind: Kind
    realm: str
    operation: str
    key: str | None
    arguments: str
    number: int = 0

    def line(self) -> str:
        """Return the event as a line of the file."""
        return json.dumps(asdict(self)) + "\n"


class Truth:
    """The file, written by one process and read by any.

    Args:
        path: Created where there is none; what stands in it is where the service goes on from.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self.events = list(read_truth(path))

    def tell(self, event: Event) -> Event:
        """Write an event and return it when it is on the disk."""
        os.write(self._file, event.line().encode())
        os.fsync(self._file)
        self.events.append(event)
        return event

    def of(self, realm: str, kind: Kind) -> list[Event]:
        """Return a realm's events of a kind, oldest first."""
        return [each for each in self.events if (each.realm, each.kind) == (realm, kind)]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_truth(path: Path) -> Iterable[Event]:
    """Yield every whole line of the file."""
    for line in path.read_text().splitlines(keepends=True) if path.exists() else ():
        if line.endswith("\n"):
            yield Event(**json.loads(line))


def arguments_of(*parts: dict[str, JSON]) -> str:
    """Return arguments of several places as one canonical text."""
    return canonical({name: value for part in parts for name, value in part.items()})
