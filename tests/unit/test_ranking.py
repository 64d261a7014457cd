"""Two rankings become one: meaning leads, words lead where something is named."""

from domain.knowledge import Given, document_id_of, fused, scope_of
from tools.knowledge.terms import is_exact, terms

NEAR = [("a", 0.6), ("b", 0.5), ("c", 0.4)]


def order(words: list[tuple[str, float]], *, exact: bool = False) -> list[str]:
    return [each.chunk_id for each in fused(NEAR, words, exact=exact)]


def test_words_that_say_little_change_nothing() -> None:
    assert order([("c", 0.4), ("z", 0.3)]) == ["a", "b", "c"]


def test_a_piece_with_most_of_the_words_rises() -> None:
    assert order([("b", 0.9)]) == ["b", "a", "c"]


def test_where_something_is_named_the_words_lead() -> None:
    assert order([("z", 0.2), ("c", 0.1)], exact=True)[:2] == ["c", "z"]


def test_without_meaning_the_words_alone_decide() -> None:
    assert [each.chunk_id for each in fused([], [("z", 0.2), ("c", 0.1)])] == ["z", "c"]


def test_a_score_is_the_better_of_both_and_tells_who_found_it() -> None:
    best = fused(NEAR, [("a", 0.9)])[0]
    assert (best.score, best.found_by) == (0.9, ("meaning", "words"))


def test_operators_in_a_question_are_plain_words() -> None:
    told = [term.match for term in terms('NOT "x AND (y* OR NEAR(a b)) -z col:v')]
    assert told
    assert all(match.startswith('"') and match.endswith('"') and match.count('"') == 2 for match in told)


def test_identifiers_are_told_from_language() -> None:
    named = ["E-4102", "SP-8841", "eu-north-2", "MAX_STEPS", "7700", "v2"]
    assert [word for word in [*named, "returns", "Lindenweg", "co-worker", "30", "NATO"] if is_exact(word)] == named


def test_a_document_keeps_its_name_for_the_same_owner_and_source() -> None:
    one = Given(owner="ann", content=b"1", source="a.md")
    assert document_id_of(one, "x") == document_id_of(one.model_copy(update={"content": b"2"}), "y")
    assert document_id_of(one, "x") != document_id_of(one.model_copy(update={"owner": "bob"}), "x")
    assert document_id_of(Given(owner="ann", content=b"1"), "x") == document_id_of(
        Given(owner="ann", content=b"1"), "x"
    )


def test_scopes_of_alike_owners_differ() -> None:
    assert len({scope_of(name) for name in ("u1", "u10", "shared", "U1", "")}) == 5
