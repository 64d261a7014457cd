"""Look at a policy before it is in force: `python -m boot.policy check FILE`, `python -m boot.policy dry-run FILE`."""

import argparse
import asyncio
import json
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from boot.dry_run import dry_run
from boot.offline import add_source, check_source, open_records
from boot.policies import load_policy
from boot.settings import read_settings
from checkpoints.runs import Runs
from domain.errors import InvalidPolicy, OrchestrationError
from domain.policy import Policy
from domain.replay import Replay

FINE, REFUSED, UNREADABLE = 0, 1, 2
"""The exit codes."""


def main() -> int:
    """Check a policy, and say what it would have said where that is asked; returns the exit code."""
    given = _arguments()
    try:
        policy = load_policy(given.policy)
    except InvalidPolicy as error:
        sys.stderr.write(f"{given.policy}: refused. {error.detail}\n")
        for each in error.problems[1:]:
            sys.stderr.write(f"  {each['place'] or 'the policy'}: {each['reason']}\n")
        return REFUSED
    try:
        return asyncio.run(_dry_run(given, policy)) if given.command == "dry-run" else _checked(policy)
    except OrchestrationError as error:
        sys.stderr.write(f"Not replayed: {error.detail}\n")
    return UNREADABLE


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m boot.policy",
        description="Look at a policy before it is in force; nothing is changed. Exits 0 where it is one, 1 where it "
        "is refused, 2 where the records cannot be read.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say whether a file is a policy, and where it is wrong")
    replay = commands.add_parser(
        "dry-run",
        help="say what it would have said to the actions on record",
        description="Replay recorded actions against a policy and against the one in force. Without --data-dir or "
        "--mongodb-url it looks where the server's settings say.",
    )
    for command in (check, replay):
        command.add_argument("policy", type=Path, metavar="FILE", help="the policy to look at")
    replay.add_argument("--against", type=Path, metavar="FILE", help="the policy in force; by default POLICY_FILE")
    replay.add_argument("--limit", type=int, default=10_000, help="how many of the newest actions (10,000)")
    replay.add_argument("--since", type=_time, metavar="TIME", help="only runs since then, such as 2026-11-01T12:00Z")
    replay.add_argument("--json", action="store_true", help="the whole result as JSON")
    add_source(replay)
    given = parser.parse_args()
    if given.command == "dry-run":
        check_source(replay, given)
    return given


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("a time reads 2026-11-01T12:00Z") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _checked(policy: Policy) -> int:
    sys.stdout.write(f"A policy of {len(policy.rules)} rules, version {policy.version}.\n")
    return FINE


async def _dry_run(given: argparse.Namespace, policy: Policy) -> int:
    in_force = await asyncio.to_thread(lambda: load_policy(given.against or read_settings().policy_file))
    replay = Replay(policy, in_force)
    async with AsyncExitStack() as stack:
        runs = Runs(await open_records(stack, given))
        told = await dry_run(runs, replay, limit=given.limit, since=given.since)
    if given.json:
        sys.stdout.write(f"{json.dumps(told, indent=2)}\n")
        return FINE
    sys.stdout.write(f"{told['summary']}\n")
    for each in told["changes"]:
        now, then = each["in_force"], each["proposed"]
        change = f"{now['then']} ({now['rule']}) -> {then['then']} ({then['rule']})"
        sys.stdout.write(f"  {each['at']} {each['service']}.{each['operation']} {change}\n")
    return FINE


if __name__ == "__main__":
    sys.exit(main())
