"""What production does not start with."""

from pathlib import Path

import pytest

from boot.checks import check
from domain.errors import ConfigurationError
from tests.running import settings_for

PRODUCTION = {"environment": "production", "api_keys": f"oli:operator:{'0' * 64}"}


@pytest.mark.parametrize(
    ("setting", "url", "told"),
    [
        ("redis_url", "redis://10.0.0.1:6379/0", "needs a password in REDIS_URL"),
        ("redis_url", "redis://user@10.0.0.1:6379/0", "needs a password in REDIS_URL"),
        ("mongodb_url", "mongodb://10.0.0.1/", "needs a password in MONGODB_URL"),
        ("redis_url", "redis://:pw@8.8.8.8:6379/0", "needs TLS in REDIS_URL"),
        ("mongodb_url", "mongodb://me:pw@10.0.0.1,8.8.8.8:27017/", "needs TLS in MONGODB_URL"),
        ("redis_url", "redis://:pw@[2001:4860:4860::8888]:6379/0", "needs TLS in REDIS_URL"),
    ],
)
def test_production_refuses_an_open_store(tmp_path: Path, setting: str, url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        check(settings_for(tmp_path, {}, **PRODUCTION, **{setting: url}))


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("redis_url", "redis://:pw@redis:6379/0"),
        ("redis_url", "rediss://:pw@8.8.8.8:6379/0"),
        ("mongodb_url", "mongodb://me:pw@127.0.0.1/?tls=true"),
        ("mongodb_url", "mongodb+srv://me:pw@cluster.example.com/"),
    ],
)
def test_production_takes_a_closed_one(tmp_path: Path, setting: str, url: str) -> None:
    check(settings_for(tmp_path, {}, **PRODUCTION, **{setting: url}))


def test_development_takes_an_open_one(tmp_path: Path) -> None:
    check(settings_for(tmp_path, {}, redis_url="redis://10.0.0.1/0"))
