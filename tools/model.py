"""The language-model port: what nodes ask, how it may be tuned, and what answers while it is down."""

from collections.abc import Callable
from typing import Literal, Protocol

from pydantic import Field

from domain.actions import Frozen
from domain.conversation import Decision, Notice, OnToken, Tuning, Turn
from domain.errors import ModelError, ModelUnavailable

QUIET_SECONDS = 5.0


class ModelOptions(Frozen):
    """How a language model is asked; an experiment may vary them from run to run.

    Args:
        model: The name the model server knows it by, such as `qwen3:1.7b`.
        temperature: 0 is nearly deterministic.
        num_ctx: The model's context in tokens, prompt and answer together; a longer prompt is cut by the server.
        system_prompt: Instead of our own opening; the rules about untrusted data are always added.
    """

    model: str = Field(min_length=1)
    temperature: float = Field(default=0.3, ge=0, le=2)
    num_ctx: int = Field(default=8192, ge=256)
    system_prompt: str | None = None

    def tuned(self, tuning: Tuning | None) -> "ModelOptions":
        """Return the options as a run's variants want them."""
        return self.model_copy(update=tuning.model_dump(exclude_none=True)) if tuning else self


class ModelTimeouts(Frozen):
    """How long a model may take, in seconds.

    Args:
        connect: Until the connection stands.
        read: Between two pieces of an answer.
        total: For the whole answer.
        health: For the question whether it is there.
    """

    connect: float = Field(default=2.0, gt=0)
    read: float = Field(default=60.0, gt=0)
    total: float = Field(default=120.0, gt=0)
    health: float = Field(default=1.0, gt=0)


class ModelHealth(Frozen):
    """Whether the language model can be asked.

    Args:
        reachable: The model server answers.
        present: It holds the model.
        detail: One sentence for people, with the remedy where there is one.
    """

    mode: Literal["networked", "embedded", "degraded"]
    reachable: bool
    present: bool
    detail: str


def missing(model: str) -> str:
    """Return the sentence for a model that the server does not hold, with the remedy."""
    return f"model {model} is not on the server; run: ollama pull {model}"


class Model(Protocol):
    """Decides what a run does next."""

    @property
    def name(self) -> str:
        """Who answers, as shown to people."""

    async def decide(self, turn: Turn, *, on_token: OnToken) -> Decision:
        """Return calls to make or a text, whose pieces went to `on_token`; raises `ModelError`."""


class TunableModel(Protocol):
    """A model that takes options and tells its health."""

    @property
    def name(self) -> str:
        """Who answers, as shown to people."""

    async def decide(self, turn: Turn, *, on_token: OnToken, options: ModelOptions | None = None) -> Decision:
        """Return calls to make or a text, whose pieces went to `on_token`; raises `ModelError`."""

    async def health(self) -> ModelHealth:
        """Return whether the model can be asked now; never raises."""


class LoneModel:
    """A model nothing was configured for: it has no options and is always there."""

    def __init__(self, model: Model, *, detail: str) -> None:
        self._model = model
        self._health = ModelHealth(mode="embedded", reachable=True, present=True, detail=detail)

    @property
    def name(self) -> str:
        """Who answers, as shown to people."""
        return self._model.name

    async def decide(self, turn: Turn, *, on_token: OnToken, options: ModelOptions | None = None) -> Decision:
        """Return what the model decides, whatever the options."""
        return await self._model.decide(turn, on_token=on_token)

    async def health(self) -> ModelHealth:
        """Return that nothing else was configured."""
        return self._health


class AbsentModel:
    """A model that cannot be asked while this process lives."""

    def __init__(self, name: str, *, reason: str) -> None:
        self.name = name
        self._reason = reason

    async def decide(self, turn: Turn, *, on_token: OnToken, options: ModelOptions | None = None) -> Decision:
        """Raise `ModelUnavailable`."""
        raise ModelUnavailable(self._reason)

    async def health(self) -> ModelHealth:
        """Return why it cannot be asked."""
        return ModelHealth(mode="degraded", reachable=False, present=False, detail=self._reason)


class FallbackModel:
    """Asks one model and lets another answer while the first cannot, and says so in the decision.

    Args:
        clock: Seconds that only grow.
        quiet_seconds: How long an unavailable model is not asked again, so that not every run waits for it.
    """

    def __init__(
        self,
        primary: TunableModel,
        fallback: Model,
        *,
        clock: Callable[[], float],
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._primary = primary
        self._fallback = fallback
        self._clock = clock
        self._quiet_seconds = quiet_seconds
        self._quiet: dict[str, tuple[float, str]] = {}

    @property
    def name(self) -> str:
        """Who answers while all is well."""
        return self._primary.name

    async def health(self) -> ModelHealth:
        """Return the first model's health."""
        return await self._primary.health()

    async def decide(self, turn: Turn, *, on_token: OnToken, options: ModelOptions | None = None) -> Decision:
        """Return the first model's decision, or the second's with a notice why."""
        key = options.model if options else (turn.tuning and turn.tuning.model) or ""
        until, reason = self._quiet.get(key, (0.0, ""))
        if self._clock() < until:
            return await self._instead(turn, on_token, reason)
        spoken = _Spoken(on_token)
        try:
            decision = await self._primary.decide(turn, on_token=spoken, options=options)
        except ModelError as error:
            self._note(key, error)
            await spoken.break_off()
            return await self._instead(turn, on_token, error.detail)
        self._quiet.pop(key, None)
        return decision

    def _note(self, key: str, error: ModelError) -> None:
        """Leave an unavailable model alone for a while; a bad answer says nothing about the next one."""
        if isinstance(error, ModelUnavailable):
            self._quiet[key] = (self._clock() + self._quiet_seconds, error.detail)

    async def _instead(self, turn: Turn, on_token: OnToken, reason: str) -> Decision:
        decision = await self._fallback.decide(turn, on_token=on_token)
        # The fallback's own notice says that no model was ever configured, which is not so here.
        others = tuple(notice for notice in decision.notices if notice.port != "model")
        return decision.model_copy(update={"notices": (_degraded(reason, self._fallback.name), *others)})


class _Spoken:
    """Passes tokens on and remembers that there were any."""

    def __init__(self, on_token: OnToken) -> None:
        self._on_token = on_token
        self._any = False

    async def __call__(self, token: str) -> None:
        self._any = True
        await self._on_token(token)

    async def break_off(self) -> None:
        """Set the next speaker's words apart from half an answer."""
        if self._any:
            await self._on_token("\n\n")


def _degraded(reason: str, fallback: str) -> Notice:
    return Notice(
        port="model",
        mode="degraded",
        reason=reason,
        lost=f"This was answered by the {fallback} instead of the language model.",
    )
