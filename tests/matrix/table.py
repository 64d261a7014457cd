"""The matrix as people read it: one row per kind of cell, and every cell that is not green."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.matrix.case import Outcome


@dataclass(frozen=True)
class Cell:
    """One cell that was tried.

    Args:
        part: The row it belongs to: what befell.
        column: The mode, or what else there are several of.
        what: The cell itself, for people.
        must_fail: A negative control: the checker has to object.
        ended: What the actions came to.
    """

    part: str
    column: str
    what: str
    wrong: tuple[str, ...]
    must_fail: bool = False
    reached: bool = True
    ended: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What the checker says, without the ids that differ from run to run."""
        said = dict.fromkeys(re.sub(r"\b(apr|run|act)_[0-9a-f]+", "an action", each) for each in self.wrong)
        return "; ".join(said)

    @property
    def is_green(self) -> bool:
        """Whether it is as it must be."""
        return bool(self.wrong) == self.must_fail


def cell_of(part: str, outcome: Outcome) -> Cell:
    """Return the cell of a case."""
    case = outcome.case
    befell = ", then ".join(plan.point for plan in case.plans if plan.point) or case.fault
    return Cell(
        part=part,
        column=case.mode,
        what=f"{case.scenario}, {case.mode}: {befell}",
        wrong=tuple(outcome.wrong),
        reached=outcome.reached,
        ended=tuple(each.state for each in outcome.history.approvals),
    )


def table(cells: Sequence[Cell]) -> str:
    """Return the rows as a Markdown table."""
    heads = ["what befell", "service", "cells", "green", "executed", "unknown", "not reached"]
    rows = [heads, ["---"] * len(heads)]
    for part, column in dict.fromkeys((cell.part, cell.column) for cell in cells):
        mine = [cell for cell in cells if (cell.part, cell.column) == (part, column)]
        ended = Counter(state for cell in mine for state in cell.ended)
        rows.append(
            [
                part,
                column,
                str(len(mine)),
                _share(mine),
                str(ended["executed"]),
                str(ended["unknown"]),
                str(sum(not cell.reached for cell in mine)),
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def failures(cells: Sequence[Cell]) -> list[str]:
    """Return a line for everything that is not as it must be."""
    lines = []
    for cell in cells:
        if not cell.is_green:
            why = "; ".join(cell.wrong) if cell.wrong else "the checker found nothing wrong with it"
            lines.append(f"{cell.part}: {cell.what}: {why}")
    return lines


def _share(cells: Sequence[Cell]) -> str:
    green = sum(cell.is_green for cell in cells)
    fails = " (fail as they must)" if cells and cells[0].must_fail else ""
    return f"{'all' if green == len(cells) else green}{fails}"
