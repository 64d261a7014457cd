"""The variants of one run: frozen into its state when it begins, with the use that was made of them."""

from collections.abc import Sequence
from typing import Any

from domain.actions import Frozen, Operation
from domain.canonical import JSON, digest
from domain.conversation import Called, Decision, Tuning
from domain.experiments import VariantConfig
from domain.tool_names import sendable, stands_for

SERVERS_OWN = VariantConfig()


class Given(Frozen):
    """One variant of a run.

    Args:
        counted: False for a tester who was forced onto it.
    """

    experiment_id: str
    variant: str
    phase: int
    config: dict[str, Any]
    counted: bool = True


class Use(Frozen):
    """What was made of a run's variants.

    Args:
        fingerprint: sha256 over the configuration in effect: read off what the model was really called with, where one
            was; the limits of steps and passages, which no call shows, as they were wanted.
        mismatched: Parts of the configuration that the model was called without, although it was called.
        without_effect: Parts that whoever answered cannot have.
        tokens: Read and written in all calls of the model; None where it does not tell.
        missed: Whether documents were searched and gave no passage; None where there was nothing to search.
    """

    fingerprint: str
    mismatched: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()
    tokens: int | None = None
    missed: bool | None = None


def frozen(given: Sequence[Given]) -> dict[str, JSON]:
    """Return variants as the state keeps them; nothing where there are none."""
    config = {key: value for each in given for key, value in each.config.items()}
    return {"given": [each.model_dump(mode="json") for each in given], "config": config} if given else {}


def config_of(variants: dict[str, JSON]) -> VariantConfig:
    """Return the configuration that a run's variants amount to."""
    return VariantConfig.model_validate(variants["config"]) if variants else SERVERS_OWN


def given_of(variants: dict[str, Any]) -> list[Given]:
    """Return a run's variants."""
    return [Given(**each) for each in variants.get("given", [])]


def use_of(variants: dict[str, Any]) -> Use | None:
    """Return what was made of a run's variants, once something was."""
    return Use(**variants["use"]) if "use" in variants else None


def used(
    variants: dict[str, JSON], decision: Decision, operations: Sequence[Operation], *, missed: bool | None
) -> dict[str, JSON]:
    """Return a run's variants with the use that one decision of the model made of them.

    Args:
        operations: What the model was offered.
    """
    config, before = config_of(variants), use_of(variants)
    wanted = config.tuning()
    mismatched: tuple[str, ...] = ()
    if decision.called:
        mismatched = differences(wanted or Tuning(), decision.called)
        if not _offered_as_wanted(config, decision.called, operations):
            mismatched = (*mismatched, "tools")
    without = tuple(wanted.model_dump(exclude_none=True)) if wanted and not decision.called else ()
    use = Use(
        fingerprint=_fingerprint(config, decision, operations),
        mismatched=tuple(sorted({*mismatched, *(before.mismatched if before else ())})),
        without_effect=tuple(sorted({*without, *(before.without_effect if before else ())})),
        tokens=_sum(before.tokens if before else None, decision.tokens),
        missed=missed,
    )
    return {**variants, "use": use.model_dump(mode="json")}


def differences(wanted: Tuning, called: Called) -> tuple[str, ...]:
    """Return the parts of a tuning that a model was called without."""
    found = {
        "model": wanted.model is not None and wanted.model != called.model,
        "temperature": wanted.temperature is not None and wanted.temperature != called.temperature,
        "system_prompt": wanted.system_prompt is not None
        and not called.system_prompt.startswith(sendable(wanted.system_prompt)),
    }
    return tuple(name for name, differs in found.items() if differs)


def _offered_as_wanted(config: VariantConfig, called: Called, operations: Sequence[Operation]) -> bool:
    """Return whether the tools that were sent are those of the variant, each of them and no other."""
    if config.tools is None or called.tools is None:
        return True
    wanted = [each for each in operations if config.offers(each.service, each.name)]
    fits = all(any(stands_for(sent, each) for each in wanted) for sent in called.tools)
    return fits and len(called.tools) == len(wanted)


def _fingerprint(config: VariantConfig, decision: Decision, operations: Sequence[Operation]) -> str:
    effective: dict[str, JSON] = {
        "answered_by": decision.answered_by,
        "called": decision.called.model_dump(mode="json") if decision.called else None,
        "operations": None if decision.called else [f"{each.service}.{each.name}" for each in operations],
        "max_steps": config.max_steps,
        "top_k": config.top_k,
    }
    return digest(effective)


def _sum(before: int | None, now: int | None) -> int | None:
    return before if now is None else (before or 0) + now
