"""Read the text out of a PDF, a page or an oddly encoded file: a program, `extracting.py KIND CHARSET < FILE`.

Foreign files make parsers loop and swell; here that ends with this process. It imports nothing of ours, and answers
with one JSON object: `text` and `title`, or `refused` with the reason.
"""

import io
import json
import re
import resource
import sys

MOST_BYTES = 2_000_000_000
MOST_SECONDS = 60
MOST_CHARS = 20_000_000
SHORT_BYTES = 400
MOST_WESTERN = 0.25
"""The share of bytes beyond ASCII in a western text; Greek or Russian consist of little else."""

WESTERN = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿŒœ€£§°«»“”„‘’\u2013—…·¿¡\u00a0")
HIDDEN = (
    "script",
    "style",
    "noscript",
    "template",
    "svg",
    "iframe",
    "object",
    "head",
    "title",
    "nav",
    "form",
    "button",
)
TITLES = {f"h{depth}": "#" * depth + " " for depth in range(1, 7)}
PARTS = ("p", "table", "section", "article", "pre", "blockquote", "ul", "ol", "dl")
LINES = ("li", "div", "br", "tr", "dt", "dd")
CELLS = ("td", "th")


class RefusedError(Exception):
    """The file has no text that could be taken."""


def pdf(content: bytes, _: str) -> tuple[str, str]:
    """Return a PDF's text and title."""
    from pypdf import PdfReader

    try:
        reader = PdfReader(io.BytesIO(content))
        readable = not reader.is_encrypted or bool(reader.decrypt(""))
        pages, length = list[str](), 0
        for page in reader.pages if readable else ():
            pages.append(page.extract_text())
            length += len(pages[-1])
            if length > MOST_CHARS:
                break
        title = reader.metadata.title if readable and reader.metadata else None
    except MemoryError:
        raise
    except Exception as error:  # a broken file makes the parser fail in any way
        raise RefusedError("The PDF is broken, or encrypted in an unknown way.") from error
    if not readable:
        raise RefusedError("The PDF is encrypted.")
    if length > MOST_CHARS:
        raise RefusedError("The PDF holds more text than is taken.")
    return "\n\n".join(pages), str(title or "")


def html(content: bytes, charset: str) -> tuple[str, str]:
    """Return a page's visible text, its headings marked as in Markdown, and its title.

    Args:
        charset: As told by the sender, which counts more than what the page says; empty if it told none.
    """
    from bs4 import BeautifulSoup, Tag
    from bs4.element import PageElement

    page = BeautifulSoup(content, "html.parser", from_encoding=charset or None)
    title = page.title.get_text(" ", strip=True) if page.title else ""
    said: list[str] = []
    waiting: list[PageElement | str] = [page]  # not recursive: pages may be nested as deep as they like
    while waiting:
        each = waiting.pop()
        if isinstance(each, Tag):
            if each.name in HIDDEN or each.has_attr("hidden"):
                continue
            around = _around(each.name)
            said += [around, TITLES.get(each.name, "")]
            waiting += [Said(around), *reversed(each.contents)]
        elif isinstance(each, Said):
            said.append(each)
        elif each.__class__.__name__ == "NavigableString":  # comments and the like are of its subclasses
            said.append(re.sub(r"\s+", " ", str(each)))
    lines = (" ".join(line.split()) for line in "".join(said).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)), title


def _around(name: str) -> str:
    """Return what stands before and behind an element of this name."""
    if name in TITLES or name in PARTS:
        return "\n\n"
    return "\n" if name in LINES else " " if name in CELLS else ""


class Said(str):
    """Words of ours between those of the page."""

    __slots__ = ()


def text(content: bytes, _: str) -> tuple[str, str]:
    """Return a text whose encoding has to be guessed."""
    from charset_normalizer import from_bytes

    if len(content) <= SHORT_BYTES and _is_western(content):
        return content.decode("cp1252"), ""
    best = from_bytes(content[:200_000]).best()
    if best is None:
        raise RefusedError("The file is not text.")
    return content.decode(best.encoding, errors="replace"), ""


def _is_western(content: bytes) -> bool:
    """Return whether a text has, beside ASCII, a few letters and signs that western languages write.

    A short one tells too little for a guess by frequencies.
    """
    odd = [byte for byte in content if byte > 0x7F]
    try:
        letters = bytes(odd).decode("cp1252")
    except UnicodeDecodeError:
        return False
    return len(odd) <= MOST_WESTERN * len(content) and all(letter in WESTERN for letter in letters)


KINDS = {"pdf": pdf, "html": html, "text": text}


def main() -> None:
    """Read standard input as the kind the command line names."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    try:
        told, title = KINDS[sys.argv[1]](sys.stdin.buffer.read(), sys.argv[2])
        answer = {"text": told[:MOST_CHARS], "title": title[:300]}
    except RefusedError as error:
        answer = {"refused": str(error)}
    except MemoryError:
        answer = {"refused": "The file needs more memory than is allowed."}
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))


if __name__ == "__main__":
    main()
