"""What is known of one stream, and when its source is asked next."""

from __future__ import annotations

import pytest

from rtcore.features.metric_streams.stream import Stream, StreamState, check_stream_name, next_turn


async def nothing() -> dict[str, int]:
    return {}


@pytest.mark.parametrize(
    ("due", "now", "expected"),
    [
        (100.0, 100.0, 105.0),
        (100.0, 100.2, 105.0),
        (100.0, 105.0, 105.0),
        (100.0, 105.1, 110.0),
        (100.0, 137.0, 140.0),
    ],
)
def test_schedule_does_not_drift_and_missed_turns_are_left_out(due: float, now: float, expected: float) -> None:
    """A source that takes 200 ms every 5 s would otherwise be a minute late after half an hour."""
    assert next_turn(due, now, 5.0, 0, 60.0) == expected


@pytest.mark.parametrize(
    ("failures", "interval", "expected"),
    [(1, 5.0, 5.0), (2, 5.0, 10.0), (4, 5.0, 40.0), (5, 5.0, 60.0), (5000, 5.0, 60.0), (3, 100.0, 100.0)],
)
def test_pause_doubles_with_each_failure_up_to_a_maximum(failures: int, interval: float, expected: float) -> None:
    """From when it failed, and never shorter than its interval."""
    assert next_turn(0.0, 1000.0, interval, failures, 60.0) == 1000.0 + expected


def test_failures_in_a_row_are_news_once_for_each_reason() -> None:
    stream = Stream(name="a", source=nothing, interval=5.0)
    assert stream.fail("refused", 10.0)
    assert not stream.fail("refused", 20.0)
    assert stream.fail("timed out", 30.0)
    assert (stream.state, stream.failing_since, stream.failures) == (StreamState.FAILING, 10.0, 3)
    stream.succeed({"x": 1}, 40.0)
    assert (stream.state, stream.failing_since, stream.message) == (StreamState.IDLE, None, None)
    assert (stream.failures, stream.failures_in_a_row, stream.latest) == (3, 0, {"x": 1})
    assert stream.fail("refused", 50.0)
    assert stream.failing_since == 50.0


def test_state_says_why_there_are_samples() -> None:
    assert Stream(name="a").state is StreamState.PUSHED
    stream = Stream(name="a", source=nothing, interval=5.0)
    assert stream.state is StreamState.IDLE
    for reason in ({"watched": True}, {"asked": True}, {"always": True}, {"needed_by": {"rule"}}):
        assert Stream(name="a", source=nothing, interval=5.0, **reason).state is StreamState.RUNNING  # type: ignore[arg-type]


def test_statistics_are_json() -> None:
    stream = Stream(name="a", source=nothing, interval=5.0)
    stream.fail("refused", 0.0)
    assert stream.statistics().document() == {
        "stream": "a",
        "state": "failing",
        "interval_seconds": 5.0,
        "watched": False,
        "samples": 0,
        "failures": 1,
        "sampled_at": None,
        "failing_since": "1970-01-01T00:00:00.000Z",
        "message": "refused",
    }


@pytest.mark.parametrize("name", ["a", "cpu", "Queue_depth.main-2", "x" * 64])
def test_good_names(name: str) -> None:
    assert check_stream_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a:b", "a b", "ä", "a\n", "x" * 65])
def test_bad_names(name: str) -> None:
    """A colon would put it under another channel."""
    with pytest.raises(ValueError, match="stream name"):
        check_stream_name(name)
