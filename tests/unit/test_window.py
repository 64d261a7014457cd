"""The working window stays within its budget, and what falls out is summed up."""

from hypothesis import given
from hypothesis import strategies as st

from domain.conversation import Message
from domain.window import MESSAGE_CHARS, remember

TEXTS = st.lists(st.text(max_size=400), max_size=12)


def said(*texts: str) -> list[Message]:
    return [Message(role="user", content=text) for text in texts]


def test_what_fits_is_kept_as_it_is() -> None:
    assert remember(said("a"), "", said("b", "c"), window_chars=10, summary_chars=10) == (said("a", "b", "c"), "")


def test_the_oldest_falls_out_first_and_is_summed_up() -> None:
    window, summary = remember(said("aaaa", "bbbb"), "", said("cccc"), window_chars=8, summary_chars=100)
    assert window == said("bbbb", "cccc")
    assert summary == "user: aaaa"


def test_the_summary_forgets_its_oldest_line_first() -> None:
    _, summary = remember(said("bbbb"), "user: aaaa", said("cccc"), window_chars=4, summary_chars=12)
    assert summary == "user: bbbb"


def test_a_long_message_is_cut_with_a_mark() -> None:
    window, _ = remember([], "", said("x" * 9_000), window_chars=10_000, summary_chars=0)
    assert len(window[0].content) == MESSAGE_CHARS
    assert window[0].content.endswith("…")


@given(TEXTS, TEXTS, st.integers(0, 500), st.integers(0, 200))
def test_budgets_hold_whatever_is_said(before: list[str], turn: list[str], chars: int, summary_chars: int) -> None:
    window, summary = remember(said(*before), "", said(*turn), window_chars=chars, summary_chars=summary_chars)
    assert sum(len(message.content) for message in window) <= chars
    assert len(summary) <= summary_chars
    assert window == said(*before, *turn)[len(before) + len(turn) - len(window) :]
