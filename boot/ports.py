"""Which form of every port is in use, since when and why: shown by `/feature-status`, `/health` and the log."""

from datetime import datetime
from typing import Literal

from domain.actions import Frozen
from domain.conversation import Notice

type Mode = Literal["networked", "embedded", "degraded"]


class Port(Frozen):
    """One port as it was opened.

    Args:
        configured: Whether a networked form was asked for.
        form: What serves it, such as `sqlite file data/checkpoints.sqlite`.
        lost: One sentence: what the user goes without in this mode; empty if nothing.
    """

    port: str
    configured: bool
    healthy: bool
    mode: Mode
    form: str
    since: datetime
    reason: str
    lost: str = ""

    def notice(self) -> Notice | None:
        """Return what a reply says about the port while it is degraded."""
        if self.mode != "degraded":
            return None
        return Notice(port=self.port, mode="degraded", reason=self.reason, lost=self.lost)
