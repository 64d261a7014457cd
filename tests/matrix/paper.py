"""`docs/kill-matrix.md`: what the matrix does, and what came of it, a section for each form of the stores."""

import re
from collections.abc import Sequence

from tests.matrix.checker import RULES
from tests.matrix.table import Cell, table
from tests.running import ROOT

PAPER = ROOT / "docs" / "kill-matrix.md"
TITLES = {"embedded": "On embedded stores", "networked": "On networked stores"}

HEAD = """# The kill matrix

> An approved action is sent exactly once where the service honours our `Idempotency-Key` or can be queried. Where
> neither holds and a crash hides the outcome, it becomes `unknown` and waits for a human; it is never silently repeated
> or dropped.

This page is the proof, and `make kill-matrix` makes it again (`ARGS="--stores embedded"`: on one form of the stores
only; `ARGS=--help`: parts of it). A short form runs in `make test`.

## What is done

A real server process is given a message that ends in one refund, a human decides, and the process kills itself with
SIGKILL at one boundary: before or after one command to a store, one checkpoint, one step of the send, or one answer to
a client. Another process takes up what is left, and is killed too in *killed again in recovery*. The next boundary is
another cell. The process knows where it is from the interpreter (`sys.monitoring`): nothing in the product is wrapped,
replaced or there for the test.

The service is a process of its own that writes every effect to a file before it answers
(`tests/downstream_simulator.py`). It `dedupes` by key, is `queryable` by key, or `neither`. Its faults: the reply
dropped, 500, no answer at all, an answer after our patience, each before or after it acted.

When everything has come to rest, pure rules look at what clients were told, what the stores hold, and what the service
knows (`tests/matrix/checker.py`, itself tested with histories that break each rule):

{rules}

Columns: *executed* and *unknown* count actions; *not reached* are cells whose boundary did not come up again. Controls
are not ours, or lack a part of ours: the checker has to object to them.
"""

FOOT = """## What it does not show

- Power loss: SIGKILL leaves what the kernel has. Stores sync every acknowledged write; disks that lie are not tried.
- A server stopped between its last look at its lease and the first byte it sends, longer than the lease: where the
  service can only be queried, what is sent then is sent beside what the next server sent. No client can prevent that.
- The networked stores are Redis and a server that speaks MongoDB's protocol, one process each: no failover.
"""


def write(stores: str, cells: Sequence[Cell], *, arguments: Sequence[str]) -> None:
    """Write one section, and leave the other as it stands.

    Args:
        arguments: The command line's.
    """
    known = PAPER.read_text() if PAPER.exists() else ""
    sections = {name: _section(known, title) for name, title in TITLES.items()}
    given = " ".join(each for each in arguments if each != "--write")
    made = f'    make kill-matrix ARGS="{given}"' if given else "    make kill-matrix"
    sections[stores] = f"## {TITLES[stores]}\n\n{made}\n\n{table(cells)}\n\n{_controls(cells)}\n"
    rules = "\n".join(f"- {rule.__doc__}" for rule in RULES)
    PAPER.write_text("\n".join([HEAD.format(rules=rules), *filter(None, sections.values()), FOOT]))


def _section(paper: str, title: str) -> str:
    found = re.search(rf"^## {title}\n.*?(?=^## )", paper, re.MULTILINE | re.DOTALL)
    return found[0].rstrip("\n") + "\n" if found else ""


def _controls(cells: Sequence[Cell]) -> str:
    controls = [cell for cell in cells if cell.must_fail and cell.wrong]
    return "\n".join(f"- {cell.part}, {cell.what}: {cell.told}." for cell in controls)
