"""The page that shows the OpenAPI document and sends requests: ours, so that no foreign script runs on it."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

PAGES = Path(__file__).parent / "pages"

type Json = dict[str, Any]


@router.get("/docs")
async def show_reference(request: Request) -> HTMLResponse:
    """Show every operation with a form that is filled in with its example."""
    return HTMLResponse(page(request.app.openapi()), headers=_guarded())


def page(document: Json) -> str:
    """Return the document as a page; its style and script are in it, everything that varies is escaped."""
    body = "".join(_families(document))
    title = escape(document["info"]["title"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{_source("reference.css")}</style></head><body>
<h1>{title}</h1>{_prose(document["info"]["description"])}
<p>For programs: <a href="openapi.json">openapi.json</a>.</p>
<label for="key">API key <small>sent as <code>X-API-Key</code>, kept on this page only</small></label>
<input id="key" type="password" autocomplete="off">
{body}<script>{_source("reference.js")}</script></body></html>"""


def _families(document: Json) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>{_prose(tag['description'])}"
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if tag["name"] in operation["tags"]:
                    yield _operation(method.upper(), path, operation, document)


def _operation(method: str, path: str, operation: Json, document: Json) -> str:
    inputs = "".join(_input(each) for each in operation.get("parameters", []))
    answers = "".join(
        f"<dt>{escape(status)}</dt><dd>{escape(each['description'])}</dd>"
        for status, each in operation["responses"].items()
    )
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><b>{method}</b> <code>{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary>{_prose(operation['description'])}"
        f'<form data-method="{method}" data-path="{escape(path)}">{inputs}{_body(operation, document)}'
        f"<button>Send</button><pre hidden></pre></form><dl>{answers}</dl></details>"
    )


def _input(parameter: Json) -> str:
    place, name = parameter["in"], escape(parameter["name"])
    example = escape(str(next(iter(parameter["schema"].get("examples", [])), "")))
    needed = " required" if parameter["required"] else ""
    told = escape(parameter.get("description", ""))
    return (
        f"<label>{name} <small>{place}{needed} {told}</small>"
        f'<input name="{name}" data-place="{place}" value="{example}"{needed}></label>'
    )


def _body(operation: Json, document: Json) -> str:
    if "requestBody" not in operation:
        return ""
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    example = json.dumps(schema["examples"][0], indent=2, ensure_ascii=False)
    return f"<label>Body{_prose(schema['description'])}<textarea>{escape(example)}</textarea></label>"


def _prose(text: str) -> str:
    """Return paragraphs; of Markdown they know code only."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return "".join(f"<p>{each}</p>" for each in marked.split("\n\n"))


@cache
def _source(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


@cache
def _guarded() -> dict[str, str]:
    """Return headers that let the page run its own script, talk to its own server, and nothing else."""
    style, script = (hashed(_source(name)) for name in ("reference.css", "reference.js"))
    rules = ("default-src 'none'", f"style-src {style}", f"script-src {script}", "connect-src 'self'")
    fixed = ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
    return {"Content-Security-Policy": "; ".join((*rules, *fixed)), "X-Content-Type-Options": "nosniff"}


def hashed(source: str) -> str:
    """Return a style or script as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
