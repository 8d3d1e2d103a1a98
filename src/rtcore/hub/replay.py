"""Reading the past of a channel in pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rtcore.hub.event_log import EventLog, Start
from rtcore.hub.filters import Filter
from rtcore.hub.results import HistoryPage, Range
from rtcore.values.events import Event
from rtcore.values.positions import FromOffset, FromPosition, Position, Since

__all__ = ["read_history"]


def read_history(
    log: EventLog,
    channel: str,
    *,
    since: Since | None,
    where: Filter,
    ranges: Sequence[Range],
    maximum_events: int,
    maximum_bytes: int,
    now: float,
) -> HistoryPage:
    """
    Events of the past that pass a filter, oldest first.

    Args:
        log: The channel's log.
        channel: Its name.
        since: Where to begin; None: with the oldest held. Not looked at when `ranges` are given.
        where: Which events.
        ranges: Exactly these offsets of these lanes.
        maximum_events: Most events of the page.
        maximum_bytes: Most encoded bytes of the page; one event always fits.
        now: Unix seconds.
    """
    if ranges:
        start = min(wanted.first for wanted in ranges)
        candidates = _in_ranges(log, ranges)
        # Offsets of other lanes lie between, so what is gone can only be counted as offsets, not as events.
        missing = _count_below(log.oldest, ranges)
        recovered = missing == 0
        place = Start(offset=max(start, log.oldest), recovered=recovered)
    else:
        place = Start(offset=log.oldest, recovered=True) if since is None else log.locate(since, now)
        missing = 0 if place.recovered else _missing(log, since)
        candidates = [event for event in log.events(place.offset, log.newest + 1) if _unsettled(place, event)]
    matching = [event for event in candidates if where.matches(event.type, event.channel, event.data)]
    if place.last is not None:
        matching = matching[max(0, len(matching) - place.last) :]
    events = _page(matching, maximum_events, maximum_bytes)
    more = len(events) < len(matching)
    settled = events[-1].offset if more else log.newest
    return HistoryPage(
        channel=channel,
        events=tuple(events),
        recovered=place.recovered,
        missing=missing,
        position=Position.at(log.epoch, settled),
        more=more,
    )


def _missing(log: EventLog, since: Since | None) -> int:
    """Offsets that were asked for by number and are gone; of a time, or of another epoch, nobody knows how many."""
    if isinstance(since, FromOffset):
        return max(0, log.oldest - max(since.offset, 1)) if since.offset <= log.newest else 0
    if isinstance(since, FromPosition) and since.position.epoch == log.epoch:
        return max(0, log.oldest - 1 - since.position.offset)
    return 0


def _unsettled(place: Start, event: Event) -> bool:
    return place.settled is None or not place.settled.settled(event.lane, event.offset)


def _count_below(oldest: int, ranges: Sequence[Range]) -> int:
    """
    How many distinct offsets of the ranges lie below `oldest`; by arithmetic, since a range may announce any size.
    """
    count, reached = 0, 1
    for each in sorted(ranges, key=lambda wanted: wanted.first):
        first, stop = max(each.first, reached), min(each.last + 1, oldest)
        count += max(0, stop - first)
        reached = max(reached, stop)
    return count


def _in_ranges(log: EventLog, ranges: Sequence[Range]) -> list[Event]:
    wanted: dict[int, Event] = {}
    for each in ranges:
        for event in log.events(max(each.first, 1), each.last + 1):
            if event.lane is each.lane:
                wanted[event.offset] = event
    return [wanted[offset] for offset in sorted(wanted)]


def _page(events: Iterable[Event], maximum_events: int, maximum_bytes: int) -> list[Event]:
    page: list[Event] = []
    size = 0
    for event in events:
        size += len(event.body)
        if len(page) >= maximum_events or (page and size > maximum_bytes):
            break
        page.append(event)
    return page
