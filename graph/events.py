"""What happens in a run, in order, for readers who may come late or come back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

type EventName = Literal["node", "token", "action", "approval", "done", "error"]
type Position = tuple[int, int]

START: Position = (0, 0)
MOST_EVENTS = 4_096
"""How many events of one run are kept; a longer run forgets its oldest tokens."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; its position is the run's attempt and the number within the attempt, and only ever grows."""

    position: Position
    name: EventName
    data: dict[str, Any]


class Log:
    """The events of one run."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._attempt, self._number = START
        self._open = False
        self._dismissed = False
        self._changed: asyncio.Event | None = None  # while somebody reads

    def reopen(self, attempt: int) -> None:
        """Begin an attempt: readers wait for its events."""
        self._attempt, self._number, self._open = attempt, 0, True

    def append(self, name: EventName, data: dict[str, Any]) -> None:
        """Add an event and wake every reader."""
        self._number += 1
        self._events.append(Event((self._attempt, self._number), name, data))
        if len(self._events) > MOST_EVENTS:
            del self._events[: MOST_EVENTS // 4]
        self._wake()

    def close(self) -> None:
        """End the attempt: readers get what there is, and end."""
        self._open = False
        self._wake()

    def dismiss(self) -> None:
        """Let every reader go now, whatever is still to come: the server stops."""
        self._dismissed = True
        self._wake()

    async def follow(self, after: Position = START) -> AsyncIterator[Event]:
        """Yield every event behind a position, then what comes, until the attempt ends or readers are dismissed."""
        while True:
            changed = self._changed = self._changed or asyncio.Event()
            is_open = self._open
            for event in [each for each in self._events if each.position > after]:
                after = event.position
                yield event
            if not is_open or self._dismissed:
                return
            await changed.wait()

    def _wake(self) -> None:
        if self._changed:
            self._changed.set()
            self._changed = None


def parse_position(text: str) -> tuple[str, Position] | None:
    """Return run id and position of an event id as `event_id` wrote it, or None if it is not one."""
    run_id, _, rest = text.partition(":")
    attempt, _, number = rest.partition(":")
    if not (run_id and attempt.isdecimal() and number.isdecimal() and len(rest) <= 32):
        return None
    return run_id, (int(attempt), int(number))


def event_id(run_id: str, position: Position) -> str:
    """Return the id a reader comes back with (`Last-Event-ID`)."""
    return f"{run_id}:{position[0]}:{position[1]}"
