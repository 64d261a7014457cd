"""Reads the operations a service offers from its OpenAPI document, which is untrusted."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit

from domain.actions import Operation, Place
from domain.canonical import JSON
from domain.errors import InvalidInput
from tools.schemas import Document, Schema, Unusable, plain_text
from tools.wire import body_name

METHODS = ("get", "head", "post", "put", "patch", "delete")
FLAT = frozenset({"type", "properties", "required", "additionalProperties", "description", "default"})
MAX_SUMMARY = 120
MAX_NAME = 80


@dataclass(frozen=True)
class Offer:
    """What a document offers of what was allowed.

    Args:
        operations: In the order allowed.
        skipped: Why the other allowed operations cannot be offered, by name.
    """

    operations: tuple[Operation, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Entry:
    """One operation as it stands in the document."""

    name: str
    method: str
    path: str
    item: Schema
    node: Schema


def read_offer(
    document: JSON,
    *,
    service: str,
    allowed: Sequence[str] | None = None,
    reads: Collection[str] = (),
    reversible: Collection[str] = (),
) -> Offer:
    """Return the allowed operations of an OpenAPI 3.0 or 3.1 document; one that is unusable does not cost the others.

    Raises `InvalidInput` for anything that is no such document.

    Args:
        allowed: Names of operations; `None` allows all. An operation without `operationId` is named by method and path.
        reads: POST operations that only compute, as the operator knows: the document cannot say so by itself. It can
            only say the opposite, with `x-effect: write`.
        reversible: Operations whose effect another call can undo, as the operator knows.
    """
    root = _checked(document)
    entries: dict[str, list[_Entry]] = {}
    for entry in _entries(root):
        entries.setdefault(entry.name, []).append(entry)
    operations: list[Operation] = []
    skipped: dict[str, str] = {}
    for name in allowed if allowed is not None else entries:
        try:
            entry = _only(entries.get(name, []))
            operation = _operation(entry, root, service=service, reads=reads)
        except Unusable as reason:
            skipped[name] = reason.detail
        else:
            undone = operation.effect == "write" and name in reversible
            operations.append(operation.model_copy(update={"reversibility": "reversible"}) if undone else operation)
    return Offer(tuple(operations), skipped)


def _checked(document: JSON) -> Schema:
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise InvalidInput("This is not an OpenAPI document: it has no paths.")
    if not re.match(r"3\.[0-9]", str(document.get("openapi"))):
        raise InvalidInput("This is not an OpenAPI 3 document.")
    return document


def _entries(root: Schema) -> Iterator[_Entry]:
    paths = root["paths"]
    for path, item in paths.items() if isinstance(paths, dict) else ():
        for method in METHODS:
            node = item.get(method) if isinstance(item, dict) else None
            if isinstance(item, dict) and isinstance(node, dict):
                yield _Entry(_name(node, method, path), method.upper(), path, item, node)


def _name(node: Schema, method: str, path: str) -> str:
    name = node.get("operationId")
    return name if isinstance(name, str) and name else re.sub(r"[^A-Za-z0-9]+", "_", f"{method} {path}").strip("_")


def _only(entries: list[_Entry]) -> _Entry:
    if not entries:
        raise Unusable("the document does not offer it")
    if len(entries) > 1:
        raise Unusable("the document offers it more than once")
    return entries[0]


def _operation(entry: _Entry, root: Schema, *, service: str, reads: Collection[str]) -> Operation:
    document = Document(root)
    parameters = _parameters(entry, document)
    arguments = _Arguments()
    for parameter in parameters:
        arguments.add_parameter(parameter, document, hidden=_secret_queries(document))
    _add_body(arguments, entry, document)
    path = _prefix(entry, root) + _template(entry.path, arguments.places)
    return Operation(
        service=service,
        name=entry.name,
        method=entry.method,
        path=path,
        summary=plain_text(entry.node.get("summary"), MAX_SUMMARY),
        description=plain_text(entry.node.get("description")),
        arguments=arguments.schema(),
        places=arguments.places,
        idempotency_key=_takes_key(entry.node, parameters),
        effect=_effect(entry, reads),
    )


def _effect(entry: _Entry, reads: Collection[str]) -> Literal["read", "write"]:
    harmless = entry.method in ("GET", "HEAD") or (entry.method == "POST" and entry.name in reads)
    return "read" if harmless and entry.node.get("x-effect") != "write" else "write"


def _takes_key(node: Schema, parameters: list[Schema]) -> bool:
    headers = {str(each.get("name")).lower() for each in parameters if each.get("in") == "header"}
    return node.get("x-idempotency-key") is True or "idempotency-key" in headers


def _parameters(entry: _Entry, document: Document) -> list[Schema]:
    """Return the parameters of path item and operation; the operation's own win."""
    found: dict[tuple[str, str], Schema] = {}
    for holder in (entry.item, entry.node):
        listed = holder.get("parameters")
        for node in listed if isinstance(listed, list) else ():
            parameter, _ = document.followed(node)
            found[str(parameter.get("in")), str(parameter.get("name"))] = parameter
    return list(found.values())


def _secret_queries(document: Document) -> frozenset[str]:
    """Return the query parameters that carry credentials, which no model may set."""
    components = document.root.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    listed = [document.followed(node)[0] for node in schemes.values()] if isinstance(schemes, dict) else []
    return frozenset(str(each.get("name")) for each in listed if each.get("in") == "query")


@dataclass
class _Arguments:
    """The flat schema of one operation while it is put together."""

    properties: Schema = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    required: list[JSON] = field(default_factory=list)
    dependent: Schema = field(default_factory=dict)

    def add_parameter(self, parameter: Schema, document: Document, *, hidden: frozenset[str]) -> None:
        """Add a path or query parameter; headers and cookies are the operator's to set, never a model's."""
        name, place = str(parameter.get("name")), parameter.get("in")
        if place not in ("path", "query") or (place == "query" and name in hidden):
            return
        schema = document.schema(parameter.get("schema", {}))
        needed = place == "path" or parameter.get("required") is True
        if reason := _unsendable(parameter, schema, place):
            if needed:
                raise Unusable(f"its parameter {plain_text(name, MAX_NAME)} {reason}")
            return
        if description := plain_text(parameter.get("description")):
            schema["description"] = description
        self.add(name, "path" if place == "path" else "query", schema, needed=needed)

    def add(self, name: str, place: Place, schema: JSON, *, needed: bool) -> None:
        if name in self.places:
            raise Unusable(f"two of its arguments would be called {plain_text(name, MAX_NAME)}")
        if not name or len(name) > MAX_NAME or plain_text(name) != name:
            raise Unusable("one of its arguments has no usable name")
        self.properties[name], self.places[name] = schema, place
        if needed:
            self.required.append(name)

    def schema(self) -> Schema:
        extra: Schema = {"dependentRequired": self.dependent} if self.dependent else {}
        return {
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": False,
            **extra,
        }


def _unsendable(parameter: Schema, schema: Schema, place: JSON) -> str:
    """Return why a parameter cannot be written into a URL by the usual styles, or an empty string."""
    types = schema.get("type")
    listed = types if isinstance(types, list) else [types]
    if "content" in parameter or "object" in listed or "properties" in schema:
        return "is an object"
    if "array" in listed and (place == "path" or parameter.get("explode") is False):
        return "is a list in one value"
    if parameter.get("style") not in (None, "form" if place == "query" else "simple"):
        return "is written in an unusual style"
    return ""


def _add_body(arguments: _Arguments, entry: _Entry, document: Document) -> None:
    if entry.node.get("requestBody") is None:
        return
    body, _ = document.followed(entry.node["requestBody"])
    needed = body.get("required") is True
    if entry.method in ("GET", "HEAD"):
        if needed:
            raise Unusable(f"it needs a body with {entry.method}")
        return
    schema = document.schema(_json_schema(body.get("content")))
    whole = _flattened(schema)
    parameters = tuple(arguments.places)
    if whole is None:
        arguments.add(body_name("body", parameters), "body-whole", schema, needed=needed)
        return
    properties, required = whole
    names = {name: body_name(name, parameters) for name in properties}
    for name, member in properties.items():
        arguments.add(names[name], "body", member, needed=needed and name in required)
    if not needed and required:
        together: list[JSON] = [names[name] for name in properties if name in required]
        arguments.dependent = dict.fromkeys(names.values(), together)


def _json_schema(content: JSON) -> JSON:
    kinds = content if isinstance(content, dict) else {}
    for kind, media in kinds.items():
        if kind.split(";")[0].strip().lower() in ("application/json", "*/*", "application/*"):
            return media.get("schema", {}) if isinstance(media, dict) else {}
    listed = plain_text(", ".join(kinds), 100) or "nothing"
    raise Unusable(f"its body is not JSON but {listed}")


def _flattened(schema: Schema) -> tuple[Schema, set[str]] | None:
    """Return the properties of an object schema and the required ones, or `None` where they do not say everything."""
    rest = dict(schema)
    members = rest.pop("allOf", [])
    properties, required = rest.get("properties", {}), rest.get("required", [])
    if rest.keys() - FLAT or rest.get("type", "object") != "object":
        return None
    merged: Schema = dict(properties) if isinstance(properties, dict) else {}
    needed = {str(name) for name in required} if isinstance(required, list) else set()
    for member in members if isinstance(members, list) else ():
        inner = _flattened(member) if isinstance(member, dict) else None
        if inner is None or any(merged.get(name, part) != part for name, part in inner[0].items()):
            return None
        merged |= inner[0]
        needed |= inner[1]
    return (merged, needed) if merged and needed <= merged.keys() else None


def _prefix(entry: _Entry, root: Schema) -> str:
    """Return the path of the first server named; its host is not ours to trust."""
    for holder in (entry.node, entry.item, root):
        servers = holder.get("servers")
        if isinstance(servers, list) and servers and isinstance(first := servers[0], dict):
            path = urlsplit(_filled(str(first.get("url", "")), first.get("variables"))).path.rstrip("/")
            return _template(path if path.startswith("/") or not path else f"/{path}", {}) if path else ""
    return ""


def _filled(url: str, variables: JSON) -> str:
    for name, node in variables.items() if isinstance(variables, dict) else ():
        if isinstance(node, dict) and isinstance(default := node.get("default"), str):
            url = url.replace(f"{{{name}}}", default)
    return url


def _template(path: str, places: Mapping[str, Place]) -> str:
    """Return a path template that can only lead below the service's base URL; its names must all be path arguments."""
    segments = [segment.partition(";")[0] for segment in path.split("/")]
    if segments[0] or {".", ".."} & set(segments) or re.search(r"[?#\\\s%\x00-\x1f\x7f]", path):
        raise Unusable("its path is malformed")
    names = re.findall(r"\{([A-Za-z0-9_.~-]+)\}", path)
    if any(places.get(name) != "path" for name in names) or len(names) != len(re.findall(r"[{}]", path)) / 2:
        raise Unusable("its path names an argument that is not declared")
    return quote(path, safe="/{}:@!$&'()*+,;=~-._")
