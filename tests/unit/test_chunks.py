"""A text is cut into pieces that can be quoted: nothing is lost, nothing is said twice."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from tools.knowledge.chunks import MOST_CHARS, chunks, title_of

PAGE = "# Shop\n\nWelcome.\n\n## Returns\n\nWithin 30 days.\n\n## Shipping\n\nTwo days.\n\n### Abroad\n\nFive days.\n"


def cut(text: str) -> list[tuple[str, str]]:
    return [(chunk.heading, chunk.text) for chunk in chunks(text, document_id="d", version=1)]


def test_pieces_stay_below_their_headings() -> None:
    assert cut(PAGE) == [
        ("Shop", "# Shop\n\nWelcome."),
        ("Shop / Returns", "## Returns\n\nWithin 30 days."),
        ("Shop / Shipping", "## Shipping\n\nTwo days."),
        ("Shop / Shipping / Abroad", "### Abroad\n\nFive days."),
    ]


def test_ids_tell_document_version_and_place() -> None:
    assert [chunk.chunk_id for chunk in chunks(PAGE, document_id="doc_1", version=7)][:2] == ["doc_1.7.0", "doc_1.7.1"]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    pieces = cut("This is one sentence of many. " * 200)
    assert len(pieces) > 3
    assert all(text.startswith("This") and text.endswith("many.") for _, text in pieces)


@given(st.text(alphabet=st.sampled_from("ab. \n#\t!。é"), max_size=3_000))
def test_every_letter_is_in_exactly_one_piece_as_it_stands(text: str) -> None:
    pieces = chunks(text, document_id="d", version=1)
    assert all(text[piece.start : piece.end] == piece.text and piece.text.strip() for piece in pieces)
    assert all(len(piece.text) <= MOST_CHARS for piece in pieces)
    assert all(one.end <= other.start for one, other in itertools.pairwise(pieces))
    assert re.sub(r"\s", "", "".join(piece.text for piece in pieces)) == re.sub(r"\s", "", text)


def test_a_line_without_end_is_cut_in_time() -> None:
    assert len(cut("x" * 1_000_000)) == 1_000


def test_a_title_is_the_first_heading_or_the_first_line() -> None:
    assert [title_of(text) for text in ("\n## Returns ##\n\nx", "Plain words\nmore", " ")] == [
        "Returns",
        "Plain words",
        "",
    ]
