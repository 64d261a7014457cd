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


def test_no_heading_stands_alone_if_something_is_below_it() -> None:
    table = "| a | b |\n" * 80
    assert cut(f"# Shop\n\n## Returns\n\nWithin 30 days.\n\n## Prices\n\n{table}\n## Other\n\n# End") == [
        ("Shop / Returns", "# Shop\n\n## Returns\n\nWithin 30 days."),
        ("Shop / Prices", f"## Prices\n\n{table.strip()}"),
        ("Shop / Other", "## Other"),
        ("End", "# End"),
    ]


def test_what_says_little_alone_joins_its_neighbour() -> None:
    most, rest, lead = "It is so. " * 69, "| You have restored a backup | above |", "A receiver does this:"
    assert [len(text) for _, text in cut(f"# A\n\n{most}\n\n{rest}\n\n# B\n\n{lead}\n\n{most}")] == [735, 717]


def test_a_sentence_is_not_cut_where_its_line_ends() -> None:
    pieces = cut("Goods may be sent back, wherever\nthey were bought, as long as\nthey are unused. " * 60)
    assert all(text.startswith("Goods") and text.endswith("unused.") for _, text in pieces)


def test_an_item_of_a_list_is_a_sentence_of_its_own() -> None:
    assert all(text.endswith("invoice") for _, text in cut("- Goods that are unused\n  with their invoice\n" * 40))


def test_lines_without_a_full_stop_are_cut_between_them() -> None:
    assert all(text.startswith("first,") and text.endswith(",last") for _, text in cut("first,second,last\n" * 500))


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
