"""What the server tells about itself: health, features, settings, connections."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from boot.knowledge import Knowledge
from boot.policies import PolicyFile
from boot.ports import Port
from boot.settings import Settings
from boot.stores import Stores
from checkpoints.breakers import Breakers
from tools.knowledge.absent import OFF
from tools.model import TunableModel
from tools.services import ANSWERS, Services

SILENT, NOTHING_ELSE = "Redis does not answer.", "Nothing else is configured."


@dataclass(frozen=True, kw_only=True)
class Status:
    """The server's view of itself."""

    settings: Settings
    services: Services
    model: TunableModel
    breakers: Breakers
    policies: PolicyFile
    stores: Stores
    knowledge: Knowledge | None
    opened_at: datetime
    clock: Callable[[], datetime]

    async def health(self) -> dict[str, Any]:
        """Return how everything is: probes of every service, a few seconds old at most."""
        probes, ports = await asyncio.gather(self.services.health(), self.all_ports())
        ill = [probe for probe in probes if probe.status != "healthy"]
        details = {probe.service: probe.detail for probe in ill}
        details |= {port.port: port.reason for port in ports if not port.healthy}
        if refusal := self.policies.refusal:
            details["policy"] = (
                f"{self.policies.path.name} is refused, the policy before it is in force: {refusal.detail}"
            )
        noted = {each.service: each.detail for each in probes if each.status == "healthy" and each.detail != ANSWERS}
        return {
            "status": "degraded" if details else "healthy",
            "timestamp": self.clock().isoformat(),
            "services": {probe.service: probe.status for probe in probes},
            "details": noted | details,
        }

    async def feature_status(self) -> dict[str, Any]:
        """Return which features are on, what stands in for what is not, and the form of every port."""
        ports = await self.all_ports()
        settings = self.settings
        available = {
            "checkpointing": settings.enable_checkpointing,
            "hitl": settings.enable_hitl,
            "parallel": settings.enable_parallel,
            "streaming": True,
            "error_handling": settings.enable_error_handling,
            "ab_testing": settings.enable_ab_testing,
        }
        off = {
            "checkpointing": "memory: nothing survives a restart",
            "hitl": "actions that need a human are denied",
            "parallel": "actions are sent one after the other",
            "error_handling": "a failing service fails the run",
            "ab_testing": "every run has the server's own configuration",
        }
        fallbacks = {name: None if on else off[name] for name, on in available.items()}
        fallbacks |= {port.port: port.form for port in ports if port.mode != "networked" and port.port not in fallbacks}
        return {
            "available": available,
            "fallbacks": fallbacks,
            "ports": [port.model_dump(mode="json") for port in ports],
            "policy": self._policy(),
        }

    def _policy(self) -> dict[str, Any]:
        refusal = self.policies.refusal
        return {
            "version": self.policies.current().version,
            "since": self.policies.since.isoformat(),
            "problem": refusal.detail if refusal else None,
        }

    async def experiments(self, *, running: int) -> dict[str, Any]:
        """Return whether experiments work, and where they are kept."""
        documents = next(port for port in await self.stores.ports() if port.port == "documents")
        return {
            "status": "healthy" if documents.healthy else "degraded",
            "enabled": self.settings.enable_ab_testing,
            "storage": documents.form,
            "mode": documents.mode,
            "running": running,
            "timestamp": self.clock().isoformat(),
        }

    def config(self) -> dict[str, Any]:
        """Return every setting in force, by the name of its variable; secrets and passwords are masked."""
        return {name.upper(): _masked(value) for name, value in self.settings}

    def connection_stats(self) -> dict[str, Any]:
        """Return the pools; a store that is not configured has none."""
        redis, mongodb = self.stores.redis_stats, self.stores.mongodb_stats
        return {
            "http": self.services.stats(),
            "redis": redis() if redis else None,
            "mongodb": mongodb() if mongodb else None,
        }

    async def all_ports(self) -> tuple[Port, ...]:
        """Return every port as it is now."""
        health = await self.model.health()
        model = Port(
            port="model",
            configured=self.settings.ollama_url is not None,
            healthy=health.present,
            mode=health.mode,
            form=self.model.name,
            since=self.opened_at,
            reason=health.detail,
            lost="" if health.mode == "networked" else "Free-form understanding of messages.",
        )
        knowledge = await self.knowledge.port() if self.knowledge else self._no_knowledge()
        return (model, *await self.stores.ports(), self._breakers_port(), knowledge)

    def _no_knowledge(self) -> Port:
        return Port(
            port="knowledge",
            configured=False,
            healthy=True,
            mode="embedded",
            form="none",
            since=self.opened_at,
            reason=OFF.reason,
            lost=OFF.lost,
        )

    def _breakers_port(self) -> Port:
        shared, configured = self.breakers.are_shared, self.settings.redis_url is not None
        return Port(
            port="breakers",
            configured=configured,
            healthy=shared or not configured,
            mode="networked" if shared else "degraded" if configured else "embedded",
            form="Redis" if shared else "this process",
            since=self.opened_at,
            reason="It answers."
            if shared
            else "Redis does not answer."
            if configured
            else "Nothing else is configured.",
            lost="" if shared else "Replicas learn of a failing service each by itself.",
        )


def _masked(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, str) and "://" in value and "@" in value:
        scheme, _, rest = value.partition("://")
        return f"{scheme}://********@{rest.rpartition('@')[2]}"
    return value if isinstance(value, bool | int | float | str | None) else str(value)
