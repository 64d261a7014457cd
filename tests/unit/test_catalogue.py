"""The services file: what it may say, and how it says what is wrong."""

from pathlib import Path

import pytest

from domain.errors import ConfigurationError
from tools.catalogue import load_services

ENTRY = (
    "    url_setting: SHOP_URL\n    default_url: http://127.0.0.1:1/\n    openapi: /openapi.json\n    operations: [a]\n"
)


def written(folder: Path, text: str) -> Path:
    path = folder / "services.yaml"
    path.write_text(text)
    return path


def entry(folder: Path, more: str = "", *, base: str = ENTRY) -> Path:
    return written(folder, f"services:\n  shop:\n{base}{more}")


def test_an_entry_is_filled_from_the_environment(tmp_path: Path) -> None:
    path = entry(tmp_path, '    headers: {X-Key: "Bearer ${SHOP_KEY}"}\n')
    (shop,) = load_services(path, {"SHOP_URL": "https://shop.example/v1/", "SHOP_KEY": "s3cret"})
    assert (shop.name, shop.base_url, shop.document) == (
        "shop",
        "https://shop.example/v1",
        "https://shop.example/v1/openapi.json",
    )
    assert (dict(shop.headers), "s3cret" in repr(shop)) == ({"X-Key": "Bearer s3cret"}, False)
    assert (shop.entry.health, shop.entry.reads, shop.entry.timeout_seconds) == (None, (), 10.0)


def test_services_keep_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "services:\n" + "".join(f"  {name}:\n{ENTRY}" for name in ("zoo", "a", "m")))
    assert [each.name for each in load_services(path, {})] == ["zoo", "a", "m"]


@pytest.mark.parametrize(
    ("where", "document"),
    [("/a.json", "http://127.0.0.1:1/a.json"), ("https://x/a.json", "https://x/a.json"), ("./docs/a.json", None)],
)
def test_a_document_is_on_the_service_elsewhere_or_a_file(tmp_path: Path, where: str, document: str | None) -> None:
    (shop,) = load_services(entry(tmp_path, base=ENTRY.replace("/openapi.json", where)), {})
    assert shop.document == (document or tmp_path / "docs/a.json")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("    operation: [a]\n", "shop.operation: Extra inputs are not permitted"),
        ("    idempotent: [b]\n", "shop: Value error, idempotent: b is not among its operations"),
        ("    idempotent: {a: maybe}\n", "shop.idempotent.a: Input should be a valid boolean"),
        ("    lookups: {b: {operation: a, arguments: {}}}\n", "lookups: b is not among its operations"),
        ("    lookups: {a: {operation: b, arguments: {}}}\n", "lookups: b is not among its operations"),
        ("    lookups: {a: {operation: a}}\n", "shop.lookups.a.arguments: Field required"),
        ("    lookups: {a: {operation: a, arguments: {}, found: x}}\n", "shop.lookups.a.found: String should match"),
        ("    timeout_seconds: 0\n", "shop.timeout_seconds: Input should be greater than 0"),
        ("    health: health\n", "shop.health: String should match"),
        ("    operations: [b]\n", "operations is given twice"),
        ("    headers: {Host: x}\n", "shop.headers: Value error, host cannot be set here"),
        ("    headers: {X-Key: ${K}}\n", "need quotes inside braces"),
        ('    headers: {X-Key: "${K}"}\n', "shop.headers.X-Key: the environment variable K is not set"),
        ('    headers: {X-Key: "${BAD}"}\n', "shop.headers.X-Key: its value holds characters a header cannot carry"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, more: str, problem: str) -> None:
    path = entry(tmp_path, more)
    with pytest.raises(ConfigurationError) as caught:
        load_services(path, {"BAD": "top\nsecret"})
    assert caught.value.detail.startswith(str(path))
    assert problem in caught.value.detail
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize(
    "url",
    ["ftp://h", "h:80", "http://", "http://u:p@h", "http://h/?a=1", "http://h/a/../b", "http://h:99999", "http://[h",
     "http://h/ b"],
)  # fmt: skip
def test_a_base_url_that_cannot_be_used_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"shop\.url_setting: SHOP_URL: "):
        load_services(entry(tmp_path), {"SHOP_URL": url})


@pytest.mark.parametrize("text", ["", "services: []", "a: [", "services:\n  Shop Two: {}", "\x00"])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"services\.yaml: "):
        load_services(written(tmp_path, text), {})


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_services(tmp_path / "none.yaml", {})


def test_a_missing_base_url_names_its_setting(tmp_path: Path) -> None:
    base = ENTRY.replace("    default_url: http://127.0.0.1:1/\n", "")
    with pytest.raises(ConfigurationError, match=r"shop\.url_setting: set SHOP_URL or give a default_url"):
        load_services(entry(tmp_path, base=base), {"SHOP_URL": ""})
