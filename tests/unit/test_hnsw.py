"""Files of vectors that do not fit together are told before anything native reads them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tools.knowledge.hnsw import HEADER, SIZE, damaged

COUNT, MOST_LINKS, VECTOR = 3, 16, 8
VECTOR_OFFSET = 4 * (2 * MOST_LINKS + 1)
LABEL_OFFSET = VECTOR_OFFSET + 4 * VECTOR
TOLD = (1, 0, 9, COUNT, LABEL_OFFSET + 8, LABEL_OFFSET, VECTOR_OFFSET, 1, 2, MOST_LINKS, 2 * MOST_LINKS, 16, 0.36, 99)
ONE_LEVEL = 4 * (MOST_LINKS + 1)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Write a sound index with three elements, the last of them with links above level 0."""
    folder = tmp_path / "one"
    folder.mkdir()
    with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as database, database:
        database.execute("CREATE TABLE segments (id TEXT)")
        database.execute("INSERT INTO segments VALUES ('one'), ('of records, without a folder')")
    (folder / "header.bin").write_bytes(HEADER.pack(*TOLD))
    (folder / "data_level0.bin").write_bytes(bytes(COUNT * (LABEL_OFFSET + 8)))
    (folder / "length.bin").write_bytes(bytes(COUNT * 4))
    (folder / "link_lists.bin").write_bytes(SIZE.pack(0) * 2 + SIZE.pack(ONE_LEVEL) + bytes(ONE_LEVEL))
    return folder


def test_a_sound_index_is_taken(index: Path) -> None:
    assert damaged(index.parent) is None


@pytest.mark.parametrize("name", ["header.bin", "data_level0.bin", "length.bin", "link_lists.bin"])
def test_every_file_that_is_cut_is_told(index: Path, name: str) -> None:
    file = index / name
    file.write_bytes(file.read_bytes()[:-1])
    assert damaged(index.parent) == file


@pytest.mark.parametrize(("place", "value"), [(0, 2), (1, 8), (2, 1), (4, 9), (5, 0), (6, 0), (8, 3), (10, 9)])
def test_a_header_that_contradicts_itself_is_told(index: Path, place: int, value: int) -> None:
    (index / "header.bin").write_bytes(HEADER.pack(*TOLD[:place], value, *TOLD[place + 1 :]))
    assert damaged(index.parent) == index / "header.bin"


@pytest.mark.parametrize("size", [1, 2 * ONE_LEVEL, 0xFFFFFFFF])
def test_links_of_a_length_that_cannot_be_are_told(index: Path, size: int) -> None:
    (index / "link_lists.bin").write_bytes(SIZE.pack(0) * 2 + SIZE.pack(size) + bytes(2 * ONE_LEVEL))
    assert damaged(index.parent) == index / "link_lists.bin"


LEFT: list[Callable[[Path], object]] = [
    lambda folder: (folder / "chroma.sqlite3").write_bytes(b"no database"),
    lambda folder: (folder / "one").rename(folder / "of a collection that was dropped"),
]


@pytest.mark.parametrize("change", LEFT)
def test_what_is_not_in_use_is_not_looked_at(index: Path, change: Callable[[Path], object]) -> None:
    (index / "header.bin").write_bytes(b"")
    change(index.parent)
    assert damaged(index.parent) is None
