"""The OpenAPI document of the simulated service, and the services file that names it."""

from pathlib import Path

import yaml

from domain.canonical import JSON

NEITHER = "neither"

AMOUNT: dict[str, JSON] = {"type": "number", "exclusiveMinimum": 0, "description": "Amount to refund."}
REASON: dict[str, JSON] = {"type": "string", "maxLength": 500, "description": "Why the customer gets money back."}
BODY: dict[str, JSON] = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": AMOUNT, "reason": REASON},
    "additionalProperties": False,
}
ORDER: dict[str, JSON] = {"name": "order_id", "in": "path", "required": True, "schema": {"type": "integer"}}
KEY_HEADER: dict[str, JSON] = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
KEY_QUERY: dict[str, JSON] = {"name": "idempotency_key", "in": "query", "schema": {"type": "string"}}


def document(mode: str) -> JSON:
    """Return what a service of this mode says about itself."""
    refund: dict[str, JSON] = {
        "operationId": "refundOrder",
        "summary": "Refund an order",
        "description": "Give a customer money back for an order, all of it or a part.",
        "parameters": [ORDER, KEY_HEADER] if mode == "dedupes" else [ORDER],
        "requestBody": {"required": True, "content": {"application/json": {"schema": BODY}}},
        "responses": {"201": {"description": "It was made."}},
    }
    find: dict[str, JSON] = {
        "operationId": "findRefunds",
        "summary": "Find refunds",
        "description": "Find the refunds that were made under one idempotency key.",
        "parameters": [KEY_QUERY],
        "responses": {"200": {"description": "Those that were made."}},
    }
    paths: dict[str, JSON] = {"/orders/{order_id}/refunds": {"post": refund}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Simulated shop", "version": "1.0.0"},
        "paths": paths if mode == NEITHER else {**paths, "/refunds": {"get": find}},
    }


def services_file(folder: Path, url: str, *, timeout_seconds: float = 10.0, settled_after: float = 1.0) -> Path:
    """Write the services file for the simulated service at a URL, and return its path.

    Args:
        settled_after: Seconds after which a queryable service's "no" is believed.
    """
    lookup = {"operation": "findRefunds", "arguments": {"idempotency_key": "$key"}}
    lookups = {"refundOrder": {**lookup, "settled_after_seconds": settled_after}} if "/queryable/" in url else {}
    has_lookup = f"/{NEITHER}/" not in url
    entry = {
        "url_setting": "SHOP_URL",
        "default_url": url,
        "openapi": "/openapi.json",
        "health": "/health",
        "operations": ["refundOrder", *(["findRefunds"] if has_lookup else [])],
        "lookups": lookups,
        "timeout_seconds": timeout_seconds,
    }
    path = folder / "services.yaml"
    path.write_text(yaml.safe_dump({"services": {"shop": entry}}, sort_keys=False))
    return path
