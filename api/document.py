"""The OpenAPI document: what FastAPI reads off the routes, and the refusals that follow from what a route takes."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from api.knowledge_shapes import DocumentIn
from api.problems import HEADERS, MEDIA_TYPE
from api.shapes import ProblemOut

type Json = dict[str, Any]

TAGS = [
    {"name": "orchestrate", "description": "Messages in, replies or pauses out."},
    {"name": "approvals", "description": "What waits for a human, and the human's word."},
    {"name": "policy", "description": "What the agent may do, and what it might under other rules."},
    {"name": "experiments", "description": "Which configuration of the agent does best, and how sure that is."},
    {"name": "actions", "description": "What was really sent, and a human's word where nobody knows what came of it."},
    {"name": "knowledge", "description": "Documents the agent can cite."},
    {"name": "operations", "description": "How the server is, what it is made of, and how it is configured."},
    {"name": "services", "description": "Reads of the services, with the agent's own checks."},
]


KEY_HEADER = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key"}
"""The other way to send a key: `api.access.Key` tells FastAPI of one."""


def refusals(*statuses: int) -> dict[int | str, Json]:
    """Return the problems of a route that do not follow from what it takes: see `_refused` for those that do."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": content,
            "headers": {name: {"schema": {"type": "string"}} for name in HEADERS.get(status, {})},
        }
        for status in statuses
    }


class Documented(FastAPI):
    """An application whose document says what the server really answers.

    Args:
        longest_message: Characters of the longest message taken.
        metadata_keys: What the metadata of documents may say.
    """

    def __init__(self, *, longest_message: int, metadata_keys: Iterable[str] = (), **given: Any) -> None:
        super().__init__(
            **given,
            docs_url=None,
            redoc_url=None,
            openapi_tags=TAGS,
            generate_unique_id_function=lambda each: each.name,
        )
        self._longest_message = longest_message
        self._metadata_keys = sorted(metadata_keys)

    def openapi(self) -> Json:
        """Return the document; it is made once."""
        if self.openapi_schema is None:
            self._complete(super().openapi())
        return self.openapi_schema or {}

    def _complete(self, document: Json) -> None:
        schemas = document["components"]["schemas"]
        for theirs in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which this server never sends
            schemas.pop(theirs, None)
        schemas["ProblemOut"] = ProblemOut.model_json_schema()
        # Its route takes files, too, and reads the body itself.
        schemas["DocumentIn"] = DocumentIn.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schemas["DocumentIn"].pop("$defs", {})
        for name in ("DocumentIn", "SearchIn"):
            metadata = schemas[name]["properties"]["metadata"]
            metadata.pop("$ref", None)
            value = {"type": "string", "minLength": 1, "maxLength": 200}
            metadata |= {"type": "object", "properties": dict.fromkeys(self._metadata_keys, value)}
            metadata["additionalProperties"] = False
        schemas["MessageIn"]["properties"]["message"]["maxLength"] = self._longest_message
        document["components"]["securitySchemes"]["APIKeyHeader"] = KEY_HEADER
        for item in document["paths"].values():
            for method, operation in item.items():
                for parameter in operation.get("parameters", []):
                    parameter["schema"] = _without_null(parameter["schema"])
                if operation.get("security"):
                    operation["security"].append({"APIKeyHeader": []})
                documented = refusals(*_refused(method, operation))
                operation["responses"] |= {str(status): each for status, each in documented.items()}


def _without_null(schema: Json) -> Json:
    """Return the schema of a parameter without null: it may be left out, but there is no way to write null."""
    chosen = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **chosen[0]} if len(chosen) == 1 else schema


def _refused(method: str, operation: Json) -> Iterator[int]:
    """Return the statuses of the problems that follow from what an operation takes."""
    if operation.get("security"):
        yield from (401, 403)
    if "parameters" in operation or "requestBody" in operation:
        yield 422
    if method in ("post", "put", "patch"):
        yield from (400, 413)
    yield from (500, 503)
