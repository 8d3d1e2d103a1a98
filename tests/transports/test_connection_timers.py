"""What a connection is told when one of its deadlines ends it."""

from __future__ import annotations

import pytest

from rtcore.transports.connection_timers import ConnectionTimers, Due
from rtcore.values.limits import Limits

LIMITS = Limits(authentication_seconds=4, idle_seconds=70, pong_seconds=2.5, slow_consumer_seconds=9)


@pytest.mark.parametrize(
    ("due", "code", "named"),
    [
        (Due.AUTHENTICATION_TIMEOUT, 4003, "authentication_seconds=4"),
        (Due.IDLE_TIMEOUT, 4001, "idle_seconds=70"),
        (Due.PING_TIMEOUT, 4002, "pong_seconds=2.5"),
        (Due.SLOW_CONSUMER, 4000, "slow_consumer_seconds=9"),
    ],
)
def test_the_reason_names_the_limit_that_was_reached(due: Due, code: int, named: str) -> None:
    ending = ConnectionTimers(LIMITS, 0.0, 0.0).ending(due)
    assert ending is not None
    assert ending[0] == code
    assert ending[2].endswith(named)
    assert len(ending[2].encode()) <= 123, "a close frame has no room for more"


@pytest.mark.parametrize("due", [Due.NOTHING, Due.PING, Due.CLOSE_TIMEOUT])
def test_what_ends_no_connection_politely_has_no_ending(due: Due) -> None:
    assert ConnectionTimers(LIMITS, 0.0, 0.0).ending(due) is None
