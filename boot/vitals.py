"""How services are, for those who are asked to approve a call of one: its health and its circuit breaker."""

from dataclasses import dataclass

from checkpoints.breakers import Breakers
from domain.approvals import ServiceHealth
from tools.services import Services


@dataclass(frozen=True)
class Vitals:
    """What the control plane knows of the services."""

    services: Services
    breakers: Breakers

    async def of(self, service: str) -> ServiceHealth:
        """Return how a service is, 5 s ago at most; raises `NotFound`."""
        probe = await self.services.probe(service)
        breaker = (await self.breakers.of(service).look()).record.state
        blocked = "" if breaker in ("closed", "disabled") else f"Its circuit breaker is {breaker.replace('_', ' ')}."
        return ServiceHealth(
            service=service,
            status="unhealthy" if blocked else probe.status,
            breaker=breaker,
            detail=" ".join(filter(None, (probe.detail, blocked))),
            checked_at=probe.checked_at,
        )
