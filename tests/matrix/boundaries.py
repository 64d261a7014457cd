"""Where a process can die: the interpreter tells when chosen functions of the product begin and return.

Nothing is wrapped or replaced: `sys.monitoring` calls us at the first instruction and at the return of the functions
named here, in whatever process `watch` was called. A boundary's name says which command it is and who gave it, such as
`act: ledger.insert_one`; the same command by the same giver is counted.
"""

import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, Literal, Self

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

from checkpoints.documents import EmbeddedCollection
from checkpoints.embedded.cursor import EmbeddedCursor
from checkpoints.lean.redis_shelf import RedisShelf
from checkpoints.lean.saver import LeanSaver
from checkpoints.lean.sqlite_shelf import SqliteShelf
from checkpoints.saver import FencedSaver
from graph.execution import Execution
from tests.matrix import naive
from tests.running import ROOT
from tools.http import PooledClient
from tools.http_answers import read_text
from tools.transport import Transport

type When = Literal["before", "after"]
type Naming = Callable[[FrameType], str]

READS = frozenset({"find", "find_one", "count_documents", "distinct", "aggregate", "aget_tuple"})
WRITES = frozenset(
    {"insert_one", "insert_many", "find_one_and_update", "find_one_and_delete", "update_one", "update_many"}
    | {"replace_one", "delete_one", "delete_many"}
)
BACKGROUND = frozenset(
    {"open_container", "_tend", "get_orchestration", "list_orchestrations", "get_approval", "renew", "listen"}
)
"""Givers that look again and again: their reads are no boundaries, for nobody could count them; their writes are."""

SPOKEN = ("__interrupt__", "__resume__", "verdicts", "results", "actions", "reply", "text")
"""Channels that say what a task wrote; of others it says enough where it leads."""

BARE = ("checkpoint.", "answer ")
"""Commands whose giver says nothing: LangGraph writes checkpoints from tasks of its own."""

TOOL = 4
"""The number under which the interpreter knows this observer; debuggers and profilers have others."""


@dataclass(frozen=True, order=True)
class Point:
    """One boundary, and the side of it.

    Args:
        nth: Which time it is that this giver gives this command in the life of the process, from 1.
    """

    name: str
    nth: int
    when: When

    def __str__(self) -> str:
        """Return it as tables show it."""
        return f"{self.when} {self.name}" + (f" ({self.nth})" if self.nth > 1 else "")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the point that `str` wrote."""
        found = re.fullmatch(r"(before|after) (.*?)(?: \((\d+)\))?", text)
        assert found, text
        when: When = "before" if found[1] == "before" else "after"
        return cls(found[2], int(found[3] or 1), when)


class Boundaries:
    """Counts boundaries and reports each.

    Args:
        report: Called with every point, and with whether an action was being sent: from the moment its intent may be
            durable until its outcome is.
    """

    def __init__(self, report: Callable[[Point, bool], None]) -> None:
        self._report = report
        self._seen: Counter[tuple[str, When]] = Counter()
        self._sending = 0
        self._named = dict(_watched())

    def watch(self) -> None:
        """Observe this process from now on."""
        monitoring = sys.monitoring
        events = monitoring.events
        monitoring.use_tool_id(TOOL, "boundaries")
        monitoring.register_callback(TOOL, events.PY_START, lambda code, _: self._passed(code, "before"))
        monitoring.register_callback(TOOL, events.PY_RETURN, lambda code, _, __: self._passed(code, "after"))
        for code in self._named:
            monitoring.set_local_events(TOOL, code, events.PY_START | events.PY_RETURN)

    def _passed(self, code: CodeType, when: When) -> None:
        frame = sys._getframe(2)
        command = self._named[code](frame)
        givers = list(_givers(frame))
        is_background = any(each in BACKGROUND for _, each in givers)
        if not command or (is_background and command.rpartition(".")[2] in READS):
            return
        name = command if command.startswith(BARE) else f"{_label(givers)}{command}"
        self._seen[name, when] += 1
        begins, ends = (_is_written(command, givers, by) for by in ("begin", "finish"))
        self._sending = max(0, self._sending - (ends and when == "after"))
        self._report(Point(name, self._seen[name, when], when), self._sending > 0)
        self._sending += begins and when == "before"


def _is_written(command: str, givers: list[tuple[str, str]], by: str) -> bool:
    """Return whether a command writes the ledger, given by this method of it."""
    collection, _, method = command.rpartition(".")
    return collection == "ledger" and method in WRITES and ("checkpoints/ledger", by) in givers


def _watched() -> Iterator[tuple[CodeType, Naming]]:
    """Yield the functions that are boundaries, each with how to name a call of it; '' is no boundary."""
    for method in (READS | WRITES) - {"find", "aget_tuple"}:
        yield getattr(EmbeddedCollection, method).__code__, _command(lambda this: this.name)
    yield EmbeddedCursor._found.__code__, lambda frame: f"{frame.f_locals['self']._name}.find"
    for method in ("aput", "aput_writes", "aget_tuple"):
        yield getattr(FencedSaver, method).__code__, _checkpoint
        yield getattr(LeanSaver, method).__code__, _checkpoint
    for shelf in (SqliteShelf, RedisShelf):
        yield shelf.store.__code__, _stored
    yield PooledClient._send.__code__, lambda frame: _asked("send", frame.f_locals["call"].method, frame)
    yield (
        inspect.unwrap(Transport.handle_async_request).__code__,
        lambda frame: _asked("wire", frame.f_locals["request"].method, frame),
    )
    yield read_text.__code__, lambda frame: _asked("response", "", frame)
    yield RequestResponseCycle.send.__code__, _answer
    yield Execution.attempt.__code__, lambda _: "attempt"
    for method in ("aput", "aput_writes"):
        yield getattr(AsyncSqliteSaver, method).__code__, _naive_checkpoint
    yield naive.pay.__code__, lambda _: "naive.pay"
    if "checkpoints.mongo" in sys.modules:
        yield from _networked()


def _naive_checkpoint(frame: FrameType) -> str:
    """Name a checkpoint of the negative control, which uses a saver by itself, not behind ours."""
    behind_ours = any(module == "checkpoints/saver" for module, _ in _givers(frame))
    return "" if behind_ours else f"naive.{frame.f_code.co_name}"


def _networked() -> Iterator[tuple[CodeType, Naming]]:
    from redis.asyncio.client import Pipeline, Redis

    from checkpoints.mongo import MongoCollection, MongoCursor

    for method in (READS | WRITES) - {"find", "aget_tuple"}:
        yield getattr(MongoCollection, method).__code__, _command(lambda this: this._collection.name)
    yield MongoCursor.to_list.__code__, lambda frame: f"{frame.f_locals['self']._cursor._collection.name}.find"
    yield Redis.execute_command.__code__, lambda frame: _redis(frame, frame.f_locals["args"][0])
    yield Pipeline.execute.__code__, lambda frame: _redis(frame, "pipeline")


def _command(collection: Callable[[Any], str]) -> Naming:
    return lambda frame: f"{collection(frame.f_locals['self'])}.{frame.f_code.co_name}"


def _checkpoint(frame: FrameType) -> str:
    """Name a checkpoint by what is in it: its step, or the channels that a task wrote."""
    if ("checkpoints/probe", "check_saver") in _givers(frame):
        return ""
    if frame.f_code.co_name == "aput":
        return f"checkpoint.aput {frame.f_locals['metadata'].get('step')}"
    if frame.f_code.co_name == "aput_writes":
        written = [name for name, _ in frame.f_locals["writes"]]
        named = [name for name in SPOKEN if name in written] or [name for name in written if name.startswith("branch:")]
        return f"checkpoint.aput_writes {'+'.join(named)}"
    return "checkpoint.aget_tuple"


def _stored(frame: FrameType) -> str:
    """Name what goes to the disk in one step: a checkpoint with what was written before it, or what was written."""
    if ("checkpoints/probe", "check_saver") in _givers(frame):
        return ""
    return "checkpoint.store step" if frame.f_locals["kept"] else "checkpoint.store writes"


def _asked(what: str, method: str, frame: FrameType) -> str:
    """Name a question to a service; documents and health are asked for by nobody's action."""
    return f"{what} {method}".strip() if any(module == "nodes/act" for module, _ in _givers(frame)) else ""


def _answer(frame: FrameType) -> str:
    scope, message = frame.f_locals["self"].scope, frame.f_locals["message"]
    if scope["method"] == "GET" or message["type"] != "http.response.body":
        return ""
    return f"answer {scope['method']} " + re.sub(r"(run|apr|act)_[0-9a-f-]+", "{id}", scope["path"])


def _redis(frame: FrameType, command: str) -> str:
    givers = list(_givers(frame))
    if any(each in ("renew", "listen", "ping", "open_container") for _, each in givers):
        return ""
    is_checkpoint = any(module.startswith(("checkpoints/saver", "checkpoints/lean")) for module, _ in givers)
    return f"checkpoint.redis {command}" if is_checkpoint else f"redis {command}"


def _givers(frame: FrameType | None) -> Iterator[tuple[str, str]]:
    """Yield module and function of everybody of the product who awaits this frame, innermost first."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(f"{ROOT}/") and "/.venv/" not in path:
            yield path.removeprefix(f"{ROOT}/").removesuffix(".py"), frame.f_code.co_name
        frame = frame.f_back


def _label(givers: list[tuple[str, str]]) -> str:
    """Return who gave a command, as `act: `: the node, else the step of the run machinery, else the route."""
    for module, function in givers:
        package, _, name = module.partition("/")
        if package == "nodes":
            return f"{name}: "
        if module == "checkpoints/auditor":
            return "audit: "
        if package in ("graph", "api"):
            return f"{function.strip('_')}: "
    return ""
