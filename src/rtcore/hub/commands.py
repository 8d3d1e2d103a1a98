"""
The commands of an authenticated client, each authorised here and carried out by the hub.

They are synchronous: between a command and its reply nothing else happens, so `subscribed` always comes before the
first event. Two may wait first: publishing, where the channel's rule is to wait for room, and subscribing, where the
state behind a channel is not in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.command_context import CommandContext, Reply, told_position
from rtcore.hub.filters import compile_filter
from rtcore.hub.publication import outcome_data
from rtcore.hub.results import HistoryPage, Range
from rtcore.hub.subscription_commands import acknowledge, set_filters, subscribe, unsubscribe
from rtcore.protocol.envelope import embedded_event
from rtcore.values.channels import Overflow, namespace_of
from rtcore.values.commands import (
    Ack,
    Command,
    History,
    Publish,
    Replay,
    SetFilters,
    SinceRequest,
    Subscribe,
    Unsubscribe,
)
from rtcore.values.events import Json, format_timestamp
from rtcore.values.positions import Since
from rtcore.values.shown import show

__all__ = ["heartbeat_data", "run_command"]


def run_command(context: CommandContext, command: Command) -> Reply | Awaitable[Reply]:
    """
    Carry out a command.

    Returns:
        The reply; or, where publishing has to wait for room, what is to be awaited for it. Cancelled while it waits,
        nothing was published.

    Raises:
        RequestError: If it is not allowed or not acceptable; then nothing has changed.
        HubClosed: If the hub has ended.
    """
    if isinstance(command, Publish):
        return _publish(context, command)
    return _HANDLERS[type(command)](context, command)


_UNTOLD: Final = Reply("published", {}, unasked=False)


def _publish(context: CommandContext, command: Publish) -> Reply | Awaitable[Reply]:
    hub, channel = context.hub, command.channel
    hub.access.check_publish(context.identity, channel, field="data.channel")
    namespace = hub.namespaces.get(namespace_of(channel))
    if namespace is not None and namespace.overflow is Overflow.WAIT:
        return _publish_with_room(context, command)
    return _publish_now(context, command)


async def _publish_with_room(context: CommandContext, command: Publish) -> Reply:
    await context.hub.wait_room(command.channel)
    if context.subscriber.over:  # revoked, expired or closed while it waited: the right to publish went with it
        raise RequestError(ErrorCode.UNAVAILABLE, "the connection ended while the event waited for room")
    return _publish_now(context, command)


def _publish_now(context: CommandContext, command: Publish) -> Reply:
    try:
        outcome = context.hub.publish(command.channel, command.type, command.data, lane=command.lane, key=command.key)
    except RequestError as error:
        if error.field == "data":  # the hub means the event's data, which stands within the command's
            error.field = "data.data"
        raise
    if not context.asked:
        return _UNTOLD
    return Reply("published", outcome_data(outcome), unasked=False)


def _replay(context: CommandContext, command: Replay) -> Reply:
    cursor = context.cursor(command.channel, "data.channel")
    if command.ranges and command.since is not None:
        raise RequestError(ErrorCode.MALFORMED, "data.ranges: give either since or ranges", field="data.ranges")
    page = context.hub.history(
        command.channel,
        since=_place(command.channel, command.since),
        where=cursor.view.where,
        ranges=[_checked_range(each.first, each.last, index, each.lane) for index, each in enumerate(command.ranges)],
    )
    return Reply("replayed", _page_data(page))


def _checked_range(first: int, last: int, index: int, lane: Any) -> Range:
    if first < 1 or last < first:
        field = f"data.ranges[{index}]"
        problem = f"{field}: expected 1 <= from <= to, got from {show(first)} to {show(last)}"
        raise RequestError(ErrorCode.INVALID_POSITION, problem, field=field)
    return Range(lane=lane, first=first, last=last)


def _history(context: CommandContext, command: History) -> Reply:
    context.hub.access.check_read(context.identity, command.channel, field="data.channel")
    if command.limit is not None and command.limit < 1:
        problem = f"data.limit: expected at least 1, got {show(command.limit)}"
        raise RequestError(ErrorCode.MALFORMED, problem, field="data.limit")
    page = context.hub.history(
        command.channel,
        since=_place(command.channel, command.since),
        where=compile_filter(cast("Mapping[str, Json] | None", command.where), context.limits),
        limit=command.limit,
    )
    return Reply("history", _page_data(page))


def _place(channel: str, since: SinceRequest | None) -> Since | None:
    if since is None:
        return None
    place = since.of(channel)
    if place is None:
        raise RequestError(
            ErrorCode.INVALID_POSITION, "data.since.positions: none for data.channel", field="data.since.positions"
        )
    return place


def _page_data(page: HistoryPage) -> dict[str, object]:
    return {
        "channel": page.channel,
        "events": [embedded_event(event) for event in page.events],
        "recovered": page.recovered,
        "missing": page.missing,
        "position": str(page.position),
        "more": page.more,
    }


def heartbeat_data(cursors: Mapping[str, Any], now: float) -> dict[str, object]:  # Any: cursors, by channel
    """What a heartbeat's answer says: the time, and per channel what the client has been told of."""
    return {
        "timestamp": format_timestamp(now),
        "positions": {channel: str(told_position(cursor)) for channel, cursor in cursors.items()},
    }


_Handler = Callable[[CommandContext, Any], Reply | Awaitable[Reply]]  # Any: each takes the type of its key
_HANDLERS: Final[Mapping[type, _Handler]] = {
    Ack: acknowledge,
    History: _history,
    Replay: _replay,
    SetFilters: set_filters,
    Subscribe: subscribe,
    Unsubscribe: unsubscribe,
}
