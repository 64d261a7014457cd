"""The whole system on one machine: compose.yaml agrees with the specification, settings, papers and code."""

import asyncio
import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from jsonschema.validators import validator_for

from boot.settings import Settings
from demo.__main__ import read_options
from tests.chroma_server import ChromaServer, chroma_server

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEMO = ("petstore", "vehicles", "cloudapp", "ml")
ONCE = "ollama-model"
"""Runs to its end; nobody asks it how it is."""

KEYS = {
    "build", "cap_drop", "command", "configs", "cpus", "depends_on", "entrypoint", "env_file", "environment",
    "healthcheck", "image", "init", "logging", "mem_limit", "ports", "read_only", "restart", "security_opt", "shm_size",
    "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip
"""Those of a service in the specification that are used here: a misspelt one is not among them."""


def variables(text: str) -> set[str]:
    """Return the names a compose file takes from the environment."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", text))


def documented() -> set[str]:
    return set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.MULTILINE))


def listed(service: dict[str, Any], key: str) -> list[str]:
    """Return the volumes of a service before or behind the first colon."""
    return [each.split(":")[0 if key == "source" else 1] for each in service.get("volumes", [])]


def demo_port(name: str) -> int:
    command = SERVICES[name]["command"]
    assert command[:3] == ["python", "-m", "demo"]
    options = read_options(command[3:], {})
    assert (list(options.ports), options.host) == ([name], "0.0.0.0")  # noqa: S104  # in its container
    return options.ports[name]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_written_as_specified(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= KEYS
    assert {"image", "restart", "mem_limit", "cpus"} <= set(service)
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_the_file_is_written_as_specified() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"name", "services", "configs", "volumes"}
    assert {
        source for service in SERVICES.values() for source in listed(service, "source") if "/" not in source
    } == set(COMPOSE["volumes"])
    assert {each["source"] for service in SERVICES.values() for each in service.get("configs", [])} == set(
        COMPOSE["configs"]
    )


def test_everything_that_stays_says_how_it_is() -> None:
    without = [name for name, service in SERVICES.items() if "test" not in service.get("healthcheck", {})]
    assert without == ["app", ONCE]
    assert "HEALTHCHECK" in DOCKERFILE  # the app's
    awaited = {name: each for service in SERVICES.values() for name, each in service.get("depends_on", {}).items()}
    assert {each["condition"] for each in awaited.values()} <= {"service_healthy", "service_started"}
    assert ONCE not in awaited


def test_only_the_server_is_published_and_on_this_machine_alone() -> None:
    port = Settings.model_fields["port"].default
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "app": [f"127.0.0.1:{port}:{port}"]
    }
    assert f"localhost:{port}" in (ROOT / "README.md").read_text()
    assert f"EXPOSE {port}" in DOCKERFILE
    assert f":{port}/health" in DOCKERFILE


def test_every_variable_is_documented_and_every_password_has_to_be_set() -> None:
    used = variables(TEXT)
    assert used - documented() == set()
    own = EXAMPLE.partition("Read by compose.yaml only")[2]
    assert set(re.findall(r"^#([A-Z_]+)=", own, re.MULTILINE)) == used - {"API_KEYS", "LLM_MODEL"}
    secret = [each for each in re.findall(r"\$\{(\w+)([^}]*)", TEXT) if each[0].endswith(("PASSWORD", "KEYS"))]
    assert {sign[:2] for _, sign in secret} == {":?"}


def test_the_server_gets_settings_it_knows_and_no_foreign_secret() -> None:
    given: dict[str, str] = SERVICES["app"]["environment"]
    foreign = {name for name, value in given.items() if value == ""}
    assert {name for name in given if name.lower() not in Settings.model_fields} == foreign
    assert foreign == {name for name in documented() if name.lower() not in Settings.model_fields}
    assert SERVICES["app"]["env_file"] == [{"path": ".env", "required": False}]


def test_every_address_leads_to_a_service_and_its_port() -> None:
    ports = {
        "redis": 6379,
        "mongo": 27017,
        "chroma": 8000,
        "ollama": 11434,
        "postgres": 5432,
        **{name: demo_port(name) for name in DEMO},
    }
    values = [value for service in SERVICES.values() for value in service.get("environment", {}).values()]
    found = [urlsplit(re.sub(r"\$\{\w+[^}]*\}", "secret", value)) for value in values if "://" in str(value)]
    assert {(each.hostname, each.port) for each in found} == set(ports.items())
    assert all(f"127.0.0.1:{ports[name]}/health" in str(SERVICES[name]["healthcheck"]["test"]) for name in DEMO)


def test_chroma_is_of_the_clients_version_keeps_its_data_and_tells_nobody_anything() -> None:
    chroma = SERVICES["chroma"]
    (version,) = re.findall(r"^chromadb==(\S+)", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    assert chroma["image"] == f"chromadb/chroma:{version}"
    assert listed(chroma, "target") == ["/data"]  # the image's own `persist_path`
    assert "environment" not in chroma  # it sends traces only where an OpenTelemetry endpoint is set


async def test_the_question_whether_chroma_is_well_is_one_that_chroma_answers(tmp_path: Path) -> None:
    async with chroma_server(tmp_path / "chroma") as chroma:
        assert await well(chroma) == 0
        await chroma.kill()
        assert await well(chroma) != 0


async def well(chroma: ChromaServer) -> int:
    """Ask as compose does, in bash; return the exit code."""
    kind, *command = SERVICES["chroma"]["healthcheck"]["test"]
    assert kind == "CMD"
    asked = [part.replace("/8000", f"/{chroma.port}") for part in command]
    process = await asyncio.create_subprocess_exec(*asked, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


def test_every_file_that_is_mounted_exists() -> None:
    mounted = [
        source for service in SERVICES.values() for source in listed(service, "source") if source.startswith("./")
    ]
    assert mounted
    assert [source for source in mounted if not (ROOT / source).is_file()] == []


def test_the_image_holds_every_package_and_nothing_else() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    sources = {source for line in copied for source in line}
    assert sources == {
        *linter["root_packages"],
        "requirements/runtime.txt",
        "requirements/semantic.txt",
        "server.py",
        "services.yaml",
        "policy.yaml",
    }
    assert [source for source in sources if not (ROOT / source).exists()] == []
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_through == sources


def test_the_image_is_made_from_hashes_and_runs_as_nobody_special() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert re.search(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)
    ours = [service for service in SERVICES.values() if "build" in service]
    assert len(ours) == 1 + len(DEMO)
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in ours)
    written = {target for service in ours for target in listed(service, "target")}
    assert written == {SERVICES["app"]["environment"]["DATA_DIR"]}
    assert "mkdir data && chown" in DOCKERFILE


def test_mongodb_is_prepared_with_the_collections_of_the_code() -> None:
    script = (ROOT / "deploy" / "mongo-init.js").read_text()
    code = "".join(path.read_text() for path in (ROOT / "checkpoints").glob("*.py"))
    names = set(re.findall(r'database\["(\w+)"\]', code))
    assert {"runs", "approvals", "ledger"} <= names
    assert names - set(re.findall(r'"(\w+)"', script)) == set()
    user = urlsplit(re.sub(r"\$\{\w+[^}]*\}", "secret", SERVICES["app"]["environment"]["MONGODB_URL"]))
    assert f'user: "{user.username}"' in script
    assert SERVICES["mongo"]["environment"]["MONGO_INITDB_DATABASE"] == "orchestrator"
    assert "authSource=orchestrator" in user.query


def test_the_file_is_what_the_specification_allows() -> None:
    builtin = files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json")
    schema = json.loads(builtin.read_text())
    assert [each.message for each in validator_for(schema)(schema).iter_errors(COMPOSE)] == []
    assert list(validator_for(schema)(schema).iter_errors({"services": {"app": {"imagee": "x"}}}))
