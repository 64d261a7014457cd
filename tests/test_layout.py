"""The layout: every top-level package is under the import contract, and none has a name that somebody else's has."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOT_THE_PRODUCT = {"tests", "bench"}


def top_level() -> set[str]:
    packages = {each.parent.name for each in ROOT.glob("*/__init__.py")}
    return packages | {each.stem for each in ROOT.glob("*.py")}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_every_package_is_under_the_import_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert set(settings["root_packages"]) == top_level() - NOT_THE_PRODUCT - {"server"}


def test_nothing_imports_the_shell() -> None:
    """`server` is a module, which the import linter does not look at."""
    modules = [each for name in top_level() - NOT_THE_PRODUCT for each in (ROOT / name).rglob("*.py")]
    assert [str(each) for each in modules if "server" in imported(each)] == []


def test_no_package_has_a_name_that_another_one_has() -> None:
    """`langgraph dev` appends the project to the path: a foreign `tools` would win."""
    assert top_level() & (packages_distributions().keys() | sys.stdlib_module_names) == set()


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    files = [each for name in top_level() - {"tests"} for each in (ROOT / name).rglob("*.py")]
    assert [str(each) for each in files if len(each.read_text().splitlines()) > 400] == []
