"""OpenAPI documents as text: parsed with care, and kept on disk for a start while their service is down."""

import asyncio
import json
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from domain.canonical import JSON
from domain.errors import InvalidInput


def parse_document(text: str) -> JSON:
    """Return the JSON a document's text stands for.

    Raises `InvalidInput` for texts that are no JSON, or hold what JSON or UTF-8 cannot carry.
    """
    try:
        document: JSON = json.loads(text, parse_constant=_refuse)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The OpenAPI document is not JSON.") from error
    return document


def _refuse(constant: str) -> None:
    raise ValueError(constant)


class Shelf:
    """The last known document of each service, as files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def last(self, service: str) -> str | None:
        """Return the text kept last, `None` where there is none or it cannot be read."""
        try:
            return await asyncio.to_thread((self._folder / f"{service}.json").read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    async def keep(self, service: str, text: str) -> None:
        """Keep a text, whole or not at all, in the place of the one before. Raises `OSError`."""
        await asyncio.to_thread(self._replace, self._folder / f"{service}.json", text)

    def _replace(self, path: Path, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=self._folder, suffix=".part", delete=False) as part:
            try:
                part.write(text)
                part.flush()
                os.fsync(part.fileno())
                Path(part.name).replace(path)
            except OSError:
                Path(part.name).unlink(missing_ok=True)
                raise
