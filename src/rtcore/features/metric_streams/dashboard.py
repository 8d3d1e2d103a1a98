"""
The dialect `dashboard`: what metrics dashboards call things.

They know streams, not channels. Their messages are mapped to the same subscriptions that `rtcore.v1` has, under its
rules of access and its limits; what the contract has no name for, such as `dropped` notices, they are sent as it is.
Where the contract knows no answer, there is one only for a request that has an id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol, cast

from attrs import frozen

from rtcore.errors import ErrorCode, RequestError
from rtcore.features.metric_streams.commands import NoData, ReadableStreams, fresh_data
from rtcore.hub.command_context import CommandContext, Reply
from rtcore.hub.command_rules import CommandRule
from rtcore.hub.dialect import Dialect, Greeting
from rtcore.hub.subscription_commands import set_filters, subscribe_now
from rtcore.protocol.command_fields import read_text
from rtcore.protocol.wire_fields import any_json, items, table, wire
from rtcore.values.commands import ChannelName, SetFilters, Subscribe
from rtcore.values.events import Json
from rtcore.values.identity import Identity
from rtcore.values.limits import Limits

__all__ = ["DashboardStreams", "dashboard_dialect"]

_NAMES: Final = 1000
"""Most names of one message; how many subscriptions there may be is the connection's own limit."""


class DashboardStreams(ReadableStreams, Protocol):
    """What the dialect needs of the streams."""

    def readable(self, name: str, identity: Identity) -> bool:
        """Whether there is such a stream, for this identity."""


@frozen(kw_only=True)
class _Names:
    streams: tuple[str, ...] = wire(items(read_text, _NAMES))


@frozen(kw_only=True)
class _Subscribe:
    streams: tuple[str, ...] = wire(items(read_text, _NAMES))
    filters: Mapping[str, Json] | None = wire(table(any_json, _NAMES), default=None)


@frozen(kw_only=True)
class _SetFilters:
    filters: Mapping[str, Json] = wire(table(any_json, _NAMES))
    streams: tuple[str, ...] | None = wire(items(read_text, _NAMES), default=None)


def dashboard_dialect(
    streams: DashboardStreams,
    channel_of: Callable[[str], str],
    *,
    channels: tuple[str, ...],
    limits: Limits,
    clock: Callable[[], float],
) -> Dialect:
    """
    The dialect.

    Args:
        streams: Which streams there are.
        channel_of: The channel of a stream.
        channels: What its clients are subscribed to at once.
        limits: `metric_data_bytes` bounds `dashboard_data`.
        clock: Unix seconds.
    """
    commands = _Commands(streams, channel_of, limits, clock)
    return Dialect(
        greet=commands.greet,
        commands={
            "subscribe": CommandRule(value=_Subscribe, handler=commands.subscribe),
            "unsubscribe": CommandRule(value=_Names, handler=commands.unsubscribe),
            "set_filters": CommandRule(value=_SetFilters, handler=commands.set_filters),
            "get_dashboard_data": CommandRule(value=NoData, handler=commands.get_dashboard_data),
        },
        replies={"heartbeat": "heartbeat_ack"},
        channels=channels,
        announces=False,
    )


class _Commands:
    def __init__(
        self,
        streams: DashboardStreams,
        channel_of: Callable[[str], str],
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._streams = streams
        self._channel_of = channel_of
        self._limits = limits
        self._clock = clock

    def greet(self, greeting: Greeting) -> Reply:
        """Who has yet to authenticate is told no names; `get_dashboard_data` tells them then."""
        identity = greeting.identity
        return Reply(
            "welcome",
            {
                "clientId": greeting.connection_id,
                "availableStreams": [] if identity is None else self._streams.streams(identity),
                "authentication": greeting.data["authentication"],
                "heartbeatInterval": round(1000 * float(cast("float", greeting.data["heartbeat_seconds"]))),
            },
        )

    def subscribe(self, context: CommandContext, command: _Subscribe) -> Reply:
        """To all of them, or to none; each new one begins with its newest sample."""
        names = self._known(context, command.streams)
        channels = [ChannelName(self._channel_of(name)) for name in names]
        if command.filters is None:  # what is subscribed already keeps the filter that it has
            channels = [channel for channel in channels if channel not in context.subscriber.cursors]
        if channels:
            with _own_words():
                subscribe_now(context, Subscribe(channels=tuple(channels), where=_where(command.filters)))
        return Reply("subscribed", {"streams": names}, unasked=False)

    def unsubscribe(self, context: CommandContext, command: _Names) -> Reply:
        """From all of them, or from none."""
        names = self._subscribed(context, command.streams)
        for name in names:
            context.hub.detach_cursor(context.subscriber, self._channel_of(name))
        return Reply("unsubscribed", {"streams": names}, unasked=False)

    def set_filters(self, context: CommandContext, command: _SetFilters) -> Reply:
        """Of the named streams, or of all that are subscribed now; none at all lets everything pass."""
        names = self._all_of(context) if command.streams is None else self._subscribed(context, command.streams)
        channels = tuple(ChannelName(self._channel_of(name)) for name in names)
        with _own_words():
            set_filters(context, SetFilters(where=_where(command.filters), channels=channels))
        return Reply("filters_set", {"streams": names}, unasked=False)

    async def get_dashboard_data(self, context: CommandContext, command: NoData) -> Reply:
        """The newest samples of all streams that the client may read."""
        data = await fresh_data(self._streams, context.identity, self._limits, self._clock)
        return Reply("dashboard_data", data)

    def _all_of(self, context: CommandContext) -> list[str]:
        cursors = context.subscriber.cursors
        return [name for name in self._streams.streams() if self._channel_of(name) in cursors]

    def _known(self, context: CommandContext, names: tuple[str, ...]) -> list[str]:
        for index, name in enumerate(names):
            if not self._streams.readable(name, context.identity):
                raise _unknown(index, "not one of availableStreams")
        return list(dict.fromkeys(names))

    def _subscribed(self, context: CommandContext, names: tuple[str, ...]) -> list[str]:
        for index, name in enumerate(names):
            if self._channel_of(name) not in context.subscriber.cursors:
                raise _unknown(index, "not subscribed to this stream")
        return list(dict.fromkeys(names))


def _unknown(index: int, words: str) -> RequestError:
    field = f"data.streams[{index}]"
    return RequestError(ErrorCode.UNKNOWN_CHANNEL, f"{field}: {words}", field=field)


def _where(filters: Mapping[str, Json] | None) -> Json:
    """Filters name the fields of a stream's data, which stands in an event's `data`."""
    return {f"data.{name}": condition for name, condition in (filters or {}).items()}


@contextmanager
def _own_words() -> Iterator[None]:
    """Faults are told with the names that the client used."""
    try:
        yield
    except RequestError as error:
        message, field = (_own(text) for text in (error.message, error.field or ""))
        raise RequestError(error.code, message, field=field or None) from error


def _own(text: str) -> str:
    return text.replace("data.where.data.", "data.filters.").replace("data.where", "data.filters").replace(
        "data.channels", "data.streams"
    )
