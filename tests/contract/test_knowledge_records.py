"""Documents and jobs of the knowledge base, on every form of the document store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from checkpoints.ingests import Ingests
from checkpoints.knowledge import NONE_SECONDS, Documents
from domain.errors import NotFound
from domain.knowledge import Document, Family, Fingerprint, Given, Job
from tests.documents import OPENERS, Opener
from tools.knowledge.chunks import chunks

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


class Records(NamedTuple):
    documents: Documents
    ingests: Ingests


@pytest_asyncio.fixture(params=OPENERS)
async def records(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Records]:
    opener: Opener = request.param
    async with opener(tmp_path) as database:
        opened = Records(Documents(database), Ingests(database))
        for each in opened:
            await each.open()
        yield opened


def document(name: str = "doc_1", owner: str = "ann", **more: object) -> Document:
    fields = {"title": "T", "written_by": owner, "created_at": NOW, "updated_at": NOW, **more}
    return Document.model_validate({"document_id": name, "owner": owner, **fields})


def job(name: str = "job_1", **more: object) -> Job:
    fields = {"kind": "ingest", "owner": "ann", "document_id": "doc_1", "created_at": NOW, "updated_at": NOW, **more}
    return Job.model_validate({"job_id": name, **fields})


async def test_a_version_is_searched_from_one_moment_to_the_next(records: Records) -> None:
    before = await records.documents.add(document())
    version = await records.documents.begin("doc_1")
    assert version == 1
    await records.documents.put_chunks(chunks("One.\n\n# Two", document_id="doc_1", version=version))
    assert await records.documents.chunks_of(before) == []
    after = await records.documents.switch(before, to=version, at=LATER, chunks=2, digest="x")
    assert after is not None
    assert [chunk.text for chunk in await records.documents.chunks_of(after)] == ["One.", "# Two"]
    assert (after.state, after.version, after.updated_at) == ("ready", 1, LATER)


async def test_of_two_who_switch_from_one_version_one_wins(records: Records) -> None:
    before = await records.documents.add(document())
    switching = (records.documents.switch(before, to=number, at=LATER) for number in (1, 2, 3, 4))
    assert sum(each is not None for each in await asyncio.gather(*switching)) == 1


async def test_somebody_elses_document_is_not_found_unless_it_is_shared(records: Records) -> None:
    await records.documents.add(document("own", "ann"))
    await records.documents.add(document("all", "ann", shared=True))
    with pytest.raises(NotFound):
        await records.documents.get("own", owner="bob")
    assert (await records.documents.get("all", owner="bob")).document_id == "all"
    assert [each.document_id for each in await records.documents.page(owner="bob")] == ["all"]
    assert [each.document_id for each in await records.documents.page(owner="ann")] == ["all", "own"]
    assert [each.document_id for each in await records.documents.page(owner=None, after="all", limit=1)] == ["own"]


async def test_a_deleted_document_is_gone_at_once_and_may_come_back_under_a_new_version(records: Records) -> None:
    before = await records.documents.add(document())
    await records.documents.begin("doc_1")
    await records.documents.delete("doc_1", at=LATER)
    assert await records.documents.switch(before, to=1, at=LATER) is None
    assert await records.documents.begin("doc_1") is None
    with pytest.raises(NotFound):
        await records.documents.get("doc_1")
    assert [each.document_id for each in await records.documents.deleted()] == ["doc_1"]
    await records.documents.add(document(title="Again"))
    assert (await records.documents.get("doc_1")).title == "Again"
    assert await records.documents.begin("doc_1") == 2


async def test_what_a_family_lacks_is_told_until_it_has_it(records: Records) -> None:
    before = await records.documents.add(document())
    ready = await records.documents.switch(before, to=1, at=LATER, families=["old"])
    assert ready is not None
    assert [each.document_id for each in await records.documents.unembedded("new")] == ["doc_1"]
    await records.documents.embedded(ready, "new")
    assert await records.documents.unembedded("new") == []
    await records.documents.forget("new")
    assert [each.families for each in await records.documents.unembedded("new")] == [("old",)]


async def test_what_changed_since_a_moment_is_told(records: Records) -> None:
    before = await records.documents.add(document())
    await records.documents.switch(before, to=1, at=LATER)
    assert [each.version for each in await records.documents.changed(LATER)] == [1]
    assert await records.documents.changed(LATER + timedelta(seconds=1)) == []
    assert await records.documents.totals() == {"ready": (1, 0)}


async def test_a_job_is_taken_by_one_and_keeps_what_it_was_given_until_it_ends(records: Records) -> None:
    given = Given(owner="ann", content=b"\x00\xff", metadata={"tag": "x"})
    waiting = await records.ingests.add(job(), given)
    taken = [
        each for each in await asyncio.gather(*(records.ingests.take(waiting, at=LATER) for _ in range(4))) if each
    ]
    assert [(each.state, each.attempt) for each in taken] == [("running", 1)]
    assert await records.ingests.given("job_1") == given
    await records.ingests.progress(taken[0], "embedding", done=3, total=9, at=LATER)
    assert (await records.ingests.get("job_1")).done == 3
    await records.ingests.leave(taken[0], "done", at=LATER)
    assert (await records.ingests.given("job_1"), await records.ingests.unfinished()) == (None, [])
    assert (last := await records.ingests.last_done()) is not None
    assert last.job_id == "job_1"


async def test_an_attempt_does_not_move_a_job_behind_younger_ones(records: Records) -> None:
    older = await records.ingests.add(job("job_1"))
    await records.ingests.add(job("job_2"))
    taken = await records.ingests.take(older, at=LATER)
    assert taken is not None
    await records.ingests.progress(taken, "embedding", done=1, total=2, at=LATER)
    assert [each.job_id for each in await records.ingests.unfinished()] == ["job_1", "job_2"]


async def test_an_attempt_that_is_no_longer_ours_changes_nothing(records: Records) -> None:
    first = await records.ingests.take(await records.ingests.add(job()), at=NOW)
    assert first is not None
    second = await records.ingests.take(first, at=LATER)
    assert second is not None
    await records.ingests.leave(first, "failed", at=LATER, error="late")
    assert (await records.ingests.get("job_1")).state == "running"
    with pytest.raises(NotFound):
        await records.ingests.get("job_1", owner="bob")


async def test_one_family_counts_whoever_founds_it_and_is_exchanged_once(records: Records) -> None:
    mark = Fingerprint(model="m", dimension=3, version="1")
    found = await asyncio.gather(
        *(records.ingests.found(Family(fingerprint=mark, generation=number)) for number in range(1, 6))
    )
    assert len({family.generation for family in found}) == 1
    old, new = found[0], Family(fingerprint=mark, generation=9)
    assert [await records.ingests.exchange(old, new), await records.ingests.exchange(old, new)] == [True, False]
    assert await records.ingests.active() == new


@pytest.mark.parametrize("opener", OPENERS)
async def test_an_owner_without_documents_is_not_asked_after_at_every_message(tmp_path: Path, opener: Opener) -> None:
    seconds = 0.0
    async with opener(tmp_path) as database:
        here, elsewhere = Documents(database, time=lambda: seconds), Documents(database)
        assert not await here.any_of("ann")
        await elsewhere.add(document("doc_1", "ann"))
        assert not await here.any_of("ann")
        seconds = NONE_SECONDS
        assert await here.any_of("ann")
        assert not await here.any_of("bob")
        await here.add(document("doc_2", "bob"))
        assert await here.any_of("bob")
