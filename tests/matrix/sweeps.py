"""Which cells there are: every point of every scenario in every mode, once and during recovery, and every fault."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.downstream_simulator import FAULTS, MODES
from tests.matrix.boundaries import READS
from tests.matrix.case import Case, Outcome
from tests.matrix.lives import Passed, Plan
from tests.matrix.scenarios import SCENARIOS

NOTE = (Plan("note"),)

SHORT = re.compile(
    r"(before|after) (act: (?!.*find_one$).*|go_on: runs.find_one_and_update|decide: .*update)"
    r"|(before|after) checkpoint.aput_writes results"
    r"|after (answer POST .*/decide|audit: .*|recorded: .*)"
)
"""What the short form picks: claim, send, response, ledger commit, resume, and the audit log."""

TWICE = ("after act: ledger.insert_one", "after act: wire POST", "after act: ledger.update_one")
"""Where a first kill leaves the most to recover: the intent alone, an answer nobody wrote down, an untold outcome."""


@dataclass(frozen=True)
class Sweep:
    """Cells that belong together.

    Args:
        dry: A case whose noted points are the cells; its last life is the one that notes.
        picks: Which of the points are tried.
    """

    name: str
    dry: Case
    picks: Callable[[Passed], bool]

    def cells(self, seen: Outcome) -> Iterator[Case]:
        """Yield a case for every point that the dry one came by."""
        *before, _ = self.dry.plans
        for point in sorted({each.point for each in seen.passed[len(before)] if self.picks(each)}):
            yield replace(self.dry, plans=(*before, Plan("kill", point)))


def full(*, networked: bool) -> Iterator[Sweep]:
    """Yield all points where one action is approved, and whatever other scenarios and a recovery add to them.

    Networked, where every Redis command is a point of its own, all points are tried in the mode that forgives least.
    """
    for mode in MODES:
        picks = is_short if networked and mode != "neither" else is_any
        yield Sweep("killed once", Case("approve", mode, plans=NOTE), picks)
    for scenario in SCENARIOS:
        if scenario != "approve":
            yield Sweep(f"killed once, {scenario}", Case(scenario, "dedupes", plans=NOTE), is_done)
    for mode in MODES:
        for first in TWICE:
            yield Sweep("killed again in recovery", Case("approve", mode, plans=(Plan("kill", first), *NOTE)), is_done)


def short() -> Iterator[Sweep]:
    """Yield the points around claim, send, ledger and resume, in every mode, and a few in recovery."""
    for mode in MODES:
        yield Sweep("killed once", Case("approve", mode, plans=NOTE), is_short)


def faults() -> Iterator[Case]:
    """Yield every fault in every mode, without a kill, and kills from outside while the service holds its answer."""
    for mode in MODES:
        for fault in FAULTS:
            if not fault.startswith("hold"):
                yield Case("approve", mode, fault if fault == "none" else f"{fault}-1")
        yield Case("approve", mode, "hold_before-1", outside="arrived")
        yield Case("approve", mode, "hold_after-1", outside="effect")


def is_any(_: Passed) -> bool:
    """Return True."""
    return True


def is_write(passed: Passed) -> bool:
    """Return whether a point belongs to something that changes the world, or tells it."""
    return re.sub(r" \(\d+\)$", "", passed.point).rpartition(".")[2] not in READS


def is_done(passed: Passed) -> bool:
    """Return whether a point follows on something that changed the world, besides checkpoints and leases."""
    return (
        is_write(passed)
        and passed.point.startswith("after ")
        and not any(each in passed.point for each in ("checkpoint.", "redis "))
    )


def is_short(passed: Passed) -> bool:
    """Return whether the short form tries a point."""
    return SHORT.fullmatch(re.sub(r" \(\d+\)$", "", passed.point)) is not None


def cells_of(sweeps: Sequence[Sweep], seen: Sequence[Outcome]) -> list[tuple[str, Case]]:
    """Return every cell with the name of its sweep."""
    return [(sweep.name, case) for sweep, outcome in zip(sweeps, seen, strict=True) for case in sweep.cells(outcome)]
