"""A reply cites what is there, word for word, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.citations import cited, sentences
from domain.conversation import Passage

TEXT = "Goods may be sent back within 30 days.\nWe pay the postage for faulty articles only."
BACK = Passage(document_id="doc_1", chunk_id="doc_1.2.0", title="Returns", text=TEXT, score=0.8)
LATE = Passage(document_id="doc_2", chunk_id="doc_2.1.3", title="Delay", text="An hour costs 9 euros.", score=0.5)


def test_a_quote_that_is_in_its_piece_becomes_a_source_with_its_place() -> None:
    text, (source,), dropped, _ = cited("“within 30 days” [doc_1.2.0]", [BACK, LATE])
    assert (text, dropped) == ("“within 30 days” [doc_1.2.0]", 0)
    assert (source.document_id, source.chunk_id, source.title, source.score) == ("doc_1", "doc_1.2.0", "Returns", 0.8)
    assert TEXT[source.start : source.end] == source.quote == "within 30 days"


FALSE: list[tuple[str, str]] = [
    ("“within 90 days” [doc_1.2.0]", "[…]"),
    ("“An hour costs 9 euros.” [doc_1.2.0]", "“An hour costs 9 euros.”"),
    ("Thirty days [doc_9.1.0].", "Thirty days."),
    ("Thirty days [doc_1.3.0]", "Thirty days"),
    ("Bananas are yellow fruit [doc_1.2.0]", "Bananas are yellow fruit"),
]


@pytest.mark.parametrize(("said", "kept"), FALSE)
def test_a_false_citation_is_taken_out_of_the_reply(said: str, kept: str) -> None:
    assert cited(said, [BACK, LATE])[:3] == (kept, (), 1)


PAIRS = ["“”", "„“", "„”", '""', "''", "‘’", "‚‘", "«»", "»«", "›‹", "‹›", "「」", "『』", "””", "»»"]


@pytest.mark.parametrize("signs", PAIRS)
def test_whatever_signs_a_quote_has_it_is_checked(signs: str) -> None:
    true, false = (f"{signs[0]}{words}{signs[1]}" for words in ("within 30 days", "within 90 days"))
    reply = cited(f"It's said: {true} [doc_1.2.0]. It isn't {false} [doc_1.2.0].", [BACK])
    assert [source.quote for source in reply.sources] == ["within 30 days"]
    assert reply.text == f"It's said: {true} [doc_1.2.0]. It isn't […]."
    assert (reply.dropped, reply.refused) == (1, 1)


def test_of_a_false_quote_all_is_left_out_that_is_between_its_signs() -> None:
    reply = cited("See “the “old” and “new” rules” [doc_1.2.0]; “within 30 days” [doc_1.2.0]", [BACK])
    assert reply.text == "See […]; “within 30 days” [doc_1.2.0]"


def test_apostrophes_are_no_quotes() -> None:
    reply = cited("The driver's goods don't go back 'cause it's late: postage for faulty articles [doc_1.2.0]", [BACK])
    assert (len(reply.sources), reply.refused) == (1, 0)


@pytest.mark.parametrize(("cites", "kept"), [("doc_1.2.0", " [doc_1.2.0]"), ("doc_9.1.0", "")])
def test_a_citation_in_two_brackets_is_one_in_brackets(cites: str, kept: str) -> None:
    assert cited(f"“within 30 days” [[{cites}]].", [BACK]).text == f"“within 30 days”{kept}."


def test_a_quote_may_break_its_lines_elsewhere_and_is_given_as_it_stands_in_the_piece() -> None:
    _, (source,), *_ = cited('"30 days. We pay the postage" [doc_1.2.0]', [BACK])
    assert source.quote == "30 days.\nWe pay the postage"


@pytest.mark.parametrize(
    ("said", "quote"),
    [
        (f"“{TEXT}” — Returns", TEXT),
        ("“Goods may be sent back\nwithin 30 days.\n\nWe pay the postage” — Returns", TEXT[:57]),
        ("It says “Goods may be sent back”, more exactly “within 30 days”", "within 30 days"),
        ('Goods "may be sent back" for long: "30 days"', "30 days"),
        ("«Goods may be sent back within 30 days.»", "Goods may be sent back within 30 days."),
    ],
)
def test_all_of_a_quote_is_the_source_however_many_lines_it_has(said: str, quote: str) -> None:
    _, (source,), dropped, _ = cited(f"Asked about returns:\n{said} [doc_1.2.0]", [BACK])
    assert (source.quote, dropped) == (quote, 0)


def test_what_is_quoted_may_have_quotes_in_it() -> None:
    text = "Write “opened” on the parcel.\nThen call it “returned”"
    passage = BACK.model_copy(update={"text": text})
    assert [source.quote for source in cited(f"“{text}” — Returns [doc_1.2.0]", [passage]).sources] == [text]


def test_a_quote_with_more_signs_than_anybody_needs_is_read_in_time() -> None:
    assert cited("“" * 100_000 + 'back”, a 5" pipe [doc_1.2.0]', [BACK]).dropped == 0


def test_a_sentence_goes_on_over_a_line_and_ends_before_an_item_a_row_or_a_heading() -> None:
    text = "# Title\nOne that goes\non. Two\n- item\n- other\n\n| a |\n1. first\n"
    assert [text[start:end] for start, end in sentences(text)] == [
        "# Title", "One that goes\non.", "Two", "- item", "- other", "| a |", "1.", "first",
    ]  # fmt: skip


def test_without_a_quote_the_sentence_most_like_the_claim_is_the_source() -> None:
    _, (source,), *_ = cited("You get the postage for faulty articles [doc_1.2.0].", [BACK])
    assert source.quote == "We pay the postage for faulty articles only."


def test_one_bracket_may_cite_several_pieces_and_keeps_the_true_ones() -> None:
    text, sources, dropped, _ = cited("An hour costs 9 euros [doc_2.1.3, doc_7.1.1]", [BACK, LATE])
    assert (text, [source.chunk_id for source in sources], dropped) == (
        "An hour costs 9 euros [doc_2.1.3]",
        ["doc_2.1.3"],
        1,
    )


@pytest.mark.parametrize("text", ["", "Nothing.", "See [1] and [x, y].", "a[0] = b[i]", "[]", "[ doc ]"])
def test_brackets_that_cite_nothing_stay(text: str) -> None:
    assert cited(text, [BACK])[:3] == (text, (), 0)


def test_the_same_words_cited_twice_are_one_source() -> None:
    _, sources, *_ = cited("“within 30 days” [doc_1.2.0] and again “within 30 days” [doc_1.2.0]", [BACK])
    assert len(sources) == 1


@given(st.text(alphabet="ab .!?\n“”\"'‘’„«»[]doc_1.20", max_size=200), st.text(max_size=200))
def test_whatever_a_model_says_every_source_is_really_there(said: str, text: str) -> None:
    passage = BACK.model_copy(update={"text": text})
    for source in cited(f"{said} [doc_1.2.0] {said}", [passage]).sources:
        assert text[source.start : source.end] == source.quote
        assert source.quote


@given(st.text(alphabet="ab .!?\n\t", max_size=200))
def test_sentences_are_parts_of_the_text_in_order_and_never_blank(text: str) -> None:
    places = sentences(text)
    assert places == sorted(places)
    assert all(text[start:end].strip() for start, end in places)
