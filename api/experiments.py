"""Experiments: which configuration of the agent does best, and how sure that is."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from api.access import Caller, Opened
from api.document import refusals
from api.experiment_shapes import (
    KILL,
    STOP,
    AssignmentOut,
    ConversionIn,
    ConversionOut,
    ExperimentId,
    ExperimentIn,
    ExperimentOut,
    ExperimentPatchIn,
    ExperimentsHealthOut,
    ExperimentsIn,
    ExperimentsOut,
    ForceIn,
    IfMatch,
    KillIn,
    PhaseIn,
    StartedOut,
    StopIn,
    StoppedOut,
    SummaryOut,
    UserId,
    VariantIn,
)
from checkpoints.conversions import Conversion
from domain.assignment import Untyped, Who
from domain.errors import Forbidden, VersionNeeded
from domain.experiments import Experiment
from domain.principals import Principal

router = APIRouter(prefix="/experiments", tags=["experiments"])


@router.post("", status_code=201, response_model=Experiment)
async def create_experiment(given: ExperimentIn, container: Opened, principal: Caller) -> Response:
    """Record a draft; nothing happens before it is started."""
    principal.require("operator")
    experiment = await container.trials.design(given, by=principal.name)
    answer = shown(experiment, status=201)
    answer.headers["Location"] = f"/experiments/{experiment.experiment_id}"
    return answer


@router.get("", response_model=ExperimentsOut)
async def list_experiments(given: Annotated[ExperimentsIn, Query()], container: Opened, principal: Caller) -> Response:
    """List experiments, newest first."""
    principal.require("operator")
    statuses = [given.status] if given.status else []
    found = await container.trials.experiments.listed(statuses=statuses, before=given.before, limit=given.limit)
    last = found[-1].experiment_id if len(found) == given.limit else None
    return JSONResponse({"experiments": [each.model_dump(mode="json") for each in found], "next": last})


@router.get("/health", response_model=ExperimentsHealthOut)
async def get_experiments_health(container: Opened, principal: Caller) -> Response:
    """Tell whether experiments work, and where they are kept."""
    principal.require("operator", "approver", "user")
    return JSONResponse(await container.status.experiments(running=len(container.trials.experiments.live)))


@router.get("/stats/summary", response_model=SummaryOut)
async def summarize_experiments(container: Opened, principal: Caller) -> Response:
    """Return all experiments in a few figures."""
    principal.require("operator")
    return JSONResponse(await container.trials.evidence.summary())


@router.get("/{experiment_id}", response_model=ExperimentOut, responses=refusals(404))
async def get_experiment(experiment_id: ExperimentId, container: Opened, principal: Caller) -> Response:
    """Return an experiment with its results per variant, and what they mean."""
    principal.require("operator")
    experiment = await container.trials.experiments.get(experiment_id)
    return shown(experiment, results=await container.trials.evidence.of(experiment))


@router.patch("/{experiment_id}", response_model=Experiment, responses=refusals(404, 409, 412, 428))
async def edit_experiment(
    experiment_id: ExperimentId,
    given: ExperimentPatchIn,
    container: Opened,
    principal: Caller,
    if_match: IfMatch = None,
) -> Response:
    """Change a draft, or the words of a running experiment; `If-Match` must name the version that was read."""
    principal.require("operator")
    version = version_of(if_match)
    if version is None:
        raise VersionNeeded("Send If-Match with the ETag of the experiment you have read.")
    return shown(await container.trials.edit(experiment_id, given.changes(), version=version))


@router.delete("/{experiment_id}", status_code=204, responses=refusals(404, 409, 412))
async def delete_experiment(
    experiment_id: ExperimentId, container: Opened, principal: Caller, if_match: IfMatch = None
) -> Response:
    """Remove a draft; what has been started is kept."""
    principal.require("operator")
    await container.trials.experiments.delete_draft(experiment_id, version=version_of(if_match))
    return Response(status_code=204)


@router.post("/{experiment_id}/start", response_model=StartedOut, responses=refusals(404, 409, 412))
async def start_experiment(
    experiment_id: ExperimentId, container: Opened, principal: Caller, if_match: IfMatch = None
) -> Response:
    """Start a draft: from now on users get its variants."""
    principal.require("operator")
    started, warnings = await container.trials.start(
        experiment_id, operations=container.services.operations(), version=version_of(if_match)
    )
    return shown(started, warnings=warnings)


@router.post("/{experiment_id}/pause", response_model=Experiment, responses=refusals(404, 409, 412))
async def pause_experiment(
    experiment_id: ExperimentId, container: Opened, principal: Caller, if_match: IfMatch = None
) -> Response:
    """Let nobody new in; who has a variant keeps it."""
    principal.require("operator")
    return shown(await container.trials.pause(experiment_id, version=version_of(if_match)))


@router.post("/{experiment_id}/resume", response_model=Experiment, responses=refusals(404, 409, 412))
async def resume_experiment(
    experiment_id: ExperimentId, container: Opened, principal: Caller, if_match: IfMatch = None
) -> Response:
    """Let users in again."""
    principal.require("operator")
    return shown(await container.trials.resume(experiment_id, version=version_of(if_match)))


@router.post("/{experiment_id}/stop", response_model=StoppedOut, responses=refusals(404, 409, 412))
async def stop_experiment(
    experiment_id: ExperimentId,
    container: Opened,
    principal: Caller,
    given: StopIn = STOP,
    if_match: IfMatch = None,
) -> Response:
    """End an experiment for good: it names the winner, or says why there is none, with the evidence."""
    principal.require("operator")
    stopped = await container.trials.evidence.stop(
        experiment_id, by=principal.name, version=version_of(if_match), **given.model_dump()
    )
    ended = stopped.conclusion
    return shown(stopped, winner=ended.winner if ended else None, reason=ended.reason if ended else "")


@router.post("/{experiment_id}/kill", response_model=Experiment, responses=refusals(404, 409, 412))
async def kill_experiment(
    experiment_id: ExperimentId,
    container: Opened,
    principal: Caller,
    given: KillIn = KILL,
    if_match: IfMatch = None,
) -> Response:
    """Give everybody the server's own configuration from the next run on; `{"killed": false}` takes it back."""
    principal.require("operator")
    return shown(await container.trials.kill(experiment_id, on=given.killed, version=version_of(if_match)))


@router.post("/{experiment_id}/phases", response_model=Experiment, responses=refusals(404, 409, 412))
async def begin_phase(
    experiment_id: ExperimentId, given: PhaseIn, container: Opened, principal: Caller, if_match: IfMatch = None
) -> Response:
    """Change weights from now on: a new phase, judged beside the ones before; who is assigned stays."""
    principal.require("operator")
    return shown(await container.trials.rephase(experiment_id, version=version_of(if_match), **given.model_dump()))


@router.put("/{experiment_id}/forced/{user_id}", response_model=Experiment, responses=refusals(404, 409, 412))
async def force_variant(
    experiment_id: ExperimentId,
    user_id: UserId,
    given: ForceIn,
    container: Opened,
    principal: Caller,
    if_match: IfMatch = None,
) -> Response:
    """Put a tester on a variant; nothing the tester does is counted."""
    principal.require("operator")
    version = version_of(if_match)
    return shown(await container.trials.force(experiment_id, user_id, given.variant_name, version=version))


@router.delete("/{experiment_id}/forced/{user_id}", response_model=Experiment, responses=refusals(404, 409, 412))
async def release_variant(
    experiment_id: ExperimentId, user_id: UserId, container: Opened, principal: Caller, if_match: IfMatch = None
) -> Response:
    """Let a tester be a user like others again."""
    principal.require("operator")
    return shown(await container.trials.force(experiment_id, user_id, None, version=version_of(if_match)))


@router.get("/{experiment_id}/variant/{user_id}", response_model=AssignmentOut, responses=refusals(404))
async def get_variant(
    experiment_id: ExperimentId,
    user_id: UserId,
    given: Annotated[VariantIn, Query()],
    container: Opened,
    principal: Caller,
) -> Response:
    """Return a user's variant, the same at every call; the first one counts as the user's meeting it."""
    principal.require("user")
    who = Who(owner_of(given.owner, principal), user_id, _attributes(given.attributes))
    experiment, placed = await container.trials.variant(experiment_id, who, expose=given.expose)
    config = experiment.variant(placed.variant).config.given() if placed.variant else None
    assigned = {"variant_name": placed.variant, "variant_config": config, "assigned": placed.variant is not None}
    return JSONResponse({"experiment_id": experiment_id, "user_id": user_id, **assigned, "reason": placed.reason})


@router.post("/{experiment_id}/track/conversion", response_model=ConversionOut, responses=refusals(404, 409))
async def track_conversion(
    experiment_id: ExperimentId, given: ConversionIn, container: Opened, principal: Caller
) -> Response:
    """Record what a user did after meeting the variant."""
    principal.require("user")
    who = Who(owner_of(given.owner, principal), given.user_id)
    metric = given.metric or (await container.trials.experiments.get(experiment_id)).metric
    told = Conversion(
        metric=metric,
        value=given.value,
        event_id=given.event_id or uuid4().hex,
        occurred_at=given.occurred_at or container.clock(),
    )
    tracked = await container.trials.evidence.track(experiment_id, who, told)
    event = {"metric": metric, "value": tracked.value, "event_id": told.event_id, "tracked": tracked.recorded}
    counted = {"counted": tracked.uncounted is None, "reason": tracked.uncounted}
    outcome = {"variant_name": tracked.variant, "late": tracked.uncounted == "late", "repeated": tracked.repeated}
    return JSONResponse({"experiment_id": experiment_id, "user_id": given.user_id, **event, **outcome, **counted})


def shown(experiment: Experiment, *, status: int = 200, **more: Any) -> Response:
    """Return an experiment, its version as `ETag`."""
    body = {**experiment.model_dump(mode="json"), **more}
    return JSONResponse(body, status, headers={"ETag": f'"{experiment.version}"'})


def version_of(if_match: str | None) -> int | None:
    """Return the version an `If-Match` names."""
    return int(if_match.strip('"')) if if_match else None


def owner_of(given: str | None, principal: Principal) -> str:
    """Return whose user is meant; raises `Forbidden` for another principal's, which only operators may name."""
    if given and given != principal.name and "operator" not in principal.roles:
        raise Forbidden("Only an operator may ask for another principal's users.")
    return given or principal.name


def _attributes(text: str | None) -> dict[str, Untyped]:
    pairs = [each.partition("=") for each in text.split(",")] if text else []
    return {name: Untyped(value) for name, _, value in pairs}
