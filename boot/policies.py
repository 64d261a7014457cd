"""The policy in force: read whole from its file, or refused whole."""

from pathlib import Path

import yaml

from domain.errors import ConfigurationError, InvalidPolicy
from domain.policy import Policy, read_policy
from tools.catalogue import UniqueKeys


def policy_of(text: str) -> Policy:
    """Return the policy of a YAML text; raises `InvalidPolicy` that says where it is wrong."""
    try:
        document = yaml.load(text, UniqueKeys)  # noqa: S506 # a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidPolicy(f"It is not YAML: {place}{error.problem or 'it cannot be read'}.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        raise InvalidPolicy("It is not YAML.") from error
    return read_policy(document)


def load_policy(path: Path) -> Policy:
    """Return the policy of a file; raises `ConfigurationError` naming what is wrong."""
    try:
        return policy_of(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"POLICY_FILE {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"POLICY_FILE {path} is not YAML: it is not UTF-8.") from error
    except InvalidPolicy as error:
        raise ConfigurationError(f"POLICY_FILE {path}: {error.detail}", extra=error.extra) from error
