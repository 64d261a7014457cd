"""Documents as bytes: BSON, exactly as pymongo would send it."""

from collections.abc import Mapping
from typing import Any, Final

import bson
from bson.codec_options import CodecOptions
from pymongo.errors import DocumentTooLarge

from checkpoints.embedded.paths import Document
from domain.errors import UnsupportedQuery

_BSON: Final[CodecOptions[Document]] = CodecOptions(tz_aware=True)
_MOST_BYTES: Final = 16 * 1024 * 1024  # of one document, as MongoDB


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return a document's bytes; raises what pymongo raises for values BSON does not know or cannot hold."""
    body = bson.encode(document)
    if len(body) > _MOST_BYTES:
        raise DocumentTooLarge(f"A document of {len(body)} bytes exceeds {_MOST_BYTES}.")
    return body


def decoded(body: bytes) -> Document:
    """Return the document; its times are aware and in UTC."""
    return bson.decode(body, codec_options=_BSON)


def copied(document: object) -> Document:
    """Return what a filter, update or document is after its way through BSON: milliseconds, lists, nothing shared."""
    if not isinstance(document, Mapping):
        raise UnsupportedQuery("Filters, updates and documents are mappings.")
    return decoded(encoded(document))
