"""What the nodes are given, opened: services, model, knowledge, and the records beside them."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from boot.policies import PolicyFile, open_policy
from boot.settings import Settings
from boot.vitals import Vitals
from boot.webhooks import webhook_urls
from checkpoints.approvals import Approvals
from checkpoints.breakers import Breakers, open_breakers
from checkpoints.collections import Database
from checkpoints.ledger import Ledger
from checkpoints.runs import Runs
from checkpoints.trials import Trials, open_trials
from checkpoints.variants import ServersOwn
from domain.breakers import Rules
from domain.ports import Knowledge
from graph.build import Parts
from tools.catalogue import load_services
from tools.http import Bounds
from tools.knowledge.absent import NoKnowledge
from tools.model import ModelOptions, ModelTimeouts, TunableModel
from tools.ollama import open_model
from tools.planner import EmbeddedPlanner
from tools.services import Services, open_services
from tools.toolbox import Toolbox

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What the nodes are given, and what the shell needs of it under its own name."""

    parts: Parts
    runs: Runs
    approvals: Approvals
    ledger: Ledger
    services: Services
    toolbox: Toolbox
    breakers: Breakers
    policies: PolicyFile
    vitals: Vitals
    model: TunableModel
    trials: Trials


async def open_parts(
    stack: AsyncExitStack,
    settings: Settings,
    database: Database,
    data_dir: Path,
    clock: Callable[[], datetime],
    *,
    redis: "Redis | None" = None,
    knowledge: Knowledge | None = None,
) -> Opened:
    """Open everything the nodes reach; the stack closes it. Raises `ConfigurationError` and `StoreUnavailable`.

    Args:
        redis: Where breakers are shared; it need not answer.
        knowledge: Where passages come from; None where there are none.
    """
    policies = await stack.enter_async_context(
        open_policy(settings.policy_file, database, humans=settings.enable_hitl, clock=clock)
    )
    runs, approvals, ledger = Runs(database), _approvals(settings, database), Ledger(database)
    for records in (runs, approvals, ledger):
        await records.open()
    variables = await asyncio.to_thread(settings.variables)
    configured = await asyncio.to_thread(load_services, settings.services_file, variables)
    opening = open_breakers(
        redis,
        database["circuit_breaker_backup"],
        names=[each.name for each in configured],
        rules=_rules(settings),
        clock=clock,
    )
    breakers = await stack.enter_async_context(opening)
    bounds = Bounds(max_connections=settings.http_max_connections, max_keepalive=settings.http_max_keepalive)
    services = await stack.enter_async_context(
        open_services(configured, data_dir=data_dir, bounds=bounds, now=clock, breaker_of=breakers.of)
    )
    toolbox, vitals = Toolbox(services), Vitals(services, breakers)
    model = await _model(stack, settings)
    trials = await open_trials(database, clock=clock, enabled=settings.enable_ab_testing)
    parts = Parts(
        model=model,
        variants=trials.variants if settings.enable_ab_testing else ServersOwn(),
        knowledge=knowledge or NoKnowledge(),
        toolbox=toolbox,
        policies=policies,
        approvals=approvals,
        ledger=ledger,
        clock=clock,
        vitals=vitals,
        max_steps=settings.max_steps,
        error_handling=settings.enable_error_handling,
        window_chars=settings.window_chars,
        summary_chars=settings.summary_chars,
        resolve_seconds=settings.action_resolve_seconds,
    )
    return Opened(
        parts=parts,
        runs=runs,
        approvals=approvals,
        ledger=ledger,
        services=services,
        toolbox=toolbox,
        breakers=breakers,
        policies=policies,
        vitals=vitals,
        model=model,
        trials=trials,
    )


def _approvals(settings: Settings, database: Database) -> Approvals:
    return Approvals(database, announces=bool(webhook_urls(settings)))


def _rules(settings: Settings) -> Rules:
    return Rules(
        window_ms=round(settings.breaker_window_seconds * 1000),
        minimum_calls=settings.breaker_minimum_calls,
        failure_rate=settings.breaker_failure_rate,
        slow_ms=round(settings.breaker_slow_seconds * 1000),
        slow_rate=settings.breaker_slow_rate,
        open_ms=round(settings.breaker_open_seconds * 1000),
        open_max_ms=round(settings.breaker_open_max_seconds * 1000),
    )


async def _model(stack: AsyncExitStack, settings: Settings) -> TunableModel:
    options = ModelOptions(
        model=settings.llm_model, temperature=settings.llm_temperature, num_ctx=settings.llm_context_tokens
    )
    timeouts = ModelTimeouts(total=settings.llm_timeout_seconds)
    return await stack.enter_async_context(
        open_model(settings.ollama_url, options=options, fallback=EmbeddedPlanner(), timeouts=timeouts)
    )
