"""The commands about a connection's subscriptions: subscribe, unsubscribe, set_filters, ack."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import cast

from rtcore.errors import ErrorCode, RequestError
from rtcore.hub.command_context import CommandContext, Reply, told_position
from rtcore.hub.cursor import Cursor
from rtcore.hub.filters import Filter, compile_filter
from rtcore.hub.results import Batch, Subscribed
from rtcore.protocol.json_codec import json_answer, json_fragment
from rtcore.values.channels import namespace_of
from rtcore.values.commands import Ack, BatchRequest, SetFilters, SinceRequest, Subscribe, Unsubscribe
from rtcore.values.events import Json
from rtcore.values.limits import Limits
from rtcore.values.positions import FromPosition, Position, Since
from rtcore.values.shown import show

__all__ = ["acknowledge", "preparations", "set_filters", "subscribe", "subscribe_now", "unsubscribe"]


def subscribe(context: CommandContext, command: Subscribe) -> Reply | Awaitable[Reply]:
    """
    Subscribe to all of the channels, or to none of them.

    Returns:
        The reply; or, where the state behind a channel has to be read first, what is to be awaited for it. Cancelled
        meanwhile, it is subscribed to none of them.

    Raises:
        RequestError: If one may not be read, there are too many, or filter, place or window are not acceptable.
    """
    _check_access(context, command)
    if preparations(context, command.channels):
        return _subscribe_prepared(context, command)
    return subscribe_now(context, command)


def preparations(context: CommandContext, channels: Iterable[str]) -> list[Callable[[], Awaitable[None]]]:
    """What has to be awaited before the state behind some channels can be told."""
    known = context.hub.registry.preparations
    if not known:
        return []
    found = [known[name](context, channel) for channel in channels if (name := namespace_of(channel)) in known]
    return [each for each in found if each is not None]


async def _subscribe_prepared(context: CommandContext, command: Subscribe) -> Reply:
    while waiting := preparations(context, command.channels):
        for prepare in waiting:
            await prepare()
        if context.subscriber.over:  # it would be given cursors that nobody takes away again
            raise RequestError(ErrorCode.UNAVAILABLE, "the connection ended while its subscription was prepared")
    return subscribe_now(context, command)


def _check_access(context: CommandContext, command: Subscribe) -> None:
    for index, channel in enumerate(command.channels):
        context.hub.access.check_read(context.identity, channel, field=f"data.channels[{index}]")


def subscribe_now(context: CommandContext, command: Subscribe) -> Reply:
    """As `subscribe`, where the state behind the channels is at hand."""
    _check_access(context, command)
    channels = tuple(dict.fromkeys(command.channels))  # what is named twice counts once
    _check_room(context, channels)
    _check_since(channels, command.since)
    where = compile_filter(cast("Mapping[str, Json] | None", command.where), context.limits)
    batch = _window(command.batch, context.limits)
    return Reply("subscribed", {"channels": _attach_all(context, channels, where, command.since, batch)})


def _check_room(context: CommandContext, channels: Iterable[str]) -> None:
    most = context.limits.channels_per_connection
    count = len(context.subscriber.cursors.keys() | set(channels))
    if count > most:
        raise RequestError(
            ErrorCode.TOO_MANY_CHANNELS,
            f"data.channels: {count} subscriptions exceed channels_per_connection={most}",
            field="data.channels",
        )


def _check_since(channels: tuple[str, ...], since: SinceRequest | None) -> None:
    if since is None:
        return
    if isinstance(since.place, FromPosition) and len(channels) > 1:
        raise RequestError(
            ErrorCode.INVALID_POSITION,
            "data.since: a position belongs to one channel; give several as `positions`",
            field="data.since",
        )
    for name in since.positions:
        if name not in channels:
            field = f"data.since.positions.{name}"
            raise RequestError(ErrorCode.INVALID_POSITION, f"{field}: not one of data.channels", field=field)


def _window(request: BatchRequest | None, limits: Limits) -> Batch | None:
    if request is None:
        return None
    events = limits.batch_events if request.events is None else request.events
    seconds = limits.batch_seconds if request.seconds is None else request.seconds
    if not 1 <= events <= limits.batch_events_maximum:
        raise _out_of_range("data.batch.events", f"1 to batch_events_maximum={limits.batch_events_maximum}", events)
    if not 0 < seconds <= limits.batch_seconds_maximum:
        raise _out_of_range(
            "data.batch.seconds",
            f"a number over 0, up to batch_seconds_maximum={limits.batch_seconds_maximum}",
            seconds,
        )
    return Batch(events=events, seconds=seconds)


def _out_of_range(field: str, expected: str, got: float) -> RequestError:
    return RequestError(ErrorCode.MALFORMED, f"{field}: expected {expected}, got {show(got)}", field=field)


def _attach_all(
    context: CommandContext, channels: Iterable[str], where: Filter, since: SinceRequest | None, batch: Batch | None
) -> dict[str, dict[str, object]]:
    """Subscribe to all of them, or to none; how each begins."""
    subscriber, registry = context.subscriber, context.hub.registry
    places = {channel: None if since is None else since.of(channel) for channel in channels}
    held = subscriber.cursors.keys() & places.keys()
    states: dict[str, dict[str, object]] = {}

    def attach(channel: str) -> Subscribed:
        stateful = namespace_of(channel) in registry.snapshots
        place = places[channel]
        return context.hub.attach_cursor(subscriber, channel, where=where, since=place, batch=batch, stateful=stateful)

    try:
        # New ones first: only these can fail, and then they are taken back. So can a state; once what is held already
        # is replaced, nothing may.
        outcomes = {channel: attach(channel) for channel in places if channel not in held}
        for channel, place in places.items():
            if channel in held or _is_told_state(_cursor(context, channel), place, new=True):
                states[channel] = _state(context, channel)
    except Exception:
        for channel in places.keys() - held:
            context.hub.detach_cursor(subscriber, channel)
        raise
    outcomes |= {channel: attach(channel) for channel in places if channel in held}
    begun: dict[str, dict[str, object]] = {}
    for channel, place in places.items():
        cursor = _cursor(context, channel)
        told = _is_told_state(cursor, place, new=channel not in held)
        begun[channel] = _outcome_data(cursor, outcomes[channel]) | (states[channel] if told else {})
    return begun


def _cursor(context: CommandContext, channel: str) -> Cursor:
    cursor = context.subscriber.cursors.get(channel)
    if cursor is None:  # what it was to be given at once was more than there is room for, and the rule to disconnect
        raise RequestError(ErrorCode.UNAVAILABLE, "the connection ended while it subscribed")
    return cursor


def _is_told_state(cursor: Cursor, since: Since | None, *, new: bool) -> bool:
    """
    Whether the state goes with the reply. Who goes on where it stood has had a state: given the changes since then and
    a state that has them in it already, it would count them twice.
    """
    goes_on = isinstance(since, FromPosition) or (since is None and not new)
    return not goes_on or (cursor.caught_up and cursor.loss is None)


def _state(context: CommandContext, channel: str) -> dict[str, object]:
    """The state behind a channel, as it is told; nothing where there is none."""
    snapshot = context.hub.registry.snapshots.get(namespace_of(channel))
    position = context.hub.position(channel)
    if snapshot is None or position is None:
        return {}
    state = snapshot(context.identity, channel)
    # Written here, where a state that JSON cannot carry still leaves nothing behind.
    text = state if isinstance(state, bytes) else json_answer(state)
    return {"snapshot": json_fragment(text), "snapshot_offset": position.offset}


def _outcome_data(cursor: Cursor, outcome: Subscribed) -> dict[str, object]:
    position = told_position(cursor) if outcome.recovered is None else outcome.position
    return {"position": str(position), "recovered": outcome.recovered, "replayed": outcome.replayed}


def unsubscribe(context: CommandContext, command: Unsubscribe) -> Reply:
    """
    End all of the subscriptions, or none of them.

    Raises:
        RequestError: If one of them is not there.
    """
    _check_subscribed(context, command.channels)
    channels = list(dict.fromkeys(command.channels))
    for channel in channels:
        context.hub.detach_cursor(context.subscriber, channel)
    return Reply("unsubscribed", {"channels": channels})


def set_filters(context: CommandContext, command: SetFilters) -> Reply:
    """
    Replace the filter of the named subscriptions, or of all.

    Raises:
        RequestError: If one of them is not there, or the filter is not acceptable.
    """
    channels: tuple[str, ...] = tuple(context.subscriber.cursors) if command.channels is None else command.channels
    _check_subscribed(context, channels)
    where = compile_filter(cast("Mapping[str, Json] | None", command.where), context.limits)
    names = list(dict.fromkeys(channels))
    for channel in names:
        context.hub.replace_filter(context.subscriber, channel, where)
    return Reply("filters_set", {"channels": names})


def _check_subscribed(context: CommandContext, channels: Iterable[str]) -> None:
    for index, channel in enumerate(channels):
        context.cursor(channel, f"data.channels[{index}]")


def acknowledge(context: CommandContext, command: Ack) -> Reply:
    """
    Note up to where the client has dealt with its events; going back changes nothing.

    Raises:
        RequestError: If a channel is not subscribed, or a position is not one that this subscription can have given.
    """
    positions: dict[str, Position] = {}
    for channel, position in command.positions.items():
        field = f"data.positions.{channel}"
        cursor = context.cursor(channel, field)
        given = cursor.position
        if position.epoch != given.epoch or position.furthest > given.furthest:
            raise RequestError(ErrorCode.INVALID_POSITION, f"{field}: not a position of this subscription", field=field)
        positions[channel] = _later(position, cursor.acknowledged)
    for name, acknowledged in positions.items():
        context.subscriber.cursors[name].acknowledged = acknowledged
    return Reply("acked", {"positions": {name: str(each) for name, each in positions.items()}}, unasked=False)


def _later(new: Position, old: Position | None) -> Position:
    if old is None or old.epoch != new.epoch:
        return new
    return Position(new.epoch, max(new.high, old.high), max(new.normal, old.normal), max(new.low, old.low))
