"""API keys: `name:role+role:sha256` in a setting, never the key itself. Run as a program it makes one.

Beside roles stand `@group` (the key belongs to this group of approvers) and `#7` (the key speaks for approver 7 alone):
`eve:approver+@finance+#7:…`.
"""

import argparse
import hashlib
import re
import secrets
import sys
from collections.abc import Mapping

from domain.errors import ConfigurationError, Unauthenticated
from domain.principals import ANYONE, RESERVED, ROLES, Principal

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DIGEST = re.compile(r"[0-9a-f]{64}")
WORD = re.compile(rf"{'|'.join(ROLES)}|@[A-Za-z0-9_.-]{{1,64}}|#[0-9]{{1,15}}")


class Keys:
    """Who may call: principals by the sha256 of their key."""

    def __init__(self, principals: Mapping[str, Principal]) -> None:
        self._principals = dict(principals)

    @property
    def are_absent(self) -> bool:
        """Whether the server is open to everybody."""
        return not self._principals

    @property
    def people(self) -> tuple[Principal, ...]:
        """Everybody there is a key for."""
        return tuple(self._principals.values())

    def principal(self, key: str | None) -> Principal:
        """Return who holds a key; raises `Unauthenticated`. Without any keys everybody is `ANYONE`."""
        if self.are_absent:
            return ANYONE
        found = self._principals.get(hashlib.sha256((key or "").encode()).hexdigest())
        if found is None:
            raise Unauthenticated("Send a valid key: `Authorization: Bearer …` or `X-API-Key: …`.")
        return found


def parse_keys(text: str) -> Keys:
    """Return the keys of a setting; raises `ConfigurationError` naming the entry, never its digest."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    return Keys(dict(_entry(entry, number) for number, entry in enumerate(entries, start=1)))


def _entry(entry: str, number: int) -> tuple[str, Principal]:
    name, _, rest = entry.partition(":")
    roles, _, digest = rest.partition(":")
    words = roles.split("+")
    wrong = not (NAME.fullmatch(name) and DIGEST.fullmatch(digest) and all(map(WORD.fullmatch, words)))
    if wrong or name in RESERVED or not set(words) & set(ROLES):
        raise ConfigurationError(
            f"API_KEYS: entry {number} is not `name:role+role:sha256` with roles of {', '.join(ROLES)} (and, beside "
            f"them, @group or #approver_id); {', '.join(sorted(RESERVED))} are no names."
        )
    return digest, _principal(name, words)


def _principal(name: str, words: list[str]) -> Principal:
    numbers = [int(word[1:]) for word in words if word.startswith("#")]
    return Principal(
        name=name,
        roles=frozenset(role for role in ROLES if role in words),
        groups=frozenset(word[1:] for word in words if word.startswith("@")),
        approver_id=numbers[0] if numbers else None,
    )


def main() -> None:
    """Make a key, print it once, and print the entry for API_KEYS."""
    parser = argparse.ArgumentParser(prog="python -m boot.keys", description="Make an API key.")
    parser.add_argument("name", help="whom the key belongs to (letters, digits, _ . -)")
    parser.add_argument(
        "roles", nargs="+", help=f"what the holder may do: {', '.join(ROLES)}; @group and #approver_id beside them"
    )
    given = parser.parse_args()
    if not all(map(WORD.fullmatch, given.roles)) or not set(given.roles) & set(ROLES):
        parser.error(f"give at least one of {', '.join(ROLES)}, and beside it only @group and #approver_id")
    if not NAME.fullmatch(given.name) or given.name in RESERVED:
        parser.error("the name may hold letters, digits and _ . - only, and is not one the server uses itself")
    key = secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).hexdigest()
    sys.stdout.write(
        f"key (shown only now):  {key}\nentry for API_KEYS:    {given.name}:{'+'.join(given.roles)}:{digest}\n"
    )


if __name__ == "__main__":
    main()
