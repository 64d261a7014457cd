"""What the bench is at, for people who wait."""

import sys


class Progress:
    """One line on standard error, written anew each time; a line each where that is no terminal."""

    def __init__(self) -> None:
        self._redraws = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Say what is under way."""
        line = f"\r\033[K{text} …" if self._redraws else f"{text} …\n"
        print(line, end="", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Leave a clean line."""
        if self._redraws:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
