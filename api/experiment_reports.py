"""Experiments to read and to take away: a page with plots, and the counters as CSV or JSON."""

import csv
import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, JSONResponse

from api.access import Caller, Opened, Viewer
from api.document import refusals
from api.experiment_shapes import ExperimentId, ExportIn
from api.plots import ROW, bands, levels, split
from api.reference import PAGES, hashed
from domain.comparing import history
from domain.experiments import Experiment
from domain.tallies import SIX

router = APIRouter(prefix="/experiments", tags=["experiments"])

type Json = dict[str, Any]
type Days = Sequence[Mapping[str, Any]]

COLUMNS = ("experiment_id", "phase", "variant", "day", "users", "exposures", "late_conversions", "metric", *SIX)
FORMS: dict[int | str, Json] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.get("/{experiment_id}/report", response_class=HTMLResponse, responses=refusals(404))
async def show_report(experiment_id: ExperimentId, container: Opened, principal: Viewer) -> Response:
    """Show an experiment as a page: the verdict, intervals over time, the split of users, every metric."""
    principal.require("operator")
    experiment = await container.trials.experiments.get(experiment_id)
    found = await container.trials.evidence.of(experiment)
    days = await container.trials.evidence.days(experiment)
    return HTMLResponse(page(experiment, found, days), headers=_guarded())


@router.get("/{experiment_id}/export", responses=FORMS | refusals(404))
async def export_experiment(
    experiment_id: ExperimentId, given: Annotated[ExportIn, Query()], container: Opened, principal: Caller
) -> Response:
    """Return the counters by phase, variant, day and metric: sums over users, from which every figure follows."""
    principal.require("operator")
    experiment = await container.trials.experiments.get(experiment_id)
    rows = [row for day in await container.trials.evidence.days(experiment) for row in _rows(day)]
    if given.format == "json":
        return JSONResponse({"experiment": experiment.model_dump(mode="json"), "rows": rows})
    attached = {"Content-Disposition": f'attachment; filename="{experiment.experiment_id}.csv"'}
    return Response(_csv(rows), media_type="text/csv", headers=attached)


def page(experiment: Experiment, found: Json, days: Days) -> str:
    """Return the report; everything that varies is escaped."""
    shown = levels(found["variants"])
    users = {each["name"]: each["users"] for each in found["variants"]}
    return str(
        _template().render(
            experiment=experiment,
            results=found,
            style=_style(),
            bands=bands(history(experiment, days)),
            split=split(users, found["sample_ratio"]["expected_users"]),
            levels=shown,
            height=ROW * sum(1 + len(each.bars) for each in shown) + 8,
            rows=list(_table(found)),
        )
    )


def _table(found: Json) -> list[Json]:
    """Return a row for each metric of each variant, in the metrics' order."""
    compared = {(each["metric"], each["variant"]): each for each in found["comparisons"]}
    names = dict.fromkeys(name for each in found["variants"] for name in each["metrics"])
    return [
        _row(name, variant["name"], variant["metrics"][name], compared.get((name, variant["name"])))
        for name in names
        for variant in found["variants"]
        if name in variant["metrics"]
    ]


def _row(metric: str, variant: str, figures: Json, compared: Json | None) -> Json:
    row = {"metric": metric, "variant": variant, "value": f"{figures['value']:.4g}", "users": f"{figures['users']:,}"}
    if compared is None:
        return {**row, "difference": "", "interval": "", "chance": "", "judgement": ""}
    interval = compared["interval"]
    return {
        **row,
        "difference": f"{compared['difference']:+.3g}",
        "interval": f"{interval[0]:+.3g} … {interval[1]:+.3g}" if interval else "",
        "chance": f"{compared['chance_to_win']:.1%}",
        "judgement": compared["judgement"],
    }


def _rows(day: Mapping[str, Any]) -> list[Json]:
    about = {
        **{name: day[name] for name in ("experiment_id", "phase", "variant", "day")},
        "users": day.get("users", 0),
        "exposures": day.get("exposures", 0),
        "late_conversions": day.get("late", 0),
    }
    sums = day.get("sums", {})
    return [{**about, "metric": name, **{each: six.get(each, 0) for each in SIX}} for name, six in sums.items()] or [
        {**about, "metric": "", **dict.fromkeys(SIX, 0)}
    ]


def _csv(rows: Sequence[Json]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined  # not needed to start

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string((PAGES / "report.html").read_text(encoding="utf-8"))


@cache
def _style() -> Any:
    from markupsafe import Markup

    return Markup((PAGES / "report.css").read_text(encoding="utf-8"))  # noqa: S704 # a file of ours


@cache
def _guarded() -> dict[str, str]:
    """Return headers under which the page can do nothing but show itself."""
    rules = ("default-src 'none'", f"style-src {hashed(str(_style()))}", "base-uri 'none'", "form-action 'none'")
    policy = "; ".join((*rules, "frame-ancestors 'none'"))
    return {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
