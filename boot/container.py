"""Everything that lives as long as the process: opened in order, closed in reverse."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
import yaml
from langgraph.checkpoint.base import BaseCheckpointSaver
from pydantic import ValidationError

from boot.data_dir import claimed
from boot.keys import Keys, parse_keys
from boot.ports import Port
from boot.settings import Settings
from boot.status import Status
from checkpoints.approvals import Approvals
from checkpoints.documents import open_documents
from checkpoints.ledger import Ledger
from checkpoints.locks import Locks
from checkpoints.runs import Runs
from checkpoints.saver import open_memory_saver, open_sqlite_saver
from domain.errors import ConfigurationError, StoreError
from domain import ports as domain_ports
from domain.policy import Policy
from graph.build import Parts, build
from graph.execution import Execution
from graph.runs import Orchestrations
from tools.catalogue import load_services
from tools.http import Bounds
from tools.knowledge import NOTICE, NoKnowledge
from tools.model import ModelOptions, ModelTimeouts, TunableModel
from tools.ollama import open_model
from tools.planner import EmbeddedPlanner
from tools.services import Services, open_services
from tools.toolbox import Toolbox

log = structlog.get_logger("boot")

TEND_SECONDS = 1.0
"""How often expired approvals and runs left behind are looked for."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """What the shell reads and writes through."""

    settings: Settings
    keys: Keys
    clock: Callable[[], datetime]
    parts: Parts
    runs: Runs
    approvals: Approvals
    orchestrations: Orchestrations
    toolbox: domain_ports.Toolbox
    services: Services
    status: Status


def utc_now() -> datetime:
    """Return the time in UTC, to the millisecond: what every store keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@asynccontextmanager
async def open_container(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Container]:
    """Open everything and close it again; raises `ConfigurationError` or `StoreUnavailable` where it cannot."""
    keys = _keys(settings)
    async with AsyncExitStack() as stack:
        data_dir = await stack.enter_async_context(claimed(settings.data_dir))
        parts, runs, approvals, services, model = await open_parts(settings, stack, data_dir, clock)
        saver = await stack.enter_async_context(open_saver(settings, data_dir))
        execution = Execution(
            graph=build(parts, checkpointer=saver),
            runs=runs,
            approvals=approvals,
            clock=clock,
            max_steps=settings.max_steps,
            parallel=settings.enable_parallel,
        )
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        orchestrations = Orchestrations(execution, locks=Locks(), tasks=tasks, queue_seconds=settings.queue_seconds)
        stack.push_async_callback(orchestrations.close, grace_seconds=settings.shutdown_grace_seconds)
        stack.callback(tasks.create_task(_tend(orchestrations)).cancel)
        ports = _ports(settings, data_dir, clock())
        status = Status(settings=settings, services=services, model=model, ports=ports, opened_at=clock(), clock=clock)
        await _announce(status)
        await orchestrations.catch_up()
        yield Container(
            settings=settings,
            keys=keys,
            clock=clock,
            parts=parts,
            runs=runs,
            approvals=approvals,
            orchestrations=orchestrations,
            toolbox=parts.toolbox,
            services=services,
            status=status,
        )


async def open_parts(
    settings: Settings, stack: AsyncExitStack, data_dir: Path, clock: Callable[[], datetime]
) -> tuple[Parts, Runs, Approvals, Services, TunableModel]:
    """Open what the nodes are given, and the records beside it; the stack closes it."""
    policy = await asyncio.to_thread(load_policy, settings.policy_file)
    variables = await asyncio.to_thread(settings.variables)
    configured = await asyncio.to_thread(load_services, settings.services_file, variables)
    database = await stack.enter_async_context(open_documents(data_dir / "documents.sqlite"))
    runs, approvals, ledger = Runs(database), Approvals(database), Ledger(database)
    for records in (runs, approvals, ledger):
        await records.open()
    bounds = Bounds(max_connections=settings.http_max_connections, max_keepalive=settings.http_max_keepalive)
    services = await stack.enter_async_context(open_services(configured, data_dir=data_dir, bounds=bounds, now=clock))
    model = await stack.enter_async_context(
        open_model(
            settings.ollama_url,
            options=ModelOptions(
                model=settings.llm_model, temperature=settings.llm_temperature, num_ctx=settings.llm_context_tokens
            ),
            fallback=EmbeddedPlanner(),
            timeouts=ModelTimeouts(total=settings.llm_timeout_seconds),
        )
    )
    parts = Parts(
        model=model,
        knowledge=NoKnowledge(),
        toolbox=Toolbox(services),
        policy=policy if settings.enable_hitl else policy.without_humans(),
        approvals=approvals,
        ledger=ledger,
        clock=clock,
        max_steps=settings.max_steps,
        window_chars=settings.window_chars,
        summary_chars=settings.summary_chars,
    )
    return parts, runs, approvals, services, model


def load_policy(path: Path) -> Policy:
    """Return the policy of a file; raises `ConfigurationError` naming what is wrong."""
    try:
        return Policy.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise ConfigurationError(f"POLICY_FILE {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"POLICY_FILE {path} is not YAML.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"POLICY_FILE {path}: {place}: {first['msg']}.") from error


def _keys(settings: Settings) -> Keys:
    keys = parse_keys(settings.api_keys.get_secret_value())
    if keys.are_absent and settings.environment == "production":
        raise ConfigurationError(
            "ENVIRONMENT=production needs API_KEYS; make one with `python -m boot.keys NAME ROLE`."
        )
    if keys.are_absent:
        log.warning("open_to_everybody", reason="API_KEYS is not set; fine for development only")
    return keys


def open_saver(settings: Settings, data_dir: Path) -> AbstractAsyncContextManager[BaseCheckpointSaver[Any]]:
    """Return where checkpoints go, not opened yet: a file, or memory where checkpointing is switched off."""
    if settings.enable_checkpointing:
        return open_sqlite_saver(data_dir / "checkpoints.sqlite")
    return open_memory_saver()


def _ports(settings: Settings, data_dir: Path, now: datetime) -> tuple[Port, ...]:
    def embedded(port: str, form: str, lost: str, reason: str = "Nothing else is configured.") -> Port:
        return Port(
            port=port, configured=False, healthy=True, mode="embedded", form=form, since=now, reason=reason, lost=lost
        )

    one_server = "One server only: replicas cannot share it."
    checkpoints = (
        embedded("checkpoints", f"SQLite file {data_dir / 'checkpoints.sqlite'}", one_server)
        if settings.enable_checkpointing
        else embedded("checkpoints", "memory", "Conversations and pauses end with the process.", "It is switched off.")
    )
    return (
        checkpoints,
        embedded("documents", f"SQLite file {data_dir / 'documents.sqlite'}", one_server),
        embedded("locks", "this process", one_server),
        embedded("knowledge", "none", NOTICE.lost, NOTICE.reason),
    )


async def _announce(status: Status) -> None:
    """Log each component in one line: what form is in use, and why."""
    for port in await status.all_ports():
        tell = log.info if port.healthy else log.warning
        tell(f"{port.port}_ready", mode=port.mode, form=port.form, reason=port.reason)
    for probe in await status.services.health():
        tell = log.info if probe.status == "healthy" else log.warning
        tell(
            "service_ready" if probe.status == "healthy" else "service_unhealthy",
            service=probe.service,
            detail=probe.detail,
        )
    log.info("operations_ready", count=len(status.services.operations()))


async def _tend(orchestrations: Orchestrations) -> None:
    """Look after what nobody asks for: approvals that expire, and runs that were left behind."""
    while True:
        try:
            await orchestrations.recover()
            await orchestrations.expire()
        except StoreError as error:
            log.warning("not_tended", error=type(error).__name__, detail=error.detail)
        await asyncio.sleep(TEND_SECONDS)
