"""Whether the files of Chroma's indexes of vectors fit together: its native code trusts them, and dies of damaged ones.

An index is a folder of four files. `header.bin` says how many elements there are and how they lie in memory,
`data_level0.bin` has them, `length.bin` the length of each vector, and `link_lists.bin` each one's links above level 0.
"""

import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

HEADER = struct.Struct("<iQQQQQQiIQQQdQ")
"""What `header.bin` begins with, without gaps; it is as long as this."""

VERSION = 1
NOWHERE = 0xFFFFFFFF
"""The place where searching begins while nothing is there."""

FLOAT, LABEL = 4, 8
"""Bytes of a number in a vector, or of a link, and of an element's name."""
SIZE = struct.Struct("<I")
"""What stands before the links of an element in `link_lists.bin`: how many bytes they are."""


class Header(NamedTuple):
    """What `header.bin` says, in its order; sizes and offsets are in bytes."""

    version: int
    offset_level0: int
    most: int
    elements: int
    element_bytes: int
    label_offset: int
    vector_offset: int
    top_level: int
    entry: int
    most_links: int
    most_links_level0: int
    links: int
    level_factor: float
    breadth: int

    @property
    def fits(self) -> bool:
        """Whether it does not contradict itself: what lies in an element lies there, and what is pointed at exists."""
        vector = self.label_offset - self.vector_offset
        return (
            self.version == VERSION
            and self.offset_level0 == 0
            and self.elements <= self.most
            and self.vector_offset == FLOAT * (self.most_links_level0 + 1)
            and vector > 0
            and vector % FLOAT == 0
            and self.element_bytes == self.label_offset + LABEL
            and (self.entry < self.elements if self.elements else self.entry == NOWHERE)
        )


def damaged(folder: Path) -> Path | None:
    """Return the first file of a Chroma folder's indexes that does not fit the others, or None."""
    for index in _indexes(folder):
        if found := _damaged(index):
            return found
    return None


def _indexes(folder: Path) -> list[Path]:
    """Return the folders of the indexes in use; where the database does not tell, that is for Chroma to say."""
    file = folder / "chroma.sqlite3"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as reader:
            names = [str(row[0]) for row in reader.execute("SELECT id FROM segments ORDER BY id")]
    except sqlite3.Error:
        return []
    return [folder / name for name in names if (folder / name / "header.bin").exists()]


def _damaged(index: Path) -> Path | None:
    told = (index / "header.bin").read_bytes()
    if len(told) != HEADER.size:
        return index / "header.bin"
    header = Header(*HEADER.unpack(told))
    if not header.fits:
        return index / "header.bin"
    if _size(index / "data_level0.bin") < header.elements * header.element_bytes:
        return index / "data_level0.bin"
    if _size(index / "length.bin") < header.elements * FLOAT:
        return index / "length.bin"
    links = index / "link_lists.bin"
    return None if links.exists() and _links_fit(links.read_bytes(), header) else links


def _links_fit(links: bytes, header: Header) -> bool:
    one_level, place = FLOAT * (header.most_links + 1), 0
    for _ in range(header.elements):
        if place + SIZE.size > len(links):
            return False
        (size,) = SIZE.unpack_from(links, place)
        if size % one_level or size > one_level * max(header.top_level, 0):
            return False
        place += SIZE.size + size
    return place <= len(links)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else -1
