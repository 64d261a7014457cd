"""The papers say what the code does."""

import re
from pathlib import Path
from typing import Any, cast

import pytest

from boot.settings import Settings
from graph.build import Parts, build
from server import create_app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_setting_is_in_the_example_file_with_its_default() -> None:
    example = (ROOT / ".env.example").read_text()
    missing = [name for name in Settings.model_fields if not re.search(rf"^#?{name.upper()}=", example, re.MULTILINE)]
    assert missing == []


def test_every_setting_is_in_the_table_of_the_readme() -> None:
    assert [name for name in Settings.model_fields if f"| `{name.upper()}` |" not in README] == []


def test_every_route_is_in_the_table_of_the_readme() -> None:
    paths = cast("dict[str, dict[str, Any]]", create_app(Settings(_env_file=None)).openapi()["paths"])
    routes = [f"`{method.upper()} {path}`" for path, methods in paths.items() for method in methods]
    assert [route for route in routes if route not in README] == []


def test_the_drawn_graph_is_current() -> None:
    nothing: Any = None
    parts = Parts(
        model=nothing, variants=nothing, knowledge=nothing, toolbox=nothing, policies=nothing, approvals=nothing,
        ledger=nothing, clock=nothing, max_steps=1, error_handling=True, window_chars=1, summary_chars=1,
    )  # fmt: skip
    drawn = build(parts, checkpointer=None).get_graph().draw_mermaid()
    assert drawn.strip() in (ROOT / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize(
    "paper",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/operations.md",
        "docs/benchmarks.md",
        "docs/kill-matrix.md",
    ],
)
def test_every_link_and_named_file_exists(paper: str) -> None:
    text = (ROOT / paper).read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert [link for link in links if not (ROOT / paper).parent.joinpath(link).exists()] == []


def test_no_paper_has_a_gap() -> None:
    papers = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    assert [str(paper) for paper in papers if "@@" in paper.read_text()] == []
