"""Checkpoints by hand: `python -m boot.checkpoints copy --from SAVER --to SAVER`, and `prune --in SAVER`.

Stop the servers first: what they store meanwhile is not copied.
"""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from boot.savers import Saver, care, packing
from boot.settings import Settings, read_settings
from checkpoints.copying import copied_all, holds, threads_of
from checkpoints.lean.parts import Care
from checkpoints.lean.saver import LeanSaver
from checkpoints.saver import (
    open_langgraph_sqlite_saver,
    open_redis_json_saver,
    open_redis_saver,
    open_sqlite_saver,
)
from domain.errors import ConfigurationError, OrchestrationError

KINDS = ("redis", "redis-json", "sqlite", "langgraph-sqlite")
CONNECTIONS = 4

SAVERS = """
a SAVER is one of these, with an address or a path behind a colon where it is not the one of the settings:
  redis             our checkpoints in a plain Redis or Valkey (REDIS_URL)
  redis-json        langgraph-checkpoint-redis's, in a Redis with search and JSON (REDIS_URL)
  sqlite            our checkpoints in a file (DATA_DIR/checkpoints.sqlite)
  langgraph-sqlite  langgraph-checkpoint-sqlite's, in a file
"""

COPYING = f"""{SAVERS}
Threads are copied one after the other, each checkpoint once: what is there already stays, and a copy that was broken
off goes on when it is started again. Nothing is removed where they come from. CHECKPOINTS_KEPT applies to a thread at
its next step, or with `prune`; CHECKPOINT_KEY encrypts what is copied, and has to name the keys of what is read.

  python -m boot.checkpoints copy --from redis-json --to redis
  python -m boot.checkpoints copy --from langgraph-sqlite:old.sqlite --to sqlite --thread thr_1
  python -m boot.checkpoints copy --from sqlite --to redis:rediss://app:password@redis.example:6379/0
"""

PRUNING = f"""{SAVERS}
Of every thread its newest checkpoint stays, and so many beside it: ends of runs and pauses for humans first.

  python -m boot.checkpoints prune --in redis --kept 3
"""


async def copy(settings: Settings, source: str, target: str, *, threads: list[str]) -> str:
    """Copy threads, all where none is named, and return what was done.

    Raises `ConfigurationError` for a saver or a thread that is none, before anything is copied, and `StoreError` for a
    saver that does not open or answer.
    """
    async with AsyncExitStack() as stack:
        old = await _opened(stack, settings, source, keeping=Care())
        new = await _opened(stack, settings, target, keeping=Care())
        for thread in threads:
            if not await holds(old, thread):
                raise ConfigurationError(f"There is no thread {thread} in {source.partition(':')[0]}.")
        wanted = threads or await threads_of(old)
        total = done = 0
        async for thread, count in copied_all(old, new, wanted):
            done, total = done + 1, total + count
            sys.stderr.write(f"{done} of {len(wanted)}: {thread}, {count} checkpoints\n")
    return f"{total} checkpoints of {done} threads copied."


async def prune(settings: Settings, target: str, *, kept: int) -> str:
    """Drop what is more than so many checkpoints beside the newest, of every thread, and return what was done.

    Raises `ConfigurationError` and `StoreError`.
    """
    async with AsyncExitStack() as stack:
        saver = await _opened(stack, settings, target, keeping=Care())
        if not isinstance(saver, LeanSaver):
            raise ConfigurationError("Only our own savers can be pruned: redis and sqlite.")
        threads = await threads_of(saver)
        for thread in threads:
            await saver.shelf.retain(thread, kept)
    return f"{len(threads)} threads pruned."


async def _opened(stack: AsyncExitStack, settings: Settings, named: str, *, keeping: Care) -> Saver:
    kind, _, where = named.partition(":")
    if kind not in KINDS:
        raise ConfigurationError(f"{kind} is no saver; there are {', '.join(KINDS)}.")
    if kind.startswith("redis"):
        return await _opened_redis(stack, settings, kind, where, keeping)
    path = Path(where) if where else settings.data_dir / "checkpoints.sqlite"
    if not path.parent.is_dir() or (kind == "langgraph-sqlite" and not path.exists()):
        raise ConfigurationError(f"There is no {path}.")
    if kind == "sqlite":
        return await stack.enter_async_context(open_sqlite_saver(path, care=keeping, serde=packing(settings)))
    return await stack.enter_async_context(open_langgraph_sqlite_saver(path))


async def _opened_redis(stack: AsyncExitStack, settings: Settings, kind: str, where: str, keeping: Care) -> Saver:
    from checkpoints.redis import PATIENT, open_redis  # the driver is not always installed

    url = where or (settings.redis_url.get_secret_value() if settings.redis_url else "")
    if not url:
        raise ConfigurationError(f"{kind} needs REDIS_URL, or an address behind a colon.")
    client = await stack.enter_async_context(open_redis(url, max_connections=CONNECTIONS, manner=PATIENT))
    if kind == "redis-json":
        opening = open_redis_json_saver(client, ttl_minutes=settings.checkpoint_ttl_minutes)
        return await stack.enter_async_context(opening)
    keeping = Care(kept=keeping.kept, ttl_ms=care(settings).ttl_ms, ends_waiting=settings.checkpoint_ttl_waiting)
    return await stack.enter_async_context(open_redis_saver(client, care=keeping, serde=packing(settings)))


def read_options(arguments: list[str]) -> argparse.Namespace:
    """Return the options; leaves the process with status 2 when they make no sense."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m boot.checkpoints", description=__doc__, epilog=SAVERS, formatter_class=as_written
    )
    commands = parser.add_subparsers(dest="command", required=True)
    copying = commands.add_parser(
        "copy", help="copy threads; what is there already stays", epilog=COPYING, formatter_class=as_written
    )
    copying.add_argument("--from", dest="source", required=True, metavar="SAVER", help="where they are")
    copying.add_argument("--to", dest="target", required=True, metavar="SAVER", help="where they shall be")
    copying.add_argument("--thread", action="append", default=[], metavar="ID", help="this one only; may be repeated")
    pruning = commands.add_parser(
        "prune", help="drop what is more than the settings let stay", epilog=PRUNING, formatter_class=as_written
    )
    pruning.add_argument("--in", dest="target", required=True, metavar="SAVER", help="where: redis or sqlite")
    pruning.add_argument("--kept", type=_count, metavar="N", help="beside the newest; absent: CHECKPOINTS_KEPT")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no count")
    return int(text)


def main() -> int:
    """Do what the command line asks for; returns the exit code."""
    options = read_options(sys.argv[1:])
    try:
        settings = read_settings()
        if options.command == "copy":
            done = asyncio.run(copy(settings, options.source, options.target, threads=options.thread))
        else:
            kept = care(settings).kept if options.kept is None else options.kept
            done = "" if kept is None else asyncio.run(prune(settings, options.target, kept=kept))
    except OrchestrationError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(f"{done or 'CHECKPOINTS_KEPT=all: nothing to drop.'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
