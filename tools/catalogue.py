"""The services file: which services there are, where, and which of their operations the agent may call."""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from domain.actions import Lookup
from domain.errors import ConfigurationError

RESERVED = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type", "idempotency-key"})

type Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
type Below = Annotated[str, StringConstraints(pattern=r"^/[!-~]*$")]
type Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
type Names = tuple[Annotated[str, StringConstraints(min_length=1)], ...]


class ServiceEntry(BaseModel):
    """One service of the services file.

    Args:
        url_setting: The environment variable that holds the base URL.
        openapi: Where the OpenAPI document is: a path on the service, an absolute URL, or a file (`./docs/x.json`,
            from the folder of the services file).
        health: A path that answers 2xx while the service is healthy; by default the document is asked for instead.
        operations: The operations the agent may call, by `operationId`.
        reads: POST operations that only compute; they count as reads for policy and approvals.
        reversible: Operations whose effect another call can undo; policy rules may trust them more.
        idempotent: Operations that honour `Idempotency-Key` although their document does not say so; `false` behind
            the name: those that do not although it says so.
        lookups: How to ask whether a call of an operation happened, by the operation's name.
        headers: Sent with every request; `${NAME}` stands for an environment variable.
        timeout_seconds: For one call, retries and all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url_setting: Variable
    default_url: str | None = None
    openapi: Annotated[str, StringConstraints(pattern=r"^(/|\./|\.\./|https?://)[!-~]+$")]
    health: Below | None = None
    operations: Annotated[Names, Field(min_length=1)]
    reads: Names = ()
    reversible: Names = ()
    idempotent: dict[str, bool] = Field(default_factory=dict)
    lookups: dict[str, Lookup] = Field(default_factory=dict)
    headers: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")], str] = Field(default_factory=dict)
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0

    @field_validator("headers")
    @classmethod
    def _leave_ours_alone(cls, headers: dict[str, str]) -> dict[str, str]:
        if ours := sorted(RESERVED & {name.lower() for name in headers}):
            raise ValueError(f"{', '.join(ours)} cannot be set here")
        return headers

    @field_validator("idempotent", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        return dict.fromkeys(given, True) if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _names_what_is_there(self) -> Self:
        """Refuse traits of operations that are not listed: a misspelt one would silently not count."""
        named = {"idempotent": [*self.idempotent], "lookups": [*self.lookups]}
        named["lookups"] += [each.operation for each in self.lookups.values()]
        for field_name, names in named.items():
            if unknown := [name for name in names if name not in self.operations]:
                raise ValueError(f"{field_name}: {unknown[0]} is not among its operations")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    services: dict[Name, ServiceEntry]


@dataclass(frozen=True)
class Configured:
    """A service with everything its entry leaves to the environment filled in.

    Args:
        base_url: Without a slash at its end.
        document: An absolute URL, or a file.
        headers: Their values are secrets: neither logged nor shown.
    """

    name: str
    base_url: str
    document: str | Path
    entry: ServiceEntry
    headers: Mapping[str, str] = field(repr=False)


def load_services(path: Path, environment: Mapping[str, str]) -> tuple[Configured, ...]:
    """Return the services of a file, in its order.

    Raises `ConfigurationError` that names the file, the service and the field.
    """
    try:
        file = _File.model_validate(yaml.load(path.read_text(encoding="utf-8"), UniqueKeys))  # noqa: S506 # a safe loader
    except OSError as error:
        raise ConfigurationError(f"{path}: the services file cannot be read.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {_yaml_problem(error)}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {_problems(error)}") from error
    return tuple(_configured(path, name, entry, environment) for name, entry in file.services.items())


class UniqueKeys(yaml.SafeLoader):
    """Refuses what YAML would silently drop: the first of two entries of one name."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """Return a mapping's members; raises `MarkedYAMLError` that names what is given twice."""
        names = [key.value for key, _ in node.value]
        for twice in {name for name in names if isinstance(name, str) and names.count(name) > 1}:
            raise yaml.MarkedYAMLError(problem=f"{twice} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def _yaml_problem(error: Exception) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return "this is not a YAML file."
    return f"line {error.problem_mark.line + 1}: {error.problem}. (Values such as ${{NAME}} need quotes inside braces.)"


def _problems(error: ValidationError) -> str:
    found = []
    for each in error.errors(include_input=False, include_url=False):
        place = [str(part) for part in each["loc"]]
        found.append(f"{'.'.join(place[1:] if len(place) > 1 else place) or 'the file'}: {each['msg']}")
    return "; ".join(found)


def _configured(path: Path, name: str, entry: ServiceEntry, environment: Mapping[str, str]) -> Configured:
    try:
        base_url = _base_url(entry, environment)
        headers = {key: _filled(key, value, environment) for key, value in entry.headers.items()}
    except ValueError as error:
        raise ConfigurationError(f"{path}: {name}.{error}") from error
    document: str | Path = entry.openapi
    if entry.openapi.startswith("/"):
        document = base_url + entry.openapi
    elif entry.openapi.startswith("."):
        document = path.parent / entry.openapi
    return Configured(name, base_url, document, entry, headers)


def _base_url(entry: ServiceEntry, environment: Mapping[str, str]) -> str:
    given = environment.get(entry.url_setting) or entry.default_url
    if not given:
        raise ValueError(f"url_setting: set {entry.url_setting} or give a default_url")
    source = f"url_setting: {entry.url_setting}" if environment.get(entry.url_setting) else "default_url"
    url = given.rstrip("/")
    parts = _parts(url)
    if parts is None or parts.scheme not in ("http", "https") or re.search(r"[^!-~]|[?#\\]", url):
        raise ValueError(f"{source}: an http or https URL without query is needed")
    if "@" in parts.netloc:
        raise ValueError(f"{source}: the URL is shown to people, credentials belong into headers")
    if {".", ".."} & set(parts.path.split("/")):
        raise ValueError(f"{source}: the URL must not hold dot segments")
    return url


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.hostname and parts.port != 0
    except ValueError:  # brackets or a port that are none
        return None
    return parts if usable else None


def _filled(header: str, template: str, environment: Mapping[str, str]) -> str:
    """Return a header's value with the environment filled in; an error names the variable, never a value."""

    def value_of(match: re.Match[str]) -> str:
        if not (value := environment.get(match[1])):
            raise ValueError(f"headers.{header}: the environment variable {match[1]} is not set")
        return value

    value = re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value_of, template)
    if re.search(r"[^\t -~]", value):
        raise ValueError(f"headers.{header}: its value holds characters a header cannot carry")
    return value
