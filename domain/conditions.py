"""Conditions: questions about an action's arguments in CEL, the Common Expression Language (https://cel.dev)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from domain.errors import InvalidInput

if TYPE_CHECKING:
    from cel import Program

NAMES = ("args", "origins", "requester", "service", "operation", "method", "effect", "reversibility")
"""What a condition can ask about; `Match.fits` in `domain/policy.py` fills them in."""

TYPES = frozenset(
    {"bool", "bytes", "double", "duration", "int", "list", "map", "null_type", "string", "timestamp", "uint"}
)
DATE = ("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getMonth")
TIME = ("getHours", "getMinutes", "getSeconds", "getMilliseconds")
WORDS = ("contains", "startsWith", "endsWith", "matches", "size")
FUNCTIONS = frozenset({*TYPES, *DATE, *TIME, *WORDS, "type", "dyn"} - {"bool", "list", "map", "null_type"})
"""What the library has; a name it lacks would fail at every action instead of once, here."""

BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
WHY_CHARS, NAME_CHARS = 200, 80


class Undecided(Exception):
    """A condition that cannot be decided for these arguments: one is missing, or of another type."""


@dataclass(frozen=True)
class Condition:
    """A compiled condition.

    Args:
        text: As it was written; two conditions of one text are the same.
    """

    text: str
    _program: "Program" = field(compare=False, repr=False)

    def holds(self, given: Mapping[str, object]) -> bool:
        """Return the condition's answer; raises `Undecided` where it has none that is true or false."""
        try:
            answer = self._program.execute(dict(given))
        except (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            raise Undecided(_why(error)) from error
        if not isinstance(answer, bool):
            raise Undecided("its answer is neither true nor false")
        return answer


def compiled(text: str) -> Condition:
    """Return the condition of a CEL text; raises `InvalidInput` that says why it is none."""
    from cel import compile as compile_cel  # 0.2 s, and not needed where no rule has a condition

    try:
        program = compile_cel(text)
    except ValueError as error:
        raise InvalidInput(f"the condition is not CEL: {_syntax(error)}") from error
    bound = set(BOUND.findall(text))
    if strange := sorted(set(program.variables()) - bound - TYPES - set(NAMES)):
        raise InvalidInput(f"the condition names {strange[0]}, but can only ask about {', '.join(NAMES)}")
    if strange := sorted(
        name for name in program.functions() if name.isidentifier() and name not in FUNCTIONS
    ):  # `_+_` is an operator
        raise InvalidInput(f"the condition calls {strange[0]}, which there is none of")
    return Condition(text, program)


def _syntax(error: ValueError) -> str:
    """Return where and what from the library's words: `ERROR: <input>:1:4: Syntax error: …` and a drawing below."""
    found = re.search(r"<input>:(\d+):(\d+): (.+)", str(error))
    return f"line {found[1]}, column {found[2]}: {found[3][:WHY_CHARS]}" if found else "it cannot be parsed"


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no {str(error.args[0])[:NAME_CHARS]}"
    if isinstance(error, TypeError):
        return "a value is of another type than it compares with"
    return "it failed"
