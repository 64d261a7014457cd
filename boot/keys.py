"""API keys: `name:role+role:sha256` in a setting, never the key itself. Run as a program it makes one."""

import argparse
import hashlib
import re
import secrets
import sys
from collections.abc import Mapping
from typing import cast

from domain.errors import ConfigurationError, Unauthenticated
from domain.principals import ANYONE, ROLES, Principal, Role

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DIGEST = re.compile(r"[0-9a-f]{64}")


class Keys:
    """Who may call: principals by the sha256 of their key."""

    def __init__(self, principals: Mapping[str, Principal]) -> None:
        self._principals = dict(principals)

    @property
    def are_absent(self) -> bool:
        """Whether the server is open to everybody."""
        return not self._principals

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
    names = roles.split("+")
    if not (NAME.fullmatch(name) and DIGEST.fullmatch(digest) and set(names) <= set(ROLES)):
        raise ConfigurationError(
            f"API_KEYS: entry {number} is not `name:role+role:sha256` with roles of {', '.join(ROLES)}."
        )
    return digest, Principal(name=name, roles=frozenset(cast("list[Role]", names)))


def main() -> None:
    """Make a key, print it once, and print the entry for API_KEYS."""
    parser = argparse.ArgumentParser(prog="python -m boot.keys", description="Make an API key.")
    parser.add_argument("name", help="whom the key belongs to (letters, digits, _ . -)")
    parser.add_argument("roles", nargs="+", choices=ROLES, help="what the holder may do")
    given = parser.parse_args()
    if not NAME.fullmatch(given.name):
        parser.error("the name may hold letters, digits and _ . - only")
    key = secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).hexdigest()
    sys.stdout.write(
        f"key (shown only now):  {key}\nentry for API_KEYS:    {given.name}:{'+'.join(given.roles)}:{digest}\n"
    )


if __name__ == "__main__":
    main()
