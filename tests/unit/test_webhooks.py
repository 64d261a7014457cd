"""What is told of an approval, how it is signed, and when it is told again."""

import json

import pytest

from domain.approvals import Step
from domain.deciding import voted
from domain.errors import ConfigurationError, InvalidInput
from domain.webhooks import PAUSE_MAX_SECONDS, events_of, key_of, origin_of, pause_after, signature
from tests.records import after, person, request, verdict
from tools.webhooks import checked_url

EVERY: frozenset[str] = frozenset()


def test_the_signature_is_the_one_of_the_published_example() -> None:
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(key, event_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body='{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_that_is_no_base64_is_refused() -> None:
    assert key_of("plain words") == b"plain words"
    with pytest.raises(InvalidInput):
        key_of("whsec_%%%")


def test_a_request_tells_what_happened_once_each_and_in_order() -> None:
    asked = request("apr_1", quorum=2)
    one = voted(asked, verdict(approver_id=1, at=after(1)), who=person(1), seen=None)
    two = voted(one, verdict(approver_id=2, at=after(2)), who=person(2), seen=None)
    told = [[event.type for event in events_of(record)] for record in (asked, one, two)]
    assert told[2] == ["approval.requested", "approval.voted", "approval.decided"]
    assert [told[0], told[1]] == [told[2][:1], told[2][:2]]
    ids = [[event.event_id for event in events_of(record)] for record in (asked, one, two)]
    assert [ids[0], ids[1]] == [ids[2][:1], ids[2][:2]]
    assert len(set(ids[2])) == 3
    body = json.loads(list(events_of(two))[-1].body)
    assert (body["type"], body["data"]["said"]["approved"]) == ("approval.decided", True)
    assert body["data"]["approval"]["request_id"] == "apr_1"


def test_an_end_that_nobody_noted_as_a_step_is_told_all_the_same() -> None:
    record = request("apr_1", trail=(Step(what="voted", at=after(1), by="ann"),), state="cancelled")
    assert [event.type for event in events_of(record)][-1] == "approval.cancelled"


def test_pauses_grow_fourfold_up_to_a_bound() -> None:
    pauses = [pause_after(attempts, first_seconds=5, jitter=0) for attempts in (1, 2, 3, 20)]
    assert pauses == [5, 20, 80, PAUSE_MAX_SECONDS]
    assert pause_after(1, first_seconds=5, jitter=1) == 6


@pytest.mark.parametrize("url", ["ftp://a/x", "https://u:p@a/x", "https:///x", "https://a/x#y", "a"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        checked_url(url, allowed_hosts=EVERY)


def test_only_allowed_hosts_are_told() -> None:
    assert checked_url("https://a.example", allowed_hosts=frozenset({"a.example"})) == "https://a.example/"
    assert checked_url("http://a:81/x?y=1", allowed_hosts=frozenset({"a:81"})) == "http://a:81/x?y=1"
    with pytest.raises(ConfigurationError, match="is not among"):
        checked_url("https://b.example/secret", allowed_hosts=frozenset({"a.example"}))
    assert origin_of("https://a.example:81/secret?x=1") == "https://a.example:81"
