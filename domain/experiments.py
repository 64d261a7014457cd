"""Experiments: variants of the agent's configuration, who takes part, and what makes a sound design."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from domain.actions import Frozen, Operation
from domain.canonical import JSON
from domain.conversation import Tuning
from domain.errors import InvalidInput
from domain.metrics import Declared, Metric, MetricName, metrics_of

type Status = Literal["draft", "running", "paused", "stopped"]
type Whole = Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
type Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
type Short = Annotated[str, Field(strict=True, max_length=200)]
type Scalar = Annotated[bool, Field(strict=True)] | Whole | Finite | Short
type AttributeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
type VariantName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
type Percentage = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]

MOST_STEPS = 50
MOST_VARIANTS = 10
ROUNDING = 0.005
"""How far each variant's weight may be rounded: three times 33.33 is 100."""


class VariantConfig(Frozen):
    """What a variant changes of the agent; what it does not name stays as the server has it."""

    model: str | None = Field(None, min_length=1, max_length=128)
    temperature: float | None = Field(None, strict=True, ge=0, le=2, allow_inf_nan=False)
    system_prompt: str | None = Field(None, min_length=1, max_length=8_000)
    max_steps: int | None = Field(None, strict=True, ge=1, le=MOST_STEPS)
    top_k: int | None = Field(None, strict=True, ge=1, le=20, description="How many passages are fetched")
    tools: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] | None = Field(
        None, max_length=100, description="The only operations offered: `service` or `service.operation`"
    )

    def given(self) -> dict[str, JSON]:
        """Return what it names, as JSON."""
        found: dict[str, JSON] = self.model_dump(mode="json", exclude_none=True)
        return found

    def tuning(self) -> Tuning | None:
        """Return what of it is for the language model."""
        found = Tuning(model=self.model, temperature=self.temperature, system_prompt=self.system_prompt)
        return None if found == Tuning() else found

    def offers(self, service: str, operation: str) -> bool:
        """Return whether an operation may be called under it."""
        return self.tools is None or service in self.tools or f"{service}.{operation}" in self.tools


class Variant(Frozen):
    """One configuration that a share of the users gets."""

    name: VariantName
    type: Literal["control", "treatment"]
    traffic_percentage: Percentage
    config: VariantConfig = VariantConfig()


class Namespace(Frozen):
    """A part of a line that experiments share out, so that no user is in two of them."""

    name: str = Field(min_length=1, max_length=64)
    start: float = Field(strict=True, ge=0, le=1, allow_inf_nan=False)
    end: float = Field(strict=True, ge=0, le=1, allow_inf_nan=False)

    def overlaps(self, other: "Namespace") -> bool:
        """Return whether some users would be in both."""
        return self.name == other.name and self.start < other.end and other.start < self.end


class Condition(Frozen):
    """What must hold for a user to take part; `at_least` and `below` compare numbers."""

    attribute: AttributeName
    operator: Literal["in", "not_in", "at_least", "below"]
    values: tuple[Scalar, ...] = Field(min_length=1, max_length=100)

    def check(self) -> None:
        """Return if somebody can meet it; raises `InvalidInput`."""
        numbers = not any(isinstance(each, str | bool) for each in self.values)
        if self.operator in ("at_least", "below") and not numbers:
            raise InvalidInput(f"The targeting's {self.operator} of {self.attribute} takes numbers only.")


class Phase(Frozen):
    """A time of constant weights, in the order of the variants; who is assigned in it stays what it is."""

    number: int
    weights: tuple[float, ...]
    user_percentage: float
    started_at: datetime
    reason: str = ""


class Kill(Frozen):
    """A time in which everybody had the server's own configuration; `until` is None while it lasts."""

    since: datetime
    until: datetime | None = None


class Conclusion(Frozen):
    """Why an experiment ended, and with what evidence.

    Args:
        winner: The variant to keep; None where there is none.
        by: The principal who stopped it, or `guardrail`.
        supported: Whether the statistics name the same winner.
    """

    winner: str | None
    reason: str
    by: str
    supported: bool
    evidence: dict[str, Any]


def _listed(given: object) -> object:
    if isinstance(given, dict):
        raise ValueError("`variants` is a list of objects with a `name` each, not a dictionary")  # noqa: TRY004 # pydantic tells it
    return given


def _enough(given: "tuple[Variant, ...]") -> "tuple[Variant, ...]":
    """Return variants that are as many as there may be; asked only when each of them is one."""
    if not 2 <= len(given) <= MOST_VARIANTS:
        raise ValueError(f"`variants` has at least 2 items and at most {MOST_VARIANTS}, not {len(given)}")
    return given


type Listed = Annotated[
    tuple[Variant, ...],
    BeforeValidator(_listed),
    AfterValidator(_enough),
    Field(json_schema_extra={"minItems": 2, "maxItems": MOST_VARIANTS}),
]
"""The variants of a design, the control among them."""


class Design(Frozen):
    """What an experiment is to find out, and how."""

    name: str = Field(min_length=1, max_length=200, pattern=r"\S")
    description: str = Field("", max_length=4_000)
    hypothesis: str = Field("", max_length=4_000)
    metric: MetricName = Field(
        description="What decides: a run's own metric, or one that conversions are tracked under"
    )
    metrics: tuple[Declared, ...] = Field((), max_length=20, description="Further metrics of conversions")
    guardrails: tuple[MetricName, ...] = Field(
        ("error_rate",), max_length=20, description="Metrics that stop the experiment when one is clearly worse"
    )
    minimum_sample: int = Field(
        100, strict=True, ge=10, le=10_000_000, description="Users per variant before any verdict"
    )
    minimum_effect: float = Field(
        0.1,
        strict=True,
        gt=0,
        le=10,
        allow_inf_nan=False,
        description="The relative change worth finding, for planning",
    )
    conversion_window_days: float = Field(30, strict=True, gt=0, le=3_650, allow_inf_nan=False)
    user_percentage: Percentage = 100
    holdout_percentage: Percentage = Field(
        0, description="Users kept out of every experiment that says so, for comparing"
    )
    seed: str = Field("", max_length=128, description="Of the hash; its own id unless given")
    namespace: Namespace | None = None
    targeting: tuple[Condition, ...] = Field((), max_length=20, description="All of them must hold")
    variants: Listed

    def check(self) -> None:
        """Return if the design makes sense; raises `InvalidInput` that says what does not."""
        names = [each.name for each in self.variants]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidInput(f"Two variants are named {twice[0]}.")
        if (controls := sum(each.type == "control" for each in self.variants)) != 1:
            raise InvalidInput(f"Exactly one variant must be of type control; there are {controls or 'none'}.")
        check_weights([each.traffic_percentage for each in self.variants])
        if self.namespace and self.namespace.start >= self.namespace.end:
            raise InvalidInput("A namespace's `start` must be below its `end`.")
        if len({each.name for each in self.metrics}) < len(self.metrics):
            raise InvalidInput("Two metrics have the same name.")
        metrics_of(self.metric, self.metrics, self.guardrails)
        for each in self.targeting:
            each.check()


def check_weights(weights: Sequence[float]) -> None:
    """Return if weights are percentages of one whole; raises `InvalidInput`."""
    if abs(sum(weights) - 100) > ROUNDING * len(weights) + 1e-9:
        raise InvalidInput(f"The variants' traffic_percentage sum to {sum(weights):g}, not to 100.")
    if not all(weights):
        raise InvalidInput("A variant with a traffic_percentage of 0 can never be compared; leave it out.")


class Experiment(Design):
    """The record of an experiment.

    Args:
        version: Grows with every change; its ETag.
        killed: Whether everybody gets the server's own configuration, whatever they were assigned.
        kills: When it was killed, and until when; records of older versions do not know.
        forced: Variants of testers, by user id; nothing they do is counted.
    """

    experiment_id: str
    status: Status = "draft"
    killed: bool = False
    kills: tuple[Kill, ...] = ()
    version: int = 1
    forced: dict[str, str] = Field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    created_by: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    conclusion: Conclusion | None = None

    @property
    def phase(self) -> Phase:
        """The weights in force."""
        return self.phases[-1]

    def is_tester(self, user_id: int) -> bool:
        """Return whether somebody has put the user on a variant."""
        return str(user_id) in self.forced

    def was_killed(self, at: datetime) -> bool:
        """Return whether nobody had a variant at a time, because it was killed."""
        if self.killed and not self.kills:
            return True
        return any(each.since <= at and (each.until is None or at < each.until) for each in self.kills)

    @property
    def control(self) -> Variant:
        """The variant others are compared with."""
        return next(each for each in self.variants if each.type == "control")

    @property
    def all_metrics(self) -> dict[str, Metric]:
        """Every metric by name, the primary one first."""
        return metrics_of(self.metric, self.metrics, self.guardrails)

    @property
    def varies(self) -> set[str]:
        """The parts of the configuration that it decides."""
        return {key for each in self.variants for key in each.config.given()}

    def variant(self, name: str) -> Variant:
        """Return a variant; raises `InvalidInput`."""
        for each in self.variants:
            if each.name == name:
                return each
        raise InvalidInput(f"There is no variant {name}; there are {', '.join(each.name for each in self.variants)}.")

    def oddities(self) -> list[str]:
        """Return what its designer may not have meant, in a sentence each."""
        found = []
        if not self.user_percentage or self.holdout_percentage == 100:
            found.append("Nobody takes part: user_percentage is 0, or holdout_percentage 100.")
        if all(each.config == self.control.config for each in self.variants):
            found.append("All variants have the same configuration: this only tests the experiment itself (A/A).")
        return found

    def check_tools(self, operations: Sequence[Operation]) -> None:
        """Return if every tool named is one; raises `InvalidInput`."""
        known = {each.service for each in operations} | {f"{each.service}.{each.name}" for each in operations}
        for variant in self.variants:
            if unknown := sorted(set(variant.config.tools or ()) - known):
                raise InvalidInput(f"{variant.name}: {unknown[0]} is no service or operation of this server.")
