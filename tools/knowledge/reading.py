"""From a file's bytes to its text: plain text here, everything that needs a parser in a process of its own."""

import asyncio
import codecs
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Literal

from domain.errors import UnreadableDocument

type Kind = Literal["pdf", "html", "text"]

PROGRAM = Path(__file__).with_name("extracting.py")
SECONDS = 90.0
FAILED = 1
"""How Python ends when nothing catches an error; what its limits end is killed, or out of memory and said."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ANYTHING = ("iso8859-1", "cp1252", "ascii")
"""Encodings that are told of by default, and in which nearly every file can be read."""

ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0", b"7z\xbc\xaf")
MARKDOWN, PDF = "text/markdown", "application/pdf"
HTML_TYPES = ("text/html", "application/xhtml+xml")
HTML_ENDINGS = (".html", ".htm", ".xhtml")
TEXT_ENDINGS = (".txt", ".md", ".markdown", ".rst")
MOST_ODD = 0.02
"""The share of control characters up to which a file is taken for text."""


@dataclass(frozen=True)
class Read:
    """What a file says."""

    text: str
    title: str = ""


async def read(content: bytes, *, content_type: str = "", name: str = "") -> Read:
    """Return a file's text; raises `UnreadableDocument` where there is none to be had.

    Args:
        content_type: As the sender tells it, and `name` the file's name. What is told to be Markdown is read as text
            whatever it says; of all else the content's first bytes have the last word.
    """
    kind = kind_of(content, content_type=content_type, name=name)
    charset = charset_of(content_type)
    plain = _decoded(content, charset) if kind == "text" else None
    told = await _extracted(content, kind, charset) if plain is None else Read(plain)
    text = told.text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if not text.strip():
        raise UnreadableDocument("There is no text in it." if kind != "pdf" else "There is no text in the PDF.")
    odd = sum(letter < " " and letter not in "\n\t\f" for letter in text[:10_000])
    if odd > MOST_ODD * min(len(text), 10_000) or text[:10_000].count("\ufffd") > 0.1 * min(len(text), 10_000):
        raise UnreadableDocument("It is not text, Markdown, HTML or PDF.")
    return Read(text.encode("utf-8", "replace").decode(), told.title)


def kind_of(content: bytes, *, content_type: str, name: str) -> Kind:
    """Return what a file has to be read as; raises `UnreadableDocument` for what cannot be."""
    told, ending = content_type.partition(";")[0].strip().lower(), Path(name.lower()).suffix
    head = content[:1024]
    start = head.lstrip(codecs.BOM_UTF8 + b" \r\n\t")[:200].lower()
    if told == MARKDOWN:
        return "text"
    if _is_pdf(head, start, told=told, ending=ending):
        return "pdf"
    if content.startswith(ARCHIVES):
        raise UnreadableDocument("Archives and office files are not read; send text, Markdown, HTML or PDF.")
    if ending in TEXT_ENDINGS or (told == "text/plain" and ending not in HTML_ENDINGS):
        return "text"
    if start.startswith((b"<!doctype html", b"<html")) or told in HTML_TYPES or ending in HTML_ENDINGS:
        return "html"
    if told == PDF or ending == ".pdf":
        raise UnreadableDocument("It is called a PDF and is none.")
    return "text"


def _is_pdf(head: bytes, start: bytes, *, told: str, ending: str) -> bool:
    """Return whether a file is a PDF: some have something before their mark, and a text may speak of it."""
    if told == PDF or ending == ".pdf":
        return b"%PDF-" in head
    return start.startswith(b"%pdf-") and ending not in TEXT_ENDINGS


def charset_of(content_type: str) -> str:
    """Return the encoding that a content type tells, as Python names it; nothing where it tells none that is known."""
    told = Message()
    told["Content-Type"] = content_type
    try:
        return codecs.lookup(str(told.get_content_charset() or "")).name
    except (LookupError, ValueError):
        return ""


def _decoded(content: bytes, charset: str) -> str | None:
    """Return a text whose encoding is certain, or None.

    Args:
        charset: As told by the sender; what servers say of everything is believed only where it is not UTF-8.
    """
    marked = [encoding for mark, encoding in MARKS if content.startswith(mark)]
    told = ["utf-8", charset] if charset in ANYTHING else [charset, "utf-8"]
    for encoding in marked or [each for each in told if each]:
        with suppress(UnicodeError, LookupError):
            return content.decode(encoding)
    return None


async def _extracted(content: bytes, kind: Kind, charset: str) -> Read:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(PROGRAM), kind, charset,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await child.communicate(content)
    except TimeoutError as error:
        raise UnreadableDocument("Reading it took too long.") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == FAILED:
        raise UnreadableDocument("It is broken, or of a form that cannot be read.")
    if child.returncode != 0 or not said:
        raise UnreadableDocument("Reading it took more time or memory than is allowed.")
    answer: dict[str, Any] = json.loads(said)
    if "refused" in answer:
        raise UnreadableDocument(answer["refused"])
    return Read(answer["text"], answer["title"])
