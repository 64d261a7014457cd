"""The server's records for a command that reads them beside the server, while it runs or not."""

import argparse
import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from boot.settings import read_settings
from checkpoints.collections import Database
from checkpoints.documents import open_documents
from domain.errors import ConfigurationError


def add_source(parser: argparse.ArgumentParser, *others: tuple[str, str]) -> None:
    """Let a command be told where the records are.

    Args:
        others: Names and meanings of options that take a file instead.
    """
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data-dir", type=Path, metavar="DIR", help="the server's folder")
    source.add_argument("--mongodb-url", metavar="URL", help="the server's MongoDB; needs --database")
    for name, meaning in others:
        source.add_argument(name, type=Path, metavar="FILE", help=meaning)
    parser.add_argument("--database", metavar="NAME", help="the database on MongoDB")


def check_source(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """End the program where the arguments contradict each other."""
    if bool(given.mongodb_url) != bool(given.database):
        parser.error("--mongodb-url and --database go together")


async def open_records(stack: AsyncExitStack, given: argparse.Namespace) -> Database:
    """Open the records where the server keeps them; raises `ConfigurationError` and `StoreUnavailable`."""
    if given.mongodb_url:
        return await _on_mongodb(stack, given.mongodb_url, given.database)
    if given.data_dir:
        return await _in_folder(stack, given.data_dir)
    settings = await asyncio.to_thread(read_settings)
    if settings.mongodb_url:
        return await _on_mongodb(stack, settings.mongodb_url.get_secret_value(), settings.mongodb_database)
    return await _in_folder(stack, settings.data_dir)


async def _on_mongodb(stack: AsyncExitStack, url: str, database: str) -> Database:
    from checkpoints.mongo import open_mongo  # slow to import, and not needed without it

    return await stack.enter_async_context(open_mongo(url, database=database, max_pool_size=1))


async def _in_folder(stack: AsyncExitStack, data_dir: Path) -> Database:
    path = data_dir / "documents.sqlite"  # as `boot.stores` names it
    if not await asyncio.to_thread(path.is_file):
        raise ConfigurationError(f"{data_dir} holds no document store.")
    return await stack.enter_async_context(open_documents(path))
