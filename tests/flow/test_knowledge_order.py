"""Whatever is sent about a document is done in the order it was sent, and what was sent last is what counts."""

import asyncio

from domain.knowledge import Given, Job
from tests.knowing import RETURNS, add, ended, search, stats
from tests.running import Served


async def test_a_job_older_than_the_one_that_wrote_the_document_writes_nothing(server: Served) -> None:
    knowledge = server.container.knowledge
    assert knowledge is not None
    done = await add(server.client, RETURNS, document_id="returns")
    (document,) = (await knowledge.documents.known(["returns"])).values()
    late = Job(
        job_id="job_0", kind="ingest", owner=document.owner, document_id="returns",
        created_at=document.created_at, updated_at=document.created_at,
    )  # fmt: skip
    await knowledge.ingests.add(late, Given(owner=document.owner, content=b"What was before.", document_id="returns"))
    job = await ended(server.client, "job_0")
    assert (job["state"], job["step"], job["unchanged"]) == ("done", "superseded", True)
    assert [hit["chunk_id"] for hit in await search(server.client, "send goods back")] == ["returns.1.0"]
    assert done["unchanged"] is False


async def test_what_was_there_before_is_taken_again_while_something_else_is_under_way(server: Served) -> None:
    await add(server.client, RETURNS, source="rules")
    long = "\n\n".join(f"Paragraph {number} says this. " + "Words. " * 60 for number in range(40))
    sent = [
        (await server.client.post("/rag/documents", json={"text": text, "source": "rules"})).json()
        for text in (long, RETURNS)
    ]
    other, again = [await ended(server.client, job["job_id"]) for job in sent]
    record = (await server.client.get(f"/rag/documents/{again['document_id']}")).json()
    assert (other["state"], again["state"], again["unchanged"]) == ("done", "done", False)
    assert record["size_bytes"] == len(RETURNS)


def long(name: str) -> str:
    return "\n\n".join(f"Paragraph {number} of {name}. " + "Words. " * 60 for number in range(400))


async def test_a_short_document_does_not_wait_for_long_ones_and_a_deleted_one_is_done_no_more(server: Served) -> None:
    client = server.client
    jobs = [
        (await client.post("/rag/documents", json={"text": long(name), "document_id": name})).json() for name in "abc"
    ]
    short = await add(client, RETURNS)
    states = [(await client.get(f"/rag/jobs/{job['job_id']}")).json()["state"] for job in jobs]
    for name in "abc":
        assert (await client.delete(f"/rag/documents/{name}")).status_code == 200
    ends = [await ended(client, job["job_id"]) for job in jobs]
    again = await add(client, RETURNS, document_id="a")
    async with asyncio.timeout(30):
        while await server.container.knowledge.documents.deleted():  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (short["state"], again["state"]) == ("done", "done")
    assert not {"done", "failed"} & set(states)
    assert {(job["state"], job["error"]) for job in ends} == {("failed", "The document was deleted meanwhile.")}
    assert (told := await stats(client))["documents"] == 2
    assert (told["jobs_unfinished"], told["documents_failed"]) == (0, 0)
