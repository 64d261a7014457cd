"""The floor of a server that keeps its word: HTTP as ours, and a run's two records on disk, around no graph at all.

`python -m bench.recording PORT FILE` serves it.
"""

import asyncio
import sys
from pathlib import Path

import uvicorn
import uvloop
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from api.guard import Guard
from api.shapes import MessageIn
from boot.container import utc_now
from checkpoints.documents import open_documents
from checkpoints.runs import Runs
from domain.runs import reply_shown
from graph.runs import Asked


def create_app(runs: Runs) -> FastAPI:
    """Return the application."""
    app = FastAPI()
    app.add_middleware(Guard, max_body_bytes=1_000_000)

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({})

    @app.post("/orchestrate")
    async def orchestrate(given: MessageIn) -> Response:
        run = Asked(owner="bench", **given.model_dump()).run(utc_now())
        await runs.add(run)
        ended = run.model_copy(update={"status": "completed"})
        reply = reply_shown(ended, {"message": run.message, "reply": run.message}, approvals=[])
        await runs.leave(run, "completed", at=utc_now(), reply=reply)
        return JSONResponse(reply)

    return app


async def serve(port: int, file: Path) -> None:
    """Serve until a signal says stop."""
    async with open_documents(file) as database:
        runs = Runs(database)
        await runs.open()
        config = uvicorn.Config(create_app(runs), port=port, http="h11", ws="none", log_config=None, access_log=False)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])), loop_factory=uvloop.new_event_loop)
