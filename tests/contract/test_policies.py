"""What the records of policies promise, in both forms of the document store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checkpoints.policies import Policies
from domain.errors import NotFound
from domain.policy import read_policy
from tests.documents import OPENERS, Opener
from tests.records import NOON, after

POLICY = read_policy(
    {
        "rules": [{"name": "big", "when": {"condition": "args.amount > 1.5"}, "then": "ask", "groups": ["a.b", "$c"]}],
        "raised_by": [{"name": "text", "when": {"origin": "retrieved"}, "add": 0.25}],
    }
)


@pytest.fixture(params=OPENERS)
async def policies(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Policies]:
    opener: Opener = request.param
    async with opener(tmp_path) as database:
        yield Policies(database)


async def test_a_version_is_kept_as_it_was_first_seen(policies: Policies) -> None:
    await policies.record(POLICY, at=NOON)
    await policies.record(POLICY, at=after(60))
    kept = await policies.get(POLICY.version)
    assert kept.first_seen_at == NOON
    assert read_policy(kept.document) == POLICY
    assert read_policy(kept.document).version == kept.version


async def test_a_version_that_never_was_is_not_found(policies: Policies) -> None:
    with pytest.raises(NotFound):
        await policies.get("0000")
