"""The server does what its OpenAPI document says, whatever is sent to it."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
import schemathesis
from pydantic import SecretStr
from schemathesis.checks import load_all_checks
from schemathesis.engine import events, from_schema

from tests.asking import ask, decide, paused, resume
from tests.running import Served, served, settings_for
from tests.services import demo_services

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

KEY = "key-of-an-operator"
RUN: dict[str, Any] = {
    "seed": 1,
    "suppress-health-check": ["all"],
    "headers": {"Authorization": f"Bearer {KEY}"},
    "continue-on-failure": True,
    "request-timeout": 20,
    "generation": {
        "deterministic": True,
        "database": "none",
        "max-examples": 6,
        "no-shrink": True,
        "with-security-parameters": False,  # one key of the two is enough: the checks take that for a missing one
    },
    "operations": [
        {  # whether a text is a policy is more than a schema can tell
            "include-path": "/policy/dry-run",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "422", "5xx"]}},
        },
        *(  # their paths are also those of a record with this id, which takes other methods
            {"include-name": name, "checks": {"unsupported_method": {"enabled": False}}}
            for name in ("GET /experiments/health", "POST /approvals/request", "POST /approvals/bulk-decide")
        ),
        *(  # whether the version named is the present one is more than a schema can tell
            {
                "include-name": name,
                "checks": {
                    "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "412", "5xx"]}
                },
            }
            for name in (
                "DELETE /experiments/{experiment_id}",
                "POST /experiments/{experiment_id}/start",
                "POST /experiments/{experiment_id}/pause",
                "POST /experiments/{experiment_id}/resume",
                "POST /experiments/{experiment_id}/kill",
                "DELETE /experiments/{experiment_id}/forced/{user_id}",
            )
        ),
        *(  # rules between members: weights that sum to 100, either a group or a person
            {"include-name": name, "checks": {"positive_data_acceptance": {"enabled": False}}}
            for name in (
                "POST /approvals/pending/{request_id}/delegate",
                "POST /experiments",
                "PATCH /experiments/{experiment_id}",
                "POST /experiments/{experiment_id}/phases",
                "POST /experiments/{experiment_id}/stop",
                "POST /experiments/{experiment_id}/track/conversion",
                "PUT /experiments/{experiment_id}/forced/{user_id}",
            )
        ),
    ],
    "phases": {"stateful": {"generation": {"max-examples": 4}, "max-steps": 6}},
}

CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "ignored_auth",
}


@dataclass
class Findings:
    """What one phase found wrong, by which checks, and which operations it sent something to."""

    wrong: set[str] = field(default_factory=set)
    checked: set[str] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)

    def add(self, event: events.EngineEvent) -> None:
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.NonFatalError):
            self.wrong.add(f"{event.label}: {event.value!r}")
        if isinstance(event, events.ScenarioFinished):
            self.reached |= {case.value.operation.label for case in event.recorder.cases.values()}
            for check in (each for checks in event.recorder.checks.values() for each in checks):
                self.checked.add(check.name)
                if check.failure_info and not unsent(str(check.failure_info.failure), check.failure_info.code_sample):
                    self.wrong.add(f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}")


def unsent(failure: str, sample: str) -> bool:
    """Return whether the finding is about a header that the tool meant to send and did not."""
    named = re.search(r"parameter `([^`]+)` in header", failure)
    return bool(named and f"{named[1]}:" not in sample)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server that wants a key, with something in every list; its longest message is short, to be quick to make."""
    folder = tmp_path_factory.mktemp("schema")
    keys = SecretStr(f"oli:operator:{hashlib.sha256(KEY.encode()).hexdigest()}")
    async with demo_services(folder / "demo") as services:
        settings = settings_for(folder / "data", services, api_keys=keys, max_message_chars=200)
        async with served(settings) as running:
            running.client.headers["X-API-Key"] = KEY
            await ask(running.client, "which pets are available?", session_id="done")
            run_id, request_id = await paused(running.client, session_id="decided")
            await decide(running.client, request_id)
            await resume(running.client, run_id)
            await paused(running.client, session_id="waits")
            yield running


@pytest.mark.parametrize("phase", ["examples", "coverage", "fuzzing", "stateful"])
async def test_the_server_does_what_its_document_says(locked: Served, phase: str) -> None:
    findings = await asyncio.to_thread(_run, locked.url, phase)
    assert findings.wrong == set(), "\n\n".join(findings.wrong)
    assert findings.checked >= CHECKS
    if phase in ("coverage", "fuzzing"):
        document = (await locked.client.get("/openapi.json")).json()
        every = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
        assert findings.reached == every


def _run(url: str, phase: str) -> Findings:
    load_all_checks()
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=schemathesis.Config.from_dict(RUN))
    schema.config.phases.update(phases=[phase])
    findings = Findings()
    for event in from_schema(schema).execute():
        findings.add(event)
    return findings
