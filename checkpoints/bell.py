"""A bell: whoever waits for a record to change is woken, as far as the change was made in this process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

ANY = ""
"""The name of whatever changes."""


class Bell:
    """Wakes those who listen for a name."""

    def __init__(self) -> None:
        self._listening: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.is_dismissed = False

    def ring(self, name: str = ANY) -> None:
        """Wake everybody who listens for this name or for any; without a name, everybody."""
        heard = [self._listening.get(each, ()) for each in {name, ANY}] if name else self._listening.values()
        for events in heard:
            for event in events:
                event.set()

    def dismiss(self) -> None:
        """Wake everybody for good: the server stops."""
        self.is_dismissed = True
        self.ring()

    @contextmanager
    def heard(self, name: str = ANY) -> Iterator[asyncio.Event]:
        """Listen for a name within the block; the event is set as soon as it rings, until it is cleared."""
        event = asyncio.Event()
        self._listening[name].add(event)
        try:
            yield event
        finally:
            self._listening[name].discard(event)
            if not self._listening[name]:
                del self._listening[name]
