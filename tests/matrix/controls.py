"""Negative controls: what the checker must object to, or else it proves nothing."""

from functools import partial
from uuid import uuid4

from tests.matrix import naive
from tests.matrix.case import Ground
from tests.matrix.checker import at_most_once, every_effect_has_its_quorum
from tests.matrix.history import Acknowledged, History
from tests.matrix.lives import read_notes
from tests.matrix.table import Cell
from tests.matrix.victim import Deed, Order


async def naive_graph(ground: Ground) -> Cell:
    """Kill the program that asks and acts in one node at each of its points; some of them must duplicate."""
    points, _ = await _killed(ground, "note")
    doubled = [(point, wrong[0]) for point in points if (wrong := (await _killed(ground, "kill", point))[1])]
    return Cell(
        part="control: asks and acts in one node",
        column="neither",
        what=f"killed at each of {len(points)} points, twice at {len(doubled)}",
        wrong=tuple(sentence for _, sentence in doubled),
        must_fail=True,
    )


async def _killed(ground: Ground, deed: Deed, point: str = "") -> tuple[list[str], list[str]]:
    """Run the program, killed at a point, and once more; return the points it noted and what is wrong."""
    realm = uuid4().hex
    folder = ground.folder / realm
    folder.mkdir(parents=True)
    environment = {"SHOP_URL": ground.downstream.url(realm, "neither")}
    for life in (deed, None):
        order = Order(str(folder), environment, "naive", deed=life, point=point if life else "")
        await (await ground.nursery.fork(order)).ended.wait()
    effects = tuple(ground.downstream.events(realm))
    history = History(mode="neither", approvals=(naive.asked("first", approved=True),), effects=effects)
    assert effects, f"the control did nothing: {(folder / 'log.txt').read_text()}"
    return [each.point for each in read_notes(folder)], list(at_most_once(history))


async def scalar_resume(ground: Ground) -> Cell:
    """Deliver a scalar answer twice: the second one approves the next gate, which nobody was asked about."""
    realm = uuid4().hex
    await naive.scalar_resume(partial(naive.pay, url=ground.downstream.url(realm, "neither")))
    history = History(
        mode="neither",
        acknowledged=(Acknowledged("first", 1, True, naive.DIGEST),),
        approvals=(naive.asked("first", approved=True), naive.asked("second", approved=False)),
        effects=tuple(ground.downstream.events(realm)),
    )
    return Cell(
        part="control: scalar resume",
        column="neither",
        what='one "approve", delivered twice',
        wrong=tuple(every_effect_has_its_quorum(history)),
        must_fail=True,
    )


CONTROLS = (naive_graph, scalar_resume)
