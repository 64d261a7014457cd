"""Who is calling, and how far their view reaches."""

from typing import Literal

from domain.actions import Frozen
from domain.errors import Forbidden

type Role = Literal["user", "approver", "operator"]

ROLES: tuple[Role, ...] = ("user", "approver", "operator")


class Principal(Frozen):
    """A caller known by its key.

    Args:
        name: What threads, runs and approvals are owned by.
    """

    name: str
    roles: frozenset[Role]

    def require(self, *roles: Role) -> None:
        """Return if the principal has one of the roles (an operator has them all); raises `Forbidden`."""
        if not self.roles.intersection((*roles, "operator")):
            raise Forbidden(f"This needs the role {' or '.join(roles)}.")

    def sees(self, *roles: Role) -> str | None:
        """Return the owner whose records the principal is limited to, or None where one of the roles shows them all."""
        return None if self.roles.intersection((*roles, "operator")) else self.name


ANYONE = Principal(name="anonymous", roles=frozenset(ROLES))
"""The caller of a server without keys, in development."""
