"""Becomes the command given, after asking Linux to end it when its parent dies, however that happens.

Started as a script: `python tether.py PARENT_PID COMMAND …`. It imports nothing of the demo, and little else, so that
it costs only milliseconds.
"""

import os
import signal
import sys

NOT_FOUND, NOT_EXECUTABLE = 127, 126
SET_PARENT_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of prctl(2); it stays in force over exec."""


def main(parent: int, command: list[str]) -> int:
    """Become the command; return the shell's exit status for why that is impossible."""
    _follow_parent_into_death()
    if os.getppid() != parent:  # it died before we asked
        return 128 + signal.SIGTERM
    try:
        os.execvp(command[0], command)  # noqa: S606 - to start a command is the purpose
    except FileNotFoundError:
        sys.stderr.write(f"{command[0]}: no such command\n")
        return NOT_FOUND
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_EXECUTABLE


def _follow_parent_into_death() -> None:
    """Ask for SIGTERM at the parent's death; elsewhere than on Linux nothing happens."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
