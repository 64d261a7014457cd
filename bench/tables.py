"""The figures as tables: Markdown that is readable as it is."""

from collections.abc import Sequence

from bench.acting import Acts
from bench.comparing import RECORDS, SERVER, Comparison
from bench.experimenting import Experimenting
from bench.growing import Growth
from bench.savers import GRAPHS, MEMORY, PACKAGE, PACKAGE_FILE, Saving
from bench.simulating import Simulation
from bench.starting import Starts

NAMES = {
    "none": "graph, no checkpointer",
    "memory": "graph, in memory",
    "SQLite": "graph, SQLite",
    SERVER: "server, SQLite, over HTTP",
    RECORDS: "HTTP and two records, no graph",
}
SAVERS = {
    "none": "none",
    "memory": "in memory",
    "redis": "Redis, ours",
    "redis-floor": "Redis, storing nothing",
    "redis-json": "Redis, langgraph-checkpoint-redis",
    "sqlite": "SQLite, ours",
    "langgraph-sqlite": "SQLite, langgraph-checkpoint-sqlite",
}
MEGABYTE = 1_000_000


def of_comparison(comparison: Comparison) -> str:
    """Return runs per second, their ratios, and latencies."""
    rows = [
        [
            str(at_once),
            NAMES[what],
            f"{load.runs_per_second:.0f}",
            f"{comparison.ratio(what, at_once, to='none'):.2f}",
            f"{comparison.ratio(what, at_once, to='SQLite'):.2f}",
            f"{load.p50_ms:.1f}",
            f"{load.p99_ms:.1f}",
            f"{load.cpu_ms:.1f}",
            f"{comparison.added_ms(at_once):+.1f}" if what == SERVER else "",
        ]
        for (what, at_once), load in sorted(comparison.loads.items(), key=lambda cell: cell[0][1])
    ]
    heads = ["at once", "what", "runs/s", "to none", "to SQLite", "p50 ms", "p99 ms", "CPU ms", "added ms p50"]
    note = f"The embedded planner itself is {comparison.model_ms:.2f} ms of every run."
    return f"{table(heads, rows)}\n\n{note}"


def of_starts(starts: Starts) -> str:
    """Return the seconds to the first healthy answer, and the slowest imports."""
    rows = [
        ["beside its services", f"{starts.with_services_seconds:.2f}"],
        ["while no service answers", f"{starts.without_services_seconds:.2f}"],
    ]
    slowest = ", ".join(f"{package} {spent:.0f} ms" for package, spent in starts.imports_ms.items())
    return f"{table(['start', 's to the first healthy answer'], rows)}\n\nSlowest imports: {slowest}."


def of_growth(growth: Growth) -> str:
    """Return memory before and after."""
    rows = [
        ["at the start", f"{growth.start_bytes / MEGABYTE:.1f} MB"],
        ["after the first 200 runs", f"{growth.warm_bytes / MEGABYTE:.1f} MB"],
        [f"after {growth.runs:,} more", f"{growth.end_bytes / MEGABYTE:.1f} MB"],
        ["growth per run", f"{growth.bytes_per_run / 1_000:.2f} kB"],
    ]
    return table(["memory", "resident"], rows)


def of_acts(acts: Acts) -> str:
    """Return latencies of real work."""
    rows = [[name, f"{p50:.1f}", f"{p99:.1f}"] for name, (p50, p99) in acts.rows().items()]
    return table(["one at a time", "p50 ms", "p99 ms"], rows)


def of_experiments(simulated: Simulation, loaded: Experimenting) -> str:
    """Return how far experiments can be believed, and what they cost."""
    users = f"{simulated.users_per_variant:,} users per variant"
    believed = [
        ["A/A called at any of 20 looks, the interval shown", f"{simulated.false_positives:.1%}"],
        ["the same, by a test made for one look", f"{simulated.false_positives_naive:.1%}"],
        [f"A/B found in one look, {users}", f"{simulated.power:.1%}"],
        ["the same in theory", f"{simulated.power_theory:.1%}"],
        ["A/B found by the interval shown, as many users", f"{simulated.power_sequential:.1%}"],
        ["the same with twice as many", f"{simulated.power_sequential_twice:.1%}"],
        ["A/B called the wrong way round", f"{simulated.mistaken:.1%}"],
    ]
    cost = [
        [f"{loaded.users:,} users assigned", f"{loaded.assign_seconds:.1f} s"],
        [f"{loaded.exposures:,} exposures recorded", f"{loaded.expose_seconds:.1f} s"],
        ["added up", f"{loaded.fold_seconds:.1f} s"],
        ["a run's variants, the user known (p50, p99)", _both(loaded.known_ms)],
        ["the same, read from the store", _both(loaded.read_ms)],
        ["the same, the user new", _both(loaded.first_ms)],
        ["results, the first of the process", f"{loaded.first_results_ms:.0f} ms"],
        ["results, every other", f"{loaded.results_ms:.1f} ms"],
    ]
    heads = [f"{simulated.experiments:,} experiments of each kind", "share"]
    return f"{table(heads, believed)}\n\n{table(['one experiment', 'time'], cost)}"


def _both(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.3f} ms, {pair[1]:.3f} ms"


def of_savers(saving: Saving) -> str:
    """Return what each saver costs, and how a thread grows on it."""
    loads = [
        [
            graph,
            str(at_once),
            SAVERS[saver],
            f"{found.runs_per_second:.0f}",
            *(f"{saving.ratio(graph, saver, at_once, to=to):.2f}" for to in (MEMORY, PACKAGE, PACKAGE_FILE)),
            f"{found.p50_ms:.1f}",
            f"{found.cpu_ms:.1f}",
        ]
        for graph in GRAPHS
        for (of, saver, at_once), found in sorted(saving.loads.items(), key=lambda cell: cell[0][2])
        if of == graph
    ]
    heads = ["graph", "at once", "checkpoints", "runs/s", "to memory", "to redis-json", "to package's SQLite"]
    turns = list(next(iter(saving.grown.values())).turn_ms)
    grown = [
        [
            SAVERS[saver],
            *(f"{each:.1f}" for each in found.turn_ms.values()),
            f"{found.turn_ms[turns[-1]] / found.turn_ms[turns[0]]:.2f}",
            f"{found.stored_bytes / 1_000:.0f}",
            f"{found.stored_bytes / found.said_bytes:.2f}",
        ]
        for saver, found in saving.grown.items()
    ]
    growing = ["a thread of our own graph", *(f"ms at turn {turn}" for turn in turns)]
    note = f"A run of our own graph: {saving.checkpoints} checkpoints, {saving.trips} round trips to Redis, its look at"
    return "\n\n".join(
        [
            table([*heads, "p50 ms", "CPU ms"], loads),
            table([*growing, "last to first", "kB stored", "to what was said"], grown),
            f"{note} the thread included.",
        ]
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with even columns."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (heads, *rows)
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
