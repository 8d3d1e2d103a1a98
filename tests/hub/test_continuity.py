"""What the hub says of a past that it does not know."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from rtcore.hub.hub import Hub
from rtcore.hub.results import HistoryPage
from rtcore.values.limits import Limits
from rtcore.values.positions import FromOffset, FromPosition, FromTimestamp, Position, Since, WithinSeconds


async def test_time_before_a_channel_began_is_not_called_recovered(autojump_clock: MockClock) -> None:
    """After a restart, or once a channel was forgotten, nobody can say that there was nothing before."""
    hub = Hub(clock=lambda: 1000.0 + trio.current_time())
    began = hub.clock()
    hub.publish("numbers", "number", 1)
    await trio.sleep(10)
    assert hub.history("numbers", since=FromTimestamp(began + 1)).recovered
    assert hub.history("numbers", since=WithinSeconds(5)).recovered
    assert not hub.history("numbers", since=FromTimestamp(began - 1)).recovered
    assert not hub.history("numbers", since=WithinSeconds(60)).recovered


def since_position(page: HistoryPage, offset: int) -> Since:
    return FromPosition(Position.at(page.position.epoch, offset))


@pytest.mark.parametrize(("offset", "missing"), [(1, 6), (5, 2), (7, 0), (10, 0), (100, 0)])
async def test_missing_counts_what_was_asked_for_and_no_more(
    offset: int, missing: int, autojump_clock: MockClock
) -> None:
    hub = Hub(limits=Limits(history_events=4), clock=trio.current_time)
    for number in range(10):
        hub.publish("numbers", "number", number)
    assert hub.history("numbers", since=FromOffset(offset)).missing == missing
    page = hub.history("numbers")
    if offset <= 10:
        assert hub.history("numbers", since=since_position(page, offset - 1)).missing == missing
    assert hub.history("numbers", since=FromPosition(Position.at("another", 3))).missing == 0
