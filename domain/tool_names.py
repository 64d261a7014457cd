"""Names and texts as a chat model can be sent them; what was sent is compared with them again."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from domain.actions import Operation

NAME_LENGTH, MARKED = 64, 9
"""How long the name of a tool may be, and how much of it marks it where two would be alike."""


def tool_names(operations: Iterable[Operation]) -> dict[str, Operation]:
    """Return the operations by names a model may use: letters, digits, `_` and `-`, at most 64, no two alike."""
    offered = list(operations)
    plain = [plain_name(operation.service, operation.name) for operation in offered]
    seen = Counter(plain)
    return {
        name if seen[name] == 1 and len(name) <= NAME_LENGTH else _marked(name, operation): operation
        for name, operation in zip(plain, offered, strict=True)
    }


def stands_for(name: str, operation: Operation) -> bool:
    """Return whether a tool's name is an operation's: as it is, or cut and marked."""
    plain = plain_name(operation.service, operation.name)
    return name == plain or name[:-MARKED] == plain[: NAME_LENGTH - MARKED]


def sendable(text: str) -> str:
    """Return the text with `?` for what UTF-8 cannot carry."""
    return text.encode(errors="replace").decode()


def plain_name(service: str, operation: str) -> str:
    """Return the name of an operation in letters that a model may use; it may be another's, and too long."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{service}__{operation}")


def _marked(name: str, operation: Operation) -> str:
    mark = hashlib.sha256(f"{operation.service}\0{operation.name}".encode()).hexdigest()[:8]
    return f"{name[: NAME_LENGTH - MARKED]}_{mark}"
