"""Everything that lives as long as the process: opened in order, closed in reverse."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from boot.checks import check
from boot.data_dir import claimed
from boot.keys import Keys, parse_keys
from boot.knowledge import Knowledge, open_knowledge
from boot.parts import Opened, open_parts
from boot.policies import PolicyFile
from boot.settings import Settings
from boot.status import Status
from boot.stores import Stores, open_stores
from boot.vitals import Vitals
from boot.webhooks import open_webhooks
from checkpoints.approval_queries import ApprovalStats
from checkpoints.approvals import Approvals
from checkpoints.audit import Audit
from checkpoints.auditor import Auditor
from checkpoints.breakers import Breakers
from checkpoints.collections import Database
from checkpoints.ledger import Ledger
from checkpoints.outbox import Outbox
from checkpoints.runs import Runs
from checkpoints.trials import Trials
from domain.errors import ConfigurationError, StoreError
from graph.afterwards import Afterwards
from graph.answers import Answers
from graph.build import build
from graph.decisions import Decisions
from graph.execution import Execution
from graph.runs import Orchestrations
from graph.stopping import Grace
from tools.services import Services
from tools.toolbox import Toolbox

log = structlog.get_logger("boot")

TEND_SECONDS = 1.0
"""How often expired approvals, runs left behind and facts not yet in the audit log are looked for."""

CATCH_UP_EVERY = 5
"""Every so many rounds, decided approvals are looked for whose run nobody woke."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """What the shell reads and writes through."""

    settings: Settings
    keys: Keys
    clock: Callable[[], datetime]
    runs: Runs
    approvals: Approvals
    ledger: Ledger
    approval_stats: ApprovalStats
    decisions: Decisions
    answers: Answers
    vitals: Vitals
    outbox: Outbox
    audit: Audit
    auditor: Auditor
    orchestrations: Orchestrations
    afterwards: Afterwards
    toolbox: Toolbox
    breakers: Breakers
    services: Services
    trials: Trials
    knowledge: Knowledge | None
    policies: PolicyFile
    status: Status


def utc_now() -> datetime:
    """Return the time in UTC, to the millisecond: what every store keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@asynccontextmanager
async def open_container(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Container]:
    """Open everything and close it again; raises `ConfigurationError` or `StoreUnavailable` where it cannot."""
    keys = _keys(settings)
    await asyncio.to_thread(check, settings)
    async with AsyncExitStack() as stack:
        data_dir = await stack.enter_async_context(claimed(settings.data_dir))
        stores = await open_stores(stack, settings, data_dir, clock)
        knowledge = await _knowledge(stack, settings, stores, data_dir, clock)
        opened = await open_parts(
            stack,
            settings,
            stores.database,
            data_dir,
            clock,
            redis=stores.prompt,
            knowledge=knowledge.retrieval if knowledge else None,
        )
        audit, auditor = await _audit(stack, stores.database, clock)
        bell = opened.approvals.bell
        outbox = await stack.enter_async_context(open_webhooks(settings, stores.database, bell, clock))
        orchestrations, afterwards = await _orchestrations(stack, settings, stores, opened, auditor)
        if knowledge:
            await knowledge.begin(stack)
        status = Status(
            settings=settings,
            services=opened.services,
            model=opened.model,
            breakers=opened.breakers,
            policies=opened.policies,
            stores=stores,
            knowledge=knowledge,
            opened_at=clock(),
            clock=clock,
        )
        await _announce(status)
        await orchestrations.catch_up()
        decisions = _decisions(opened, orchestrations, keys)
        yield Container(
            settings=settings,
            keys=keys,
            clock=clock,
            runs=opened.runs,
            approvals=opened.approvals,
            ledger=opened.ledger,
            approval_stats=ApprovalStats(stores.database),
            decisions=decisions,
            answers=Answers(approvals=opened.approvals, decisions=decisions, toolbox=opened.toolbox),
            vitals=opened.vitals,
            outbox=outbox,
            audit=audit,
            auditor=auditor,
            orchestrations=orchestrations,
            afterwards=afterwards,
            toolbox=opened.toolbox,
            breakers=opened.breakers,
            services=opened.services,
            trials=opened.trials,
            knowledge=knowledge,
            policies=opened.policies,
            status=status,
        )


async def _knowledge(
    stack: AsyncExitStack, settings: Settings, stores: Stores, data_dir: Path, clock: Callable[[], datetime]
) -> Knowledge | None:
    if not settings.enable_knowledge:
        return None
    return await open_knowledge(stack, settings, stores.database, stores.locks, data_dir, clock)


async def _audit(stack: AsyncExitStack, database: Database, clock: Callable[[], datetime]) -> tuple[Audit, Auditor]:
    """Open the audit log, and log what a crash left out; what happens last is logged when everything else is closed."""
    audit = Audit(database)
    auditor = Auditor(database, audit, clock=clock)
    for records in (audit, auditor):
        await records.open()
    await _caught_up(auditor)
    stack.push_async_callback(_caught_up, auditor)
    return audit, auditor


async def _orchestrations(
    stack: AsyncExitStack, settings: Settings, stores: Stores, opened: Opened, auditor: Auditor
) -> tuple[Orchestrations, Afterwards]:
    execution = Execution(
        graph=build(opened.parts, checkpointer=stores.saver),
        runs=opened.runs,
        approvals=opened.approvals,
        ledger=opened.ledger,
        clock=opened.parts.clock,
        max_steps=settings.max_steps,
        parallel=settings.enable_parallel,
        standing=tuple(notice for port in await stores.ports() if (notice := port.notice())),
    )
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    grace = Grace(settings.shutdown_grace_seconds)
    orchestrations = Orchestrations(
        execution,
        toolbox=opened.toolbox,
        locks=stores.locks,
        tasks=tasks,
        queue_seconds=settings.queue_seconds,
        grace=grace,
    )
    stack.push_async_callback(orchestrations.close)
    afterwards = Afterwards(
        sender=opened.parts.sender,
        graph=execution.graph,
        ledger=opened.ledger,
        approvals=opened.approvals,
        runs=opened.runs,
        locks=stores.locks,
        tasks=tasks,
        grace=grace,
        clock=opened.parts.clock,
        window_chars=settings.window_chars,
        summary_chars=settings.summary_chars,
    )
    stack.push_async_callback(afterwards.close)
    for care in (_tend(orchestrations, afterwards, auditor, opened.trials), opened.toolbox.warm()):
        stack.callback(tasks.create_task(care).cancel)
    return orchestrations, afterwards


def _decisions(opened: Opened, orchestrations: Orchestrations, keys: Keys) -> Decisions:
    return Decisions(
        approvals=opened.approvals,
        orchestrations=orchestrations,
        toolbox=opened.toolbox,
        policies=opened.parts.policies,
        clock=opened.parts.clock,
        people=keys.people,
    )


def _keys(settings: Settings) -> Keys:
    keys = parse_keys(settings.api_keys.get_secret_value())
    if keys.are_absent and settings.environment == "production":
        raise ConfigurationError(
            "ENVIRONMENT=production needs API_KEYS; make one with `python -m boot.keys NAME ROLE`."
        )
    if keys.are_absent:
        log.warning("open_to_everybody", reason="API_KEYS is not set; fine for development only")
    return keys


async def _announce(status: Status) -> None:
    """Log each component in one line: what form is in use, and why."""
    for port in await status.all_ports():
        tell = log.info if port.healthy else log.warning
        tell(f"{port.port}_ready", mode=port.mode, form=port.form, reason=port.reason)
    for probe in await status.services.health():
        tell = log.info if probe.status == "healthy" else log.warning
        tell(f"service_{probe.status}", service=probe.service, detail=probe.detail)
    log.info("operations_ready", count=len(status.services.operations()))


async def _tend(orchestrations: Orchestrations, afterwards: Afterwards, auditor: Auditor, trials: Trials) -> None:
    """Look after what nobody asks for.

    Runs left behind, approvals that expire or whose run nobody woke, outcomes nobody has heard of, open facts.
    """
    for tending in itertools.count(1):
        try:
            await trials.experiments.refresh()
            await orchestrations.recover()
            await orchestrations.expire()
            await afterwards.tend()
            if tending % CATCH_UP_EVERY == 0:
                await orchestrations.catch_up()
        except StoreError as error:
            log.warning("not_tended", error=type(error).__name__, detail=error.detail)
        await _caught_up(auditor)
        await _gathered(trials)
        await asyncio.sleep(TEND_SECONDS)


async def _gathered(trials: Trials) -> None:
    """Add up what the experiments' users did; what cannot be added now keeps its mark and is added later."""
    try:
        await trials.evidence.tend()
    except StoreError as error:
        log.warning("not_measured", error=type(error).__name__, detail=error.detail)


async def _caught_up(auditor: Auditor) -> None:
    """Log what is recorded; what cannot be logged now keeps its mark and is logged later."""
    try:
        await auditor.catch_up()
    except StoreError as error:
        log.warning("not_audited", error=type(error).__name__, detail=error.detail)
