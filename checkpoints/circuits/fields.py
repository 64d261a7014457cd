"""A breaker's record as the fields of a Redis hash, and as a document."""

import json
from collections.abc import Mapping
from typing import Any, cast

from checkpoints.collections import Document
from domain.breakers import Bucket, Change, Record, State

TEXTS = frozenset({"state", "probe", "error"})
NUMBERS = tuple(each for each in Record._fields if each not in TEXTS | {"window", "history"})


def hash_of(record: Record) -> dict[str, str | int]:
    """Return every field as Redis keeps it; `checkpoints/circuits/script.lua` reads and writes the same."""
    window = " ".join(":".join(map(str, bucket)) for bucket in record.window)
    history = json.dumps(record.history, separators=(",", ":"), ensure_ascii=False) if record.history else ""
    flat: dict[str, str | int] = {name: getattr(record, name) for name in (*TEXTS, *NUMBERS)}
    return {**flat, "window": window, "history": history}


def from_hash(hashed: Mapping[str, str]) -> Record:
    """Return the record of a hash; fields that are not there have their defaults."""
    numbers: dict[str, Any] = {name: int(hashed[name]) for name in NUMBERS if name in hashed}
    texts: dict[str, Any] = {name: hashed[name] for name in TEXTS if name in hashed}
    window = tuple(Bucket(*map(int, bucket.split(":"))) for bucket in hashed.get("window", "").split())
    history = tuple(_change(each) for each in json.loads(hashed.get("history") or "[]"))
    return Record(**numbers, **texts, window=window, history=history)


def document_of(name: str, record: Record) -> Document:
    """Return what the backup keeps of a breaker; the window and the probe are gone before anybody could use them."""
    kept = record._asdict() | {"window": [], "probe": "", "probe_until": 0}
    return {"_id": name, **kept, "history": [each._asdict() for each in record.history]}


def from_document(document: Document) -> Record:
    """Return the record of a backup."""
    history = tuple(Change(**each) for each in document["history"])
    kept = {name: document[name] for name in Record._fields if name in document}
    return Record(**{**kept, "window": (), "history": history})


def _change(each: list[Any]) -> Change:
    at, before, after, reason, by = each
    return Change(int(at), cast("State", before), cast("State", after), reason, by)
