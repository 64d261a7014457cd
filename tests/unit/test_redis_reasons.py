"""What a Redis's errors mean, in the words of every version, and the tags of its keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from checkpoints.redis import reason, tagged, untagged

IN_A_SCRIPT_OF_6_2 = "Error running script (call to f_1): @user_script:26: @user_script: 26: -"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ResponseError("command not allowed when used memory > 'maxmemory'."), "has no memory left"),
        (
            ResponseError(f"{IN_A_SCRIPT_OF_6_2}OOM command not allowed when used memory > 'maxmemory'."),
            "no memory left",
        ),
        (ResponseError("You can't write against a read only replica."), "is a replica"),
        (ResponseError(f"{IN_A_SCRIPT_OF_6_2}READONLY You can't write against a read only replica."), "is a replica"),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots, but"), "cannot write to its disk"),
        (ResponseError("Protocol error: invalid bulk length"), "takes no values as large"),
        (BusyLoadingError("Redis is loading the dataset in memory"), "is still reading"),
        (AuthenticationError("invalid username-password pair or user is disabled."), "does not know the user"),
        (NoPermissionError("this user has no permissions to run the 'hset' command"), "refuses a command"),
        (RedisConnectionError("Error 111 connecting to 127.0.0.1:1."), "does not answer"),
        (OSError("no route"), "does not answer"),
    ],
)
def test_every_refusal_says_what_is_to_be_done(error: Exception, words: str) -> None:
    assert words in reason(error)


@given(name=st.text() | st.text(alphabet="{}%7D25a"))
def test_a_name_in_braces_comes_back_and_keeps_its_keys_in_one_slot(name: str) -> None:
    tag = tagged(name)
    assert untagged(tag) == name
    assert (
        len({key_slot(f"{before}{tag}{behind}".encode()) for before in ("a:", "lease:") for behind in ("", ":b")}) == 1
    )


@given(one=st.text(alphabet="{}%7D25"), other=st.text(alphabet="{}%7D25"))
def test_two_names_have_two_tags(one: str, other: str) -> None:
    assert (tagged(one) == tagged(other)) == (one == other)
