"""Whatever is sent about a document is done in the order it was sent, and what was sent last is what counts."""

from domain.knowledge import Given, Job
from tests.knowing import RETURNS, add, ended, search
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
