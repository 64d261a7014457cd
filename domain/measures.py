"""What a run of a variant's user is measured by, taken from what the run has left anyway."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from domain.approvals import OVER
from domain.runs import Run, RunStatus
from domain.variants import use_of

type Measures = dict[str, tuple[float, float]]
"""For each metric over how many events, and the total of their values."""

REFUSED_BY_BREAKER = "refused by the circuit breaker"
"""Of the words of `checkpoints.circuits.local` for a call that an open breaker kept back."""

ENDED = ("completed", "failed")


def outcome(run: Run, status: RunStatus, values: Mapping[str, Any], reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run's record keeps for the experiments, mark and all; nothing where the run had no variants."""
    variants = values.get("variants")
    if not variants:
        return {}
    measures = run_measures(values, reply, status) if status in ENDED else {}
    return {
        "variants": variants,
        "measures": {name: list(pair) for name, pair in measures.items()},
        "unmeasured": "ended" if status in ENDED else "exposed",
    }


def run_measures(values: Mapping[str, Any], reply: Mapping[str, Any], status: RunStatus) -> Measures:
    """Return what one ended run says by itself.

    Of `breaker_refusals` these are the calls that failed by it; those that only waited are in the ledger.
    """
    results = list((values.get("results") or {}).values())
    failures = [each for each in results if each["outcome"] in ("failed", "unknown")]
    notices = reply.get("degraded", [])
    found: Measures = {
        "error_rate": _share(status == "failed" or bool(failures)),
        "breaker_refusals": (1, sum(REFUSED_BY_BREAKER in each["body"] for each in failures)),
        "degraded_rate": _share(any(each["mode"] == "degraded" for each in notices)),
        "actions_per_run": (1, len(values.get("actions") or [])),
    }
    if use := use_of(values["variants"]):
        found["config_mismatch_rate"] = _share(bool(use.mismatched))
        found["config_without_effect_rate"] = _share(bool(use.without_effect))
        if use.missed is not None:
            found["retrieval_miss_rate"] = _share(use.missed)
        if use.tokens is not None:
            found["tokens"] = (1, use.tokens)
    return found


def approval_measures(requests: Iterable[Mapping[str, Any]]) -> Measures:
    """Return what a run's requests to humans say; every rate but the first is taken over requests."""
    asked = list(requests)
    found: Measures = {"approval_asked_rate": _share(bool(asked))}
    if not asked:
        return found
    verdicts = [each["verdict"]["approved"] for each in asked if each.get("verdict")]
    counts = {
        "approved": sum(verdicts),
        "rejected": len(verdicts) - sum(verdicts),
        "edited": sum(bool(each.get("revision")) for each in asked),
        "expired": sum(each["state"] == "expired" for each in asked),
    }
    found |= {f"approval_{name}_rate": (len(asked), count) for name, count in counts.items()}
    decided = [each for each in asked if each.get("verdict")]
    seconds = [(until - since).total_seconds() for since, until in _waits(decided)]
    return {**found, "decide_seconds": (len(seconds), sum(seconds))} if seconds else found


def latency_ms(begun: datetime, ended: datetime, requests: Iterable[Mapping[str, Any]]) -> float:
    """Return how long a run took, in milliseconds, without the time in which it waited for humans, answered or not."""
    waited, covered = 0.0, begun
    for since, until in sorted(_waits(requests)):
        start = max(since, covered)
        if until > start:
            waited += (until - start).total_seconds()
            covered = until
    return max((ended - begun).total_seconds() - waited, 0.0) * 1_000


def _waits(requests: Iterable[Mapping[str, Any]]) -> list[tuple[datetime, datetime]]:
    """Return from when until when each request that no longer waits did wait for somebody."""
    ended = [(each["created_at"], _until(each)) for each in requests]
    return [(since, until) for since, until in ended if until and until >= since]


def _until(request: Mapping[str, Any]) -> datetime | None:
    """Return when a request was decided, or ended without that; None while it waits."""
    if verdict := request.get("verdict"):
        decided: datetime = verdict["decided_at"]
        return decided
    ends = [each["at"] for each in request.get("trail", ()) if each["what"] in OVER]
    if not ends and request["state"] == "expired":  # records from before there was a trail
        ends = [request["expires_at"]]
    return ends[-1] if ends else None


def _share(holds: bool) -> tuple[float, float]:
    return 1, float(holds)
