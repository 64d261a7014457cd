"""Checks at start: what production refuses, and what it only warns of. `docs/operations.md` lists them."""

import ipaddress
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from boot.settings import ENV_FILE, Settings
from domain.errors import ConfigurationError

log = structlog.get_logger("boot")

ENCRYPTED = ("rediss", "mongodb+srv")


def check(settings: Settings) -> None:
    """Warn of what is risky; raises `ConfigurationError` for what production must not start with."""
    if settings.environment == "production":
        for name, url in _stores(settings):
            _check_store(name, url)
    for warning in _warnings(settings):
        log.warning("check", warning=warning)


def _stores(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, secret in (("REDIS_URL", settings.redis_url), ("MONGODB_URL", settings.mongodb_url)):
        if secret is not None:
            yield name, secret.get_secret_value()


def _check_store(name: str, url: str) -> None:
    parts = urlsplit(url)
    if "@" not in parts.netloc or not parts.netloc.rpartition("@")[0].partition(":")[2]:
        raise ConfigurationError(f"ENVIRONMENT=production needs a password in {name}.")
    is_encrypted = parts.scheme in ENCRYPTED or "tls=true" in parts.query or "ssl=true" in parts.query
    if not is_encrypted and any(_is_public(host) for host in parts.netloc.rpartition("@")[2].split(",")):
        raise ConfigurationError(f"ENVIRONMENT=production needs TLS in {name}: its host is a public address.")


def _is_public(host: str) -> bool:
    """Return whether a host is a public address; a name may be one of a private network."""
    name = host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_global
    except ValueError:
        return False


def _warnings(settings: Settings) -> Iterator[str]:
    if settings.host not in ("127.0.0.1", "::1", "localhost") and not settings.api_keys.get_secret_value():
        yield f"HOST={settings.host} lets others in, and without API_KEYS everybody may do everything."
    if settings.environment == "production" and not settings.enable_checkpointing:
        yield "ENABLE_CHECKPOINTING=false: what waits for a human is forgotten at a restart."
    if settings.environment == "production" and settings.allow_degraded:
        yield "ALLOW_DEGRADED=true: a store that does not answer is stood in for."
    file = Path(ENV_FILE)
    if file.exists() and file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield f"{ENV_FILE} can be read by others; `chmod 600 {ENV_FILE}`."
