"""The policy: changed while the server runs, refused whole, remembered, and tried on what was."""

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from boot.container import utc_now
from boot.policies import PolicyFile
from checkpoints.documents import open_documents
from checkpoints.policies import Policies
from tests.asking import ask, decide, paused, refunds, resume
from tests.running import ROOT, Served, served, settings_for
from tests.services import DemoServices

OURS: dict[str, Any] = yaml.safe_load((ROOT / "policy.yaml").read_text())
ALL_RUN = {"rules": [{"name": "all-run", "then": "run"}]}
NOTHING = {"rules": [{"name": "none", "then": "deny", "reason": "Closed today."}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(json.dumps(OURS))
    return path


def write(file: Path, policy: dict[str, Any] | None) -> None:
    """Put a policy into the file; None removes it."""
    file.unlink() if policy is None else file.write_text(json.dumps(policy))


async def reloaded(server: Served, file: Path, policy: dict[str, Any]) -> None:
    """Change the policy file and wait until the server has taken notice."""
    before = server.container.policies.shown()
    write(file, policy)
    await until(lambda: server.container.policies.shown() != before)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # the server looks at its file in its own time
            await asyncio.sleep(0.02)


async def test_a_changed_policy_is_in_force_without_a_restart_and_the_old_one_stays_readable(
    tmp_path: Path, demo: DemoServices, file: Path
) -> None:
    async with served(settings_for(tmp_path / "data", demo, policy_file=file)) as server:
        _, request_id = await paused(server.client)
        before = (await server.client.get("/policy")).json()
        await reloaded(server, file, NOTHING)
        now = (await server.client.get("/policy")).json()
        reply = (await ask(server.client, "refund order 1002 with $5", session_id="s2")).json()
        asked_under = (await server.client.get(f"/approvals/{request_id}")).json()["policy_version"]
        kept = (await server.client.get(f"/policy/versions/{asked_under}")).json()
        status = (await server.client.get("/feature-status")).json()
    assert before["version"] == asked_under != now["version"] == status["policy"]["version"]
    assert (reply["actions"][0]["status"], reply["actions"][0]["result"]) == ("denied", "Closed today.")
    assert [rule["name"] for rule in kept["rules"]] == [rule["name"] for rule in OURS["rules"]]
    assert [rule["name"] for rule in now["rules"]] == ["none"]


async def test_a_policy_with_a_mistake_is_refused_whole_and_said(
    tmp_path: Path, demo: DemoServices, file: Path
) -> None:
    async with served(settings_for(tmp_path / "data", demo, policy_file=file)) as server:
        before = (await server.client.get("/policy")).json()
        odd = {"name": "odd", "when": {"condition": "args.amount >"}, "then": "run"}
        await reloaded(server, file, {"rules": [*ALL_RUN["rules"], odd]})
        now = (await server.client.get("/policy")).json()
        health = (await server.client.get("/health")).json()
        answer = await ask(server.client, "refund order 1001 with $5")
        await reloaded(server, file, OURS)
        healed = (await server.client.get("/policy")).json()
    assert (now["version"], now["rules"]) == (before["version"], before["rules"])
    assert now["problem"]["problems"][0]["rule"] == "odd"
    assert health["status"] == "degraded"
    assert "rule odd: rules.1.when: the condition is not CEL" in health["details"]["policy"]
    assert answer.status_code == 202
    assert (healed["version"], healed["problem"]) == (before["version"], None)


async def test_a_file_that_is_gone_or_half_written_changes_nothing(tmp_path: Path, file: Path) -> None:
    async with open_documents(tmp_path / "documents.sqlite") as database:
        policies = PolicyFile(file, Policies(database), humans=True, clock=utc_now)
        await policies.open()
        version = policies.current().version
        write(file, ALL_RUN)
        await policies.look()  # seen once: it may still be being written
        assert policies.current().version == version
        write(file, None)
        await policies.look()
        assert policies.refusal
        assert policies.refusal.detail == "It cannot be read: No such file or directory."
        write(file, OURS)
        for _ in range(2):
            await policies.look()
        assert policies.shown()["problem"] is None
        assert policies.current().version == version


async def test_what_was_asked_stays_asked_whatever_the_policy_says_by_then(
    tmp_path: Path, demo: DemoServices, file: Path
) -> None:
    async with served(settings_for(tmp_path / "data", demo, policy_file=file)) as server:
        run_id, request_id = await paused(server.client)
        await reloaded(server, file, ALL_RUN)
        await decide(server.client, request_id, approved=False, notes="no")
        body = (await resume(server.client, run_id)).json()
    assert body["actions"][0]["status"] == "rejected"
    assert await refunds(demo["cloudapp"]) == []


async def test_without_humans_a_changed_policy_still_denies_what_would_ask(
    tmp_path: Path, demo: DemoServices, file: Path
) -> None:
    async with served(settings_for(tmp_path / "data", demo, policy_file=file, enable_hitl=False)) as server:
        await reloaded(server, file, {"rules": OURS["rules"]})
        body = (await ask(server.client, "refund order 1001 with $500")).json()
    assert body["actions"][0]["status"] == "denied"
    assert "ENABLE_HITL" in body["actions"][0]["result"]


async def acted(server: Served) -> None:
    """Leave two reads, two refunds and a call that was none on record."""
    for number, message in enumerate(("which pets are available?", "show pet 3", "refund order 1001 with $500")):
        await ask(server.client, message, session_id=f"s{number}")
    await ask(server.client, "refund order 1002 with $20", session_id="s4")


async def test_a_dry_run_tells_what_another_policy_would_have_said(server: Served) -> None:
    await acted(server)
    strict = """
rules:
  - {name: reads-run, when: {effect: read}, then: run}
  - {name: small, when: {condition: args.amount <= 20}, then: run}
  - {name: rest, then: deny}
"""
    told = (await server.client.post("/policy/dry-run", json={"policy": strict})).json()
    assert (told["would_run"], told["would_ask"], told["would_deny"], told["complete"]) == (3, 0, 1, True)
    assert told["in_force"]["would_ask"] == 2
    assert told["summary"].startswith("Of 4 actions the proposed policy would have asked 0 times, allowed 3, denied 1;")
    changes = [
        (each["arguments"]["amount"], each["in_force"]["rule"], each["proposed"]["rule"]) for each in told["changes"]
    ]
    assert changes == [(20, "money-asks", "small"), (500, "money-asks", "rest")]
    assert told["changes"][0]["origins"] == {"order_id": "user", "amount": "user"}
    bounded = (await server.client.post("/policy/dry-run", json={"policy": OURS, "limit": 1})).json()
    assert (bounded["considered"], bounded["changed"], bounded["complete"]) == (1, 0, False)
    late = {"policy": OURS, "since": "2100-01-01T00:00:00Z"}
    assert (await server.client.post("/policy/dry-run", json=late)).json()["considered"] == 0


async def test_a_proposal_with_a_mistake_is_a_problem_that_names_the_place(server: Served) -> None:
    wrong = {"rules: [": [], "rules: [{name: a, then: maybe}]": ["rules.0.then"], "rules: []": ["rules"], "- 1": [""]}
    for policy, places in wrong.items():
        answer = await server.client.post("/policy/dry-run", json={"policy": policy})
        body = answer.json()
        assert (answer.status_code, body["type"]) == (422, "/problems/invalid-policy")
        assert [each["place"] for each in body["problems"]] == places


async def test_who_may_see_and_try_policies(tmp_path: Path, demo: DemoServices) -> None:
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("user", "approver", "operator")}
    keys = SecretStr(",".join(f"{name}:{name}:{digest}" for name, digest in digests.items()))
    async with served(settings_for(tmp_path / "data", demo, api_keys=keys)) as server:
        found = {}
        for name in digests:
            head = {"X-API-Key": name}
            seen = await server.client.get("/policy", headers=head)
            tried = await server.client.post("/policy/dry-run", json={"policy": OURS}, headers=head)
            found[name] = (seen.status_code, tried.status_code)
    assert found == {"user": (403, 403), "approver": (200, 403), "operator": (200, 200)}


async def command(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "boot.policy", *arguments, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


async def test_the_command_checks_a_file_and_names_every_mistake(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("rules: [{name: a, then: maybe}, {name: b, then: run, wen: {}}]")
    fine, wrong, none = [await command("check", str(each)) for each in ("policy.yaml", broken, tmp_path / "none")]
    assert (fine[0], wrong[0], none[0]) == (0, 1, 1)
    assert fine[1].startswith(f"A policy of {len(OURS['rules'])} rules, version ")
    assert "rule a: rules.0.then: Input should be 'run', 'ask' or 'deny'." in wrong[2]
    assert "rules.1.wen: Extra inputs are not permitted" in wrong[2]
    assert "It cannot be read: No such file or directory." in none[2]


async def test_the_command_replays_beside_the_running_server(server: Served, tmp_path: Path) -> None:
    await acted(server)
    proposed = tmp_path / "proposed.yaml"
    proposed.write_text(json.dumps(NOTHING))
    given = ("dry-run", str(proposed), "--against", "policy.yaml", "--data-dir", str(tmp_path / "data"))
    code, said, _ = await command(*given)
    assert code == 0
    assert "would have asked 0 times, allowed 0, denied 4; the one in force would have asked 2 times, allowed 2" in said
    assert "cloudapp.refundOrder ask (money-asks) -> deny (none)" in said
    assert (await command(*given[:-1], str(tmp_path / "nowhere")))[0] == 2
    assert json.loads((await command(*given, "--json"))[1])["would_deny"] == 4
