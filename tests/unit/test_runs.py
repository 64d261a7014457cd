"""When a run that was left in the middle is picked up again."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.runs import Run

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("attempt", "pause_seconds"), [(1, 0.5), (2, 1), (6, 16), (7, 30), (50, 30)])
def test_the_pause_before_another_attempt_doubles_up_to_half_a_minute(attempt: int, pause_seconds: float) -> None:
    run = Run(
        run_id="r",
        thread_id="t",
        owner="o",
        user_id=1,
        session_id="s",
        message="m",
        attempt=attempt,
        created_at=NOW,
        updated_at=NOW,
    )
    pause = timedelta(seconds=pause_seconds)
    assert run.is_due(NOW + pause)
    assert not run.is_due(NOW + pause - timedelta(milliseconds=1))
