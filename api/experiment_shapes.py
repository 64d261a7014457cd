"""The JSON of the experiments' routes, as the API document describes it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Header, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.shapes import Given, Id, Limit, Text
from domain.experiments import (
    Condition,
    Design,
    Experiment,
    Listed,
    Namespace,
    Percentage,
    Status,
    VariantConfig,
    VariantName,
)
from domain.metrics import Declared, MetricName

EXAMPLE: dict[str, Any] = {
    "name": "calmer answers",
    "description": "Does a lower temperature help people to finish?",
    "hypothesis": "Users get what they came for more often when the model is calmer.",
    "metric": "conversion",
    "user_percentage": 100,
    "variants": [
        {"name": "control", "type": "control", "traffic_percentage": 50, "config": {"temperature": 0.7}},
        {"name": "calm", "type": "treatment", "traffic_percentage": 50, "config": {"temperature": 0.2}},
    ],
}

PAIR = r"[A-Za-z][A-Za-z0-9_-]{0,63}=[^=,]*"

type ExperimentId = Annotated[str, Path(description="The `experiment_id` of an answer")]
type UserId = Annotated[int, Path(ge=0, le=2**53 - 1, description="The user, as in a message")]
type IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"[0-9]{1,9}"$',
        description="The `ETag` that was read: what has changed since is not overwritten",
    ),
]
type Percentages = Annotated[dict[VariantName, Percentage], Field(min_length=2, max_length=10)]


class ExperimentIn(Design):
    """A design. `variants` is a list with one control; `config` names what differs from the server's own."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})


class ExperimentPatchIn(Given):
    """What to change: of a running experiment its words, of a draft everything."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "Seen in support."}]})

    name: str = Field("", min_length=1, max_length=200, pattern=r"\S")
    description: str = Field("", max_length=4_000)
    hypothesis: str = Field("", max_length=4_000)
    metric: MetricName = ""
    metrics: tuple[Declared, ...] = Field((), max_length=20)
    guardrails: tuple[MetricName, ...] = Field((), max_length=20)
    minimum_sample: int = Field(100, strict=True, ge=10, le=10_000_000)
    minimum_effect: float = Field(0.1, strict=True, gt=0, le=10, allow_inf_nan=False)
    conversion_window_days: float = Field(30, strict=True, gt=0, le=3_650, allow_inf_nan=False)
    user_percentage: Percentage = 100
    holdout_percentage: Percentage = 0
    seed: str = Field("", max_length=128)
    namespace: Namespace | None = None
    targeting: tuple[Condition, ...] = Field((), max_length=20)
    variants: Listed = ()

    def changes(self) -> dict[str, Any]:
        """Return what was really given."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class ExperimentsIn(Given):
    """Which experiments to list."""

    status: Status | None = None
    before: Text | None = Field(None, description="The `next` of the page before")
    limit: Limit = 20


class ExperimentsOut(BaseModel):
    """A page of experiments, newest first; `next` is the `before` of the page that follows."""

    experiments: list[Experiment]
    next: str | None


class StartedOut(Experiment):
    """The experiment, and what its designer should know."""

    warnings: list[str]


class PhaseIn(Given):
    """Weights from now on, by variant; who is assigned stays where they are."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"weights": {"control": 20, "calm": 80}, "reason": "It looks safe."}]}
    )

    weights: Percentages
    user_percentage: Percentage | None = None
    reason: str = Field("", max_length=500)


class ForceIn(Given):
    """Which variant a tester gets."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"variant_name": "calm"}]})

    variant_name: VariantName


class KillIn(Given):
    """Whether everybody is to have the server's own configuration."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"killed": True}]})

    killed: bool = True


KILL = KillIn(killed=True)


class VariantIn(Given):
    """For whom, and whether it counts."""

    owner: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Whose user it is, for operators; your own unless given"
    )
    expose: bool = Field(True, description="false only looks: the user has not met the variant")
    attributes: str | None = Field(
        None,
        pattern=rf"^{PAIR}(,{PAIR})*$",
        max_length=2_000,
        description="What targeting may ask for, such as `country=DE,age=42,beta=true`; `42` fits 42 and the text `42`",
    )


class AssignmentOut(BaseModel):
    """A user's variant; `reason` says why there is one, or none."""

    experiment_id: str
    user_id: Id
    variant_name: str | None
    variant_config: VariantConfig | None
    assigned: bool
    reason: str


class StopIn(Given):
    """How it ends. Without a `winner` the figures decide; without a `reason` they give it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"winner": "calm", "reason": "It is better."}]})

    winner: VariantName | None = None
    reason: str = Field("", max_length=2_000)


STOP = StopIn(winner=None, reason="")


class ConversionIn(Given):
    """What a user did. The same `event_id` of the same user and metric again counts once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": 42, "metric": "conversion", "value": 1}]})

    user_id: Id
    owner: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Whose user it is, for operators; your own unless given"
    )
    metric: MetricName | None = Field(None, description="The experiment's own unless given")
    value: float = Field(
        1, ge=0, le=1e9, allow_inf_nan=False, description="Of a proportion, 0 says that it did not happen"
    )
    event_id: str | None = Field(None, min_length=1, max_length=128)
    occurred_at: AwareDatetime | None = Field(None, description="Now unless given")


class ConversionOut(BaseModel):
    """What became of it. A repeated one stays as it was told first.

    `tracked` says whether it was recorded, `counted` whether it counts; where it does not, `reason` says why: `late`,
    `killed`, `forced` for a tester, `switched_off`.
    """

    experiment_id: str
    user_id: Id
    variant_name: str | None
    metric: str
    value: float
    event_id: str
    tracked: bool
    late: bool
    repeated: bool
    counted: bool
    reason: str | None


class ExperimentOut(Experiment):
    """The experiment, and what it has shown so far; `verdict` says it in words.

    Every `interval` is one of 95 % that holds at every look; `one_look` is what a test says that is made once.
    """

    results: dict[str, Any]


class StoppedOut(Experiment):
    """The experiment as it ended: the winner, or null, and why."""

    winner: str | None
    reason: str


class SummaryOut(BaseModel):
    """All experiments in a few figures, and those that run."""

    total: int
    by_status: dict[str, int]
    winners: int
    running: list[dict[str, Any]]


class ExportIn(Given):
    """In which form."""

    format: Literal["csv", "json"] = "json"


class ExperimentsHealthOut(BaseModel):
    """Whether experiments work, and where they are kept."""

    status: str
    enabled: bool
    storage: str
    mode: str
    running: int
    timestamp: datetime
