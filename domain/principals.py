"""Who is calling, how far their view reaches, and for whom they speak when they decide."""

from collections.abc import Iterable
from typing import Literal

from domain.actions import Frozen
from domain.errors import Forbidden

type Role = Literal["user", "approver", "operator"]

ROLES: tuple[Role, ...] = ("user", "approver", "operator")

RESERVED = frozenset({"anonymous", "studio", "server"})
"""Names no key can have: whoever comes without one, LangGraph Studio, and the server itself."""


class Principal(Frozen):
    """A caller known by its key.

    Args:
        name: What threads, runs and approvals are owned by.
        groups: What the key belongs to, as policy rules name it.
        approver_id: The one person the key speaks for; None lets the caller say who decides.
        is_anybody: Whether there is no key behind it: then it belongs to every group, and only the `approver_id`
            tells one person from another.
    """

    name: str
    roles: frozenset[Role]
    groups: frozenset[str] = frozenset()
    approver_id: int | None = None
    is_anybody: bool = False

    def require(self, *roles: Role) -> None:
        """Return if the principal has one of the roles (an operator has them all); raises `Forbidden`."""
        if not self.roles.intersection((*roles, "operator")):
            raise Forbidden(f"This needs the role {' or '.join(roles)}.")

    @property
    def decides(self) -> bool:
        """Whether it may decide requests at all."""
        return not self.roles.isdisjoint(("approver", "operator"))

    def sees(self, *roles: Role) -> str | None:
        """Return the owner whose records the principal is limited to, or None where one of the roles shows them all."""
        return None if self.roles.intersection((*roles, "operator")) else self.name

    def belongs_to(self, groups: Iterable[str]) -> bool:
        """Return whether it is a member of any of the groups; being an operator makes nobody a member."""
        return self.is_anybody or not self.groups.isdisjoint(groups)


ANYONE = Principal(name="anonymous", roles=frozenset(ROLES), is_anybody=True)
"""The caller of a server without keys, in development."""

STUDIO = Principal(name="studio", roles=frozenset(ROLES), is_anybody=True)
"""Who answers a gate straight in the graph, in development."""
